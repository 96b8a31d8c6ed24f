with fixtures as (

    select * from {{ ref('int_fixtures_concerned') }}

),

due_rows as (

    select
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name in ('game_id_map', 'unmatched_events')

),

match_overrides as (

    select * from {{ ref('match_overrides') }}

),

events as not materialized (

    select * from {{ ref('int_events_identified') }}

),

-- With an offset, so that it is a look-up for each fixture, however few there
-- are of the thousands that the planner expects.
events_of_fixtures as (

    select events_at_home.event_id
    from fixtures
    cross join
        lateral (
            select events.event_id
            from events
            where
                events.home_team_id = fixtures.first_team_id
                and events.away_team_id = fixtures.second_team_id
                and events.league = fixtures.league
            order by events.home_team_id
            offset 0
        ) as events_at_home

    union distinct

    select events_away.event_id
    from fixtures
    cross join
        lateral (
            select events.event_id
            from events
            where
                events.home_team_id = fixtures.second_team_id
                and events.away_team_id = fixtures.first_team_id
                and events.league = fixtures.league
            order by events.home_team_id
            offset 0
        ) as events_away

),

-- Of no fixture, or given to a game by hand.
events_by_id as (

    select (row_key::text[])[4] as event_id
    from due_rows
    where told_by = 'int_events_identified' and row_key <> '*'

    union distinct

    select source_id as event_id
    from match_overrides
    where source = 'odds_api'

),

ids_due as (

    select event_id from events_of_fixtures

    union distinct

    select event_id from events_by_id

),

rows_concerned as (

    select due_events.*
    from ids_due
    cross join
        lateral (
            select events.*
            from events
            where events.event_id = ids_due.event_id
            order by events.event_id
            offset 0
        ) as due_events
    where
        not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

    union all

    select *
    from events
    where
        exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

final as (

    select
        event_id,
        sport_key,
        league,
        home_team_name,
        away_team_name,
        is_home_name_known,
        is_away_name_known,
        home_team_id,
        away_team_id,
        commences_at,
        game_date_et,
        status,
        changed_at,
        first_listed_at,
        last_listed_at,
        left_feed_at
    from rows_concerned

)

select * from final
