with events as (

    select * from {{ ref('int_events_identified') }}

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

odds as not materialized (

    select * from {{ ref('stg_odds_api__odds') }}

),

events_with_captures as (

    select
        events.event_id,
        events.sport_key,
        events.commences_at as starts_at,
        (
            select captures.captured_at
            from captures
            where
                captures.sport_key = events.sport_key
                and captures.feed_id = events.sport_key
            order by captures.captured_at desc
            limit 1
        ) as last_captured_at,
        (
            select captures.captured_at
            from captures
            where
                captures.sport_key = events.sport_key
                and captures.feed_id = events.sport_key
                and captures.captured_at < events.commences_at
            order by captures.captured_at desc
            limit 1
        ) as last_captured_before_start_at,
        (
            select odds.captured_at
            from odds
            where
                odds.event_id = events.event_id
                and odds.captured_at < events.commences_at
            order by odds.captured_at desc
            limit 1
        ) as last_listed_before_start_at,
        (
            select odds.captured_at
            from odds
            where odds.event_id = events.event_id
            order by odds.captured_at desc
            limit 1
        ) as last_listed_at
    from events

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
