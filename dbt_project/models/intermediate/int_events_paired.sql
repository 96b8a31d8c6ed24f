with events as (

    select * from {{ ref('int_events_concerned') }}

),

event_versions as (

    select * from {{ ref('event_versions') }}

),

games as (

    select * from {{ ref('int_games_concerned') }}

),

game_versions as (

    select * from {{ ref('game_versions') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

match_overrides as (

    select * from {{ ref('match_overrides') }}

),

-- Stage 1: somebody has looked and decided. No game named means none.
pairs_by_decision as (

    select
        match_overrides.source_id as event_id,
        games.game_id,
        1 as stage,
        'manual' as match_method,
        null::interval as start_apart
    from match_overrides
    inner join events on match_overrides.source_id = events.event_id
    left join games
        on
            match_overrides.league = games.league
            and match_overrides.schedule_source_id = games.schedule_source_id
    where match_overrides.source = 'odds_api'

),

-- Stages 2 to 4: the same two teams, whichever is called home, and starts that
-- are near. Days are not compared, but where a game has no start: a game at
-- 22:30 in New York is tomorrow's in UTC.
pairs_by_present_start as (

    select
        events.event_id,
        games.game_id,
        case
            when games.commences_at is null then 4
            when events.home_team_id = games.home_team_id then 2
            else 3
        end as stage,
        case
            when games.commences_at is null then 'teams_and_date'
            when events.home_team_id = games.home_team_id
                then 'teams_and_time'
            else 'swapped_teams_and_time'
        end as match_method,
        events.commences_at - games.commences_at as start_apart
    from events
    inner join leagues on events.league = leagues.league
    inner join games
        on
            events.league = games.league
            and least(events.home_team_id, events.away_team_id)
            = least(games.home_team_id, games.away_team_id)
            and greatest(events.home_team_id, events.away_team_id)
            = greatest(games.home_team_id, games.away_team_id)
            and (
                games.commences_at
                between events.commences_at
                - leagues.match_tolerance_minutes * interval '1 minute'
                and events.commences_at
                + leagues.match_tolerance_minutes * interval '1 minute'
                or (
                    games.commences_at is null
                    and events.game_date_et = games.game_date_et
                )
            )
    where events.home_team_id is not null and events.away_team_id is not null

),

events_left_over as (

    select events.*
    from events
    where
        not exists (
            select 1
            from pairs_by_present_start
            where pairs_by_present_start.event_id = events.event_id
        )
        and events.home_team_id is not null
        and events.away_team_id is not null

),

-- Stage 5: at some time the feed and the schedule agreed on a start, then one
-- of them moved it. The game is the one they agreed on, wherever it is now.
pairs_by_past_start as (

    select
        events_left_over.event_id,
        games.game_id,
        5 as stage,
        'followed' as match_method,
        event_versions.commences_at - game_versions.starts_at as start_apart
    from events_left_over
    inner join leagues on events_left_over.league = leagues.league
    inner join games
        on
            events_left_over.league = games.league
            and least(
                events_left_over.home_team_id, events_left_over.away_team_id
            ) = least(games.home_team_id, games.away_team_id)
            and greatest(
                events_left_over.home_team_id, events_left_over.away_team_id
            ) = greatest(games.home_team_id, games.away_team_id)
    inner join event_versions
        on events_left_over.event_id = event_versions.event_id
    inner join game_versions
        on
            games.balldontlie_game_id = game_versions.balldontlie_game_id
            and game_versions.starts_at
            between event_versions.commences_at
            - leagues.match_tolerance_minutes * interval '1 minute'
            and event_versions.commences_at
            + leagues.match_tolerance_minutes * interval '1 minute'
            and game_versions.first_seen_at
            < coalesce(event_versions.superseded_at, 'infinity'::timestamptz)
            and event_versions.first_seen_at
            < coalesce(game_versions.superseded_at, 'infinity'::timestamptz)

),

all_pairs as (

    select * from pairs_by_decision

    union all

    select * from pairs_by_present_start

    union all

    select * from pairs_by_past_start

),

-- Of several games the best stage, and in it the nearest start; one that was
-- called off only where there is no other.
best_pairs as (

    select distinct on (all_pairs.event_id)
        all_pairs.event_id,
        all_pairs.game_id,
        all_pairs.stage,
        all_pairs.match_method,
        all_pairs.start_apart,
        games.home_team_id,
        games.commences_at,
        games.first_seen_at
    from all_pairs
    left join games on all_pairs.game_id = games.game_id
    order by
        all_pairs.event_id,
        all_pairs.stage,
        games.status in ('postponed', 'cancelled'),
        abs(extract(epoch from all_pairs.start_apart)),
        games.game_id

),

final as (

    select
        best_pairs.event_id,
        best_pairs.game_id,
        best_pairs.stage,
        best_pairs.match_method,
        events.home_team_id <> best_pairs.home_team_id as is_swapped,
        round(
            extract(epoch from events.commences_at - best_pairs.commences_at)
            / 60,
            1
        )::numeric(10, 1) as minutes_apart,
        best_pairs.start_apart,
        events.first_listed_at,
        events.last_listed_at,
        events.left_feed_at,
        greatest(events.first_listed_at, best_pairs.first_seen_at)
            as matched_at
    from best_pairs
    inner join events on best_pairs.event_id = events.event_id

)

select * from final
