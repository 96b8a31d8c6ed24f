with events as (

    select * from {{ ref('int_events_identified') }}

),

game_id_map as (

    select * from {{ ref('game_id_map') }}

),

games as (

    select * from {{ ref('games') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

odds as not materialized (

    select * from {{ ref('stg_odds_api__odds') }}

),

scores as (

    select * from {{ ref('stg_odds_api__scores') }}

),

events_with_sightings as (

    select
        events.event_id,
        events.sport_key,
        events.commences_at,
        games.commences_at as scheduled_at,
        games.status in ('postponed', 'cancelled') as is_called_off,
        leagues.match_tolerance_minutes,
        (
            select odds.captured_at
            from odds
            where odds.event_id = events.event_id
            order by odds.captured_at desc
            limit 1
        ) as last_listed_at,
        (
            select scores.captured_at
            from scores
            where
                scores.event_id = events.event_id
                and scores.home_score is not null
            order by scores.captured_at
            limit 1
        ) as first_score_at
    from events
    left join game_id_map
        on
            events.event_id = game_id_map.source_id
            and game_id_map.source = 'odds_api'
    left join games
        on
            game_id_map.game_id = games.game_id
            and games.schedule_source <> 'odds_api'
    left join leagues on games.league = leagues.league

),

-- The feed rewrites the start to the real tip-off, while it lists the event.
-- What left it before the start has only a plan, and where the schedule says
-- another time, by more than a listed start moves at the tip, that stands. So
-- it does where the feed listed a game for a while that was called off, or is
-- played farther from then than two starts of one game are apart. Whatever
-- either says: with a score, the game was on.
events_with_start as (

    select
        *,
        least(
            case
                when is_called_off then null
                when
                    scheduled_at > last_listed_at
                    + match_tolerance_minutes * interval '1 minute'
                    then scheduled_at
                when
                    last_listed_at < commences_at
                    and abs(extract(epoch from scheduled_at - commences_at))
                    > {{ var('start_drift_seconds') }}
                    then scheduled_at
                else commences_at
            end,
            first_score_at
        ) as starts_at
    from events_with_sightings

),

events_with_captures as (

    select
        events_with_start.*,
        (
            select captures.captured_at
            from captures
            where
                captures.sport_key = events_with_start.sport_key
                and captures.feed_id = events_with_start.sport_key
                and not {{ is_silent_about(
                    'captures', 'events_with_start.event_id'
                ) }}
            order by captures.captured_at desc
            limit 1
        ) as last_captured_at,
        (
            select captures.captured_at
            from captures
            where
                captures.sport_key = events_with_start.sport_key
                and captures.feed_id = events_with_start.sport_key
                and captures.captured_at < events_with_start.starts_at
                and not {{ is_silent_about(
                    'captures', 'events_with_start.event_id'
                ) }}
            order by captures.captured_at desc
            limit 1
        ) as last_captured_before_start_at,
        (
            select odds.captured_at
            from odds
            where
                odds.event_id = events_with_start.event_id
                and odds.captured_at < events_with_start.starts_at
            order by odds.captured_at desc
            limit 1
        ) as last_listed_before_start_at
    from events_with_start

),

final as (

    select
        event_id,
        sport_key,
        starts_at,
        last_listed_before_start_at
    from events_with_captures
    where
        starts_at <= last_captured_at
        and (
            last_listed_before_start_at >= last_captured_before_start_at
            or last_listed_at >= starts_at
        )

)

select * from final
