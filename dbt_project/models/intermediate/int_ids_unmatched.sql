{{ config(
    tags=['ingest', 'results'],
    post_hook=["{{ remember_as_of() }}"],
) }}

with events as (

    select * from {{ ref('int_events_concerned') }}

),

all_events as not materialized (

    select * from {{ ref('int_events_identified') }}

),

versions_due as (

    select * from {{ ref('int_game_versions_concerned') }}

),

games as not materialized (

    select * from {{ ref('games') }}

),

game_id_map as not materialized (

    select * from {{ ref('game_id_map') }}

),

pairs as (

    select * from {{ ref('int_events_paired') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

events_unmatched as (

    select events.*
    from events
    where
        not exists (
            select 1
            from game_id_map
            where
                game_id_map.source = 'odds_api'
                and game_id_map.source_id = events.event_id
            order by game_id_map.source_id
            offset 0
        )

),

-- The nearest games of the same two teams, whenever that is.
candidates_in_order as (

    select
        events_unmatched.event_id,
        nearest_games.*
    from events_unmatched
    cross join
        lateral (
            select
                games.game_id,
                games.balldontlie_game_id,
                games.commences_at,
                games.status,
                row_number() over (
                    order by
                        abs(
                            extract(
                                epoch from
                                events_unmatched.commences_at
                                - games.commences_at
                            )
                        ),
                        games.game_id
                ) as candidate_number
            from games
            where
                games.home_team_id in (
                    events_unmatched.home_team_id, events_unmatched.away_team_id
                )
                and games.away_team_id in (
                    events_unmatched.home_team_id, events_unmatched.away_team_id
                )
                and games.league = events_unmatched.league
            order by candidate_number
            limit 3
        ) as nearest_games

),

candidates_by_event as (

    select
        event_id,
        jsonb_agg(
            jsonb_build_object(
                'game_id', game_id,
                'balldontlie_game_id', balldontlie_game_id,
                'commences_at', to_char(
                    commences_at at time zone 'UTC',
                    'YYYY-MM-DD"T"HH24:MI:SS"Z"'
                ),
                'status', status
            )
            order by candidate_number
        ) as candidates,
        min(commences_at) filter (where candidate_number = 1)
            as nearest_commences_at
    from candidates_in_order
    group by event_id

),

-- Events of the same teams at almost the same time, on offer side by side, of
-- which the other one found the game: one of the two is never played.
phantoms as (

    select
        events_unmatched.event_id,
        min(others.event_id) as other_event_id
    from events_unmatched
    cross join
        lateral (
            select all_events.event_id
            from all_events
            where
                all_events.home_team_id in (
                    events_unmatched.home_team_id, events_unmatched.away_team_id
                )
                and all_events.away_team_id in (
                    events_unmatched.home_team_id, events_unmatched.away_team_id
                )
                and all_events.league = events_unmatched.league
                and all_events.commences_at
                between events_unmatched.commences_at
                - interval '{{ var("phantom_listing_hours") }} hours'
                and events_unmatched.commences_at
                + interval '{{ var("phantom_listing_hours") }} hours'
                and all_events.first_listed_at
                < coalesce(
                    events_unmatched.left_feed_at, 'infinity'::timestamptz
                )
                and events_unmatched.first_listed_at
                < coalesce(all_events.left_feed_at, 'infinity'::timestamptz)
            order by all_events.home_team_id
            offset 0
        ) as others
    where
        exists (
            select 1
            from game_id_map
            where
                game_id_map.source = 'odds_api'
                and game_id_map.source_id = others.event_id
            order by game_id_map.source_id
            offset 0
        )
    group by events_unmatched.event_id

),

schedules_reach as (

    select
        leagues.league,
        latest.commences_at as last_commences_at
    from leagues
    cross join
        lateral (
            select games.commences_at
            from games
            where
                games.league = leagues.league
                and games.commences_at is not null
            order by games.commences_at desc
            limit 1
        ) as latest

),

events_explained as (

    select
        events_unmatched.*,
        candidates_by_event.candidates,
        candidates_by_event.nearest_commences_at,
        phantoms.other_event_id,
        case
            when events_unmatched.league is null then 'unknown_sport'
            when
                not events_unmatched.is_home_name_known
                or not events_unmatched.is_away_name_known
                then 'unknown_team'
            when
                events_unmatched.home_team_id is null
                or events_unmatched.away_team_id is null
                then 'no_league_team'
            when pairs.stage = 1 then 'ruled_out'
            when pairs.event_id is not null then 'duplicate_listing'
            when phantoms.event_id is not null then 'phantom_listing'
            when events_unmatched.status = 'withdrawn' then 'withdrawn'
            when
                events_unmatched.commences_at
                > coalesce(
                    schedules_reach.last_commences_at, '-infinity'::timestamptz
                )
                then 'not_in_schedule_yet'
            when candidates_by_event.event_id is null then 'teams_never_meet'
            else 'no_game_at_that_time'
        end as reason
    from events_unmatched
    left join pairs on events_unmatched.event_id = pairs.event_id
    left join phantoms on events_unmatched.event_id = phantoms.event_id
    left join candidates_by_event
        on events_unmatched.event_id = candidates_by_event.event_id
    left join schedules_reach
        on events_unmatched.league = schedules_reach.league

),

unmatched_odds_events as (

    select
        'odds_api' as source,
        event_id as source_id,
        league,
        reason,
        case reason
            when 'unknown_sport'
                then
                    'sport ' || sport_key
                    || ' is in no row of the seed leagues'
            when 'unknown_team'
                then
                    'no team is called '
                    || concat_ws(
                        ' or ',
                        case
                            when not is_home_name_known
                                then coalesce(home_team_name, '(no name)')
                        end,
                        case
                            when not is_away_name_known
                                then coalesce(away_team_name, '(no name)')
                        end
                    )
                    || ' in the seed team_names'
            else
                concat(
                    away_team_name,
                    ' at ',
                    home_team_name,
                    case reason
                        when 'no_league_team'
                            then ': the seed team_names says it is no game'
                                || ' of two teams of the league'
                        when 'ruled_out'
                            then ': the seed match_overrides says it is no'
                                || ' game, or names one that does not exist'
                        when 'duplicate_listing'
                            then ': another id of the same game was on offer'
                                || ' at the same time'
                        when 'phantom_listing'
                            then ': was on offer beside ' || other_event_id
                                || ', which has the game'
                        when 'withdrawn'
                            then ': left the feed before its start'
                        when 'not_in_schedule_yet'
                            then ': later than all the schedule knows'
                        else ''
                    end,
                    case
                        when nearest_commences_at is null
                            then ': these teams have no game'
                        else
                            ': the nearest game of these teams is '
                            || round(
                                abs(
                                    extract(
                                        epoch from
                                        nearest_commences_at - commences_at
                                    )
                                ) / 3600,
                                1
                            )
                            || ' hours away'
                    end
                )
        end as detail,
        coalesce(candidates, '[]'::jsonb) as candidates,
        commences_at,
        first_listed_at as first_seen_at
    from events_explained

),

-- The other side: a game about to begin for which no odds were ever seen.
games_without_odds as (

    select
        'balldontlie' as source,
        games.balldontlie_game_id::text as source_id,
        games.league,
        'no_odds_near_start' as reason,
        'starts within '
        || {{ var('odds_expected_hours') }}
        || ' hours and no odds event is matched to it' as detail,
        '[]'::jsonb as candidates,
        games.commences_at,
        games.first_seen_at
    from games
    where
        games.balldontlie_game_id is not null
        and games.status = 'scheduled'
        and games.commences_at
        between {{ as_of() }}
        and {{ as_of() }} + interval '{{ var("odds_expected_hours") }} hours'
        and not exists (
            select 1
            from game_id_map
            where
                game_id_map.game_id = games.game_id
                and game_id_map.source = 'odds_api'
            order by game_id_map.game_id
            offset 0
        )

),

games_with_unknown_teams as (

    select
        'balldontlie' as source,
        versions_due.balldontlie_game_id::text as source_id,
        leagues.league,
        'unknown_team' as reason,
        'home team '
        || coalesce(versions_due.home_balldontlie_team_id::text, 'null')
        || ' or visitor '
        || coalesce(versions_due.away_balldontlie_team_id::text, 'null')
        || ' is no balldontlie_team_id of the seed league_teams' as detail,
        '[]'::jsonb as candidates,
        versions_due.starts_at as commences_at,
        versions_due.first_seen_at
    from versions_due
    inner join leagues on leagues.schedule_source = 'balldontlie'
    left join league_teams as home_teams
        on
            versions_due.home_balldontlie_team_id
            = home_teams.balldontlie_team_id
    left join league_teams as away_teams
        on
            versions_due.away_balldontlie_team_id
            = away_teams.balldontlie_team_id
    where home_teams.team_id is null or away_teams.team_id is null

),

final as (

    select * from unmatched_odds_events

    union all

    select * from games_without_odds

    union all

    select * from games_with_unknown_teams

)

select * from final
