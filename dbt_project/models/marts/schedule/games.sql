{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    pre_hook=[
        "{{ claim_loads(['staging_odds_api', 'staging_balldontlie']) }}",
    ],
    post_hook=["{{ release_loads() }}"],
    indexes=[
        {'columns': ['home_team_id', 'commences_at']},
        {'columns': ['commences_at']},
    ],
) }}

with leagues as (

    select * from {{ ref('leagues') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

season_phases as (

    select * from {{ ref('season_phases') }}

),

neutral_sites as (

    select * from {{ ref('neutral_sites') }}

),

game_versions as (

    select * from {{ ref('int_games_versioned') }}

),

events as (

    select * from {{ ref('int_events_identified') }}

),

odds as not materialized (

    select * from {{ ref('stg_odds_api__odds') }}

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

touched_games as (

    select balldontlie_game_id
    from {{ ref('int_games_rewound') }}
    where model_name = 'games'

),

-- An event that the last capture no longer shows is touched by its absence.
touched_events as (

    select event_id
    from {{ ref('int_events_rewound') }}
    where model_name = 'games'

    union distinct

    select event_id
    from {{ ref('int_markets_rewound') }}
    where model_name = 'games'

),

latest_versions as (

    select distinct on (game_versions.balldontlie_game_id) game_versions.*
    from touched_games
    inner join game_versions
        on
            touched_games.balldontlie_game_id
            = game_versions.balldontlie_game_id
    order by
        game_versions.balldontlie_game_id,
        game_versions.captured_at desc

),

games_from_schedule as (

    select
        {{ surrogate_key([
            'home_teams.league',
            "'balldontlie'",
            'latest_versions.balldontlie_game_id',
        ]) }} as game_id,
        home_teams.league,
        'balldontlie' as schedule_source,
        latest_versions.season,
        case
            when latest_versions.is_postseason then 'playoffs'
            else 'regular'
        end as season_type_by_flag,
        latest_versions.game_date_et,
        latest_versions.starts_at as commences_at,
        home_teams.team_id as home_team_id,
        away_teams.team_id as away_team_id,
        case
            when latest_versions.is_cancelled then 'cancelled'
            when latest_versions.is_postponed then 'postponed'
            when latest_versions.status_text ~* '^final' then 'final'
            when coalesce(latest_versions.period, 0) = 0 then 'scheduled'
            else 'live'
        end as status,
        latest_versions.balldontlie_game_id,
        latest_versions.captured_at as changed_at
    from latest_versions
    inner join league_teams as home_teams
        on
            latest_versions.home_balldontlie_team_id
            = home_teams.balldontlie_team_id
    inner join league_teams as away_teams
        on
            latest_versions.away_balldontlie_team_id
            = away_teams.balldontlie_team_id

),

-- A league without a schedule source takes its games from the odds events. A
-- second id for the same teams at about the same time is the same game: the id
-- listed first stands for it, and whatever touches one of them touches it.
touched_siblings as (

    select distinct on (siblings.event_id)
        siblings.*,
        leagues.match_tolerance_minutes
    from touched_events
    inner join events on touched_events.event_id = events.event_id
    inner join leagues on events.league = leagues.league
    inner join events as siblings
        on
            events.league = siblings.league
            and events.home_team_id = siblings.home_team_id
            and events.away_team_id = siblings.away_team_id
            and abs(
                extract(
                    epoch from siblings.commences_at - events.commences_at
                )
            ) <= leagues.match_tolerance_minutes * 60
    where leagues.schedule_source = 'odds_api'
    order by siblings.event_id

),

scheduling_events as (

    select touched_siblings.*
    from touched_siblings
    where
        not exists (
            select 1
            from events as earlier
            where
                earlier.league = touched_siblings.league
                and earlier.home_team_id = touched_siblings.home_team_id
                and earlier.away_team_id = touched_siblings.away_team_id
                and (earlier.first_listed_at, earlier.event_id)
                < (touched_siblings.first_listed_at, touched_siblings.event_id)
                and abs(
                    extract(
                        epoch from
                        earlier.commences_at - touched_siblings.commences_at
                    )
                ) <= touched_siblings.match_tolerance_minutes * 60
        )

),

event_listings as (

    select
        scheduling_events.event_id,
        (
            select odds.captured_at
            from touched_siblings
            inner join odds on touched_siblings.event_id = odds.event_id
            where
                touched_siblings.league = scheduling_events.league
                and touched_siblings.home_team_id
                = scheduling_events.home_team_id
                and touched_siblings.away_team_id
                = scheduling_events.away_team_id
                and abs(
                    extract(
                        epoch from
                        touched_siblings.commences_at
                        - scheduling_events.commences_at
                    )
                ) <= scheduling_events.match_tolerance_minutes * 60
            order by odds.captured_at desc
            limit 1
        ) as last_listed_at,
        (
            select captures.captured_at
            from captures
            where
                captures.sport_key = scheduling_events.sport_key
                and captures.feed_id = scheduling_events.sport_key
            order by captures.captured_at desc
            limit 1
        ) as last_captured_at
    from scheduling_events

),

games_from_odds as (

    select
        {{ surrogate_key([
            'scheduling_events.league',
            "'odds_api'",
            'scheduling_events.event_id',
        ]) }} as game_id,
        scheduling_events.league,
        'odds_api' as schedule_source,
        extract(year from scheduling_events.game_date_et)::integer as season,
        'unknown' as season_type_by_flag,
        scheduling_events.game_date_et,
        scheduling_events.commences_at,
        scheduling_events.home_team_id,
        scheduling_events.away_team_id,
        case
            when
                event_listings.last_listed_at
                < event_listings.last_captured_at
                then 'unknown'
            when
                scheduling_events.commences_at
                <= event_listings.last_captured_at
                then 'live'
            else 'scheduled'
        end as status,
        null::bigint as balldontlie_game_id,
        scheduling_events.first_listed_at as changed_at
    from scheduling_events
    inner join event_listings
        on scheduling_events.event_id = event_listings.event_id

),

all_games as (

    select * from games_from_schedule

    union all

    select * from games_from_odds

),

final as (

    select
        all_games.game_id,
        all_games.league,
        all_games.schedule_source,
        all_games.season,
        coalesce(season_phases.season_type, all_games.season_type_by_flag)
            as season_type,
        all_games.game_date_et,
        all_games.commences_at,
        all_games.home_team_id,
        all_games.away_team_id,
        all_games.status,
        -- No source says where a game is played: listed, or not known.
        case when neutral_sites.home_team_id is not null then true end
            as is_neutral_site,
        all_games.balldontlie_game_id,
        all_games.changed_at
    from all_games
    left join season_phases
        on
            all_games.league = season_phases.league
            and all_games.game_date_et
            between season_phases.first_date_et and season_phases.last_date_et
    left join neutral_sites
        on
            all_games.league = neutral_sites.league
            and all_games.game_date_et = neutral_sites.game_date_et
            and all_games.home_team_id = neutral_sites.home_team_id

)

select * from final
