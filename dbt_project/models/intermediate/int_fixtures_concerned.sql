with due_rows as (

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

games as not materialized (

    select * from {{ ref('games') }}

),

rows_told as (

    select
        (row_key::text[])[1] as league,
        (row_key::text[])[2] as first_team_id,
        (row_key::text[])[3] as second_team_id
    from due_rows
    where
        told_by in ('int_events_identified', 'games')
        and row_key <> '*'
        and not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

-- What somebody has decided is looked at in each run, so the rivals of these
-- events are too: those of their teams, and those of the game they were given.
fixtures_overridden as (

    select
        given_games.league,
        least(given_games.home_team_id, given_games.away_team_id)
            as first_team_id,
        greatest(given_games.home_team_id, given_games.away_team_id)
            as second_team_id
    from match_overrides
    cross join
        lateral (
            select games.*
            from games
            where
                games.schedule_source_id = match_overrides.schedule_source_id
                and games.league = match_overrides.league
            order by games.schedule_source_id
            offset 0
        ) as given_games
    where match_overrides.source = 'odds_api'

    union distinct

    select
        overridden.league,
        least(overridden.home_team_id, overridden.away_team_id)
            as first_team_id,
        greatest(overridden.home_team_id, overridden.away_team_id)
            as second_team_id
    from match_overrides
    cross join
        lateral (
            select events.*
            from events
            where events.event_id = match_overrides.source_id
            order by events.event_id
            offset 0
        ) as overridden
    where
        match_overrides.source = 'odds_api'
        and overridden.home_team_id is not null
        and overridden.away_team_id is not null

),

final as (

    select
        league,
        first_team_id,
        second_team_id
    from rows_told
    where league is not null

    union distinct

    select
        league,
        first_team_id,
        second_team_id
    from fixtures_overridden

)

select * from final
