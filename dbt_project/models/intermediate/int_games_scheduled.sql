with leagues as (

    select * from {{ ref('leagues') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

game_versions as (

    select * from {{ ref('game_versions') }}

),

events as not materialized (

    select * from {{ ref('int_events_identified') }}

),

versions_in_life as (

    select
        *,
        min(first_seen_at) over (partition by balldontlie_game_id)
            as game_first_seen_at
    from game_versions

),

games_from_schedule as (

    select
        {{ surrogate_key([
            'home_teams.league',
            "'balldontlie'",
            'versions_in_life.balldontlie_game_id',
        ]) }} as game_id,
        home_teams.league,
        'balldontlie' as schedule_source,
        versions_in_life.season,
        versions_in_life.game_date_et,
        versions_in_life.starts_at as commences_at,
        home_teams.team_id as home_team_id,
        away_teams.team_id as away_team_id,
        versions_in_life.status,
        versions_in_life.balldontlie_game_id::text as schedule_source_id,
        versions_in_life.balldontlie_game_id,
        versions_in_life.game_first_seen_at as first_seen_at,
        versions_in_life.first_seen_at as changed_at
    from versions_in_life
    inner join league_teams as home_teams
        on
            versions_in_life.home_balldontlie_team_id
            = home_teams.balldontlie_team_id
    inner join league_teams as away_teams
        on
            versions_in_life.away_balldontlie_team_id
            = away_teams.balldontlie_team_id
    where versions_in_life.superseded_at is null

),

-- A league without a schedule source takes its games from the odds events. A
-- second id for the same teams at about the same time is the same game, which
-- the id listed first stands for.
scheduling_events as not materialized (

    select
        events.*,
        leagues.match_tolerance_minutes * interval '1 minute' as tolerance
    from events
    inner join leagues on events.league = leagues.league
    where
        leagues.schedule_source = 'odds_api'
        and events.home_team_id is not null
        and events.away_team_id is not null

),

naming_events as (

    select scheduling_events.*
    from scheduling_events
    where
        not exists (
            select 1
            from scheduling_events as earlier
            where
                earlier.league = scheduling_events.league
                and earlier.home_team_id = scheduling_events.home_team_id
                and earlier.away_team_id = scheduling_events.away_team_id
                and (earlier.first_listed_at, earlier.event_id)
                < (
                    scheduling_events.first_listed_at,
                    scheduling_events.event_id
                )
                and earlier.commences_at
                between scheduling_events.commences_at
                - scheduling_events.tolerance
                and scheduling_events.commences_at
                + scheduling_events.tolerance
        )

),

-- The game goes by the id that was on offer last, of all that mean it.
listings_of_games as (

    select distinct on (
        naming_events.league,
        naming_events.home_team_id,
        naming_events.away_team_id,
        naming_events.event_id
    )
        naming_events.event_id,
        naming_events.league,
        naming_events.home_team_id,
        naming_events.away_team_id,
        naming_events.first_listed_at,
        siblings.commences_at,
        siblings.game_date_et,
        siblings.status,
        siblings.changed_at,
        siblings.last_listed_at
    from naming_events
    inner join scheduling_events as siblings
        on
            naming_events.league = siblings.league
            and naming_events.home_team_id = siblings.home_team_id
            and naming_events.away_team_id = siblings.away_team_id
            and siblings.commences_at
            between naming_events.commences_at - naming_events.tolerance
            and naming_events.commences_at + naming_events.tolerance
    order by
        naming_events.league,
        naming_events.home_team_id,
        naming_events.away_team_id,
        naming_events.event_id,
        siblings.last_listed_at desc nulls last,
        siblings.event_id

),

games_from_odds as (

    select
        {{ surrogate_key(['league', "'odds_api'", 'event_id']) }} as game_id,
        league,
        'odds_api' as schedule_source,
        extract(year from game_date_et)::integer as season,
        game_date_et,
        commences_at,
        home_team_id,
        away_team_id,
        case
            when status = 'withdrawn' then 'withdrawn'
            when status <> 'listed' then 'unknown'
            when commences_at <= last_listed_at then 'live'
            else 'scheduled'
        end as status,
        event_id as schedule_source_id,
        null::bigint as balldontlie_game_id,
        first_listed_at as first_seen_at,
        changed_at
    from listings_of_games

),

final as (

    select * from games_from_schedule

    union all

    select * from games_from_odds

)

select * from final
