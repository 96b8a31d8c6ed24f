with claimed_loads as (

    select
        model_name,
        load_id
    from {{ source('ops', 'model_loads') }}
    where source_schema = 'staging_odds_api' and not is_done

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

events as not materialized (

    select * from {{ ref('stg_odds_api__events') }}

),

odds as not materialized (

    select * from {{ ref('stg_odds_api__odds') }}

),

scores as (

    select * from {{ ref('stg_odds_api__scores') }}

),

claimed_listings as (

    select
        claimed_loads.model_name,
        events.event_id,
        events.captured_at as rewound_to
    from claimed_loads
    inner join events on claimed_loads.load_id = events.load_id

    union all

    select
        claimed_loads.model_name,
        odds.event_id,
        odds.captured_at as rewound_to
    from claimed_loads
    inner join odds on claimed_loads.load_id = odds.load_id

    union all

    select
        claimed_loads.model_name,
        scores.event_id,
        scores.captured_at as rewound_to
    from claimed_loads
    inner join scores on claimed_loads.load_id = scores.load_id

),

-- A capture of a whole sport also concerns what it does not show. An event is
-- missed by the second capture after its last listing at the latest.
claimed_captures as (

    select
        claimed_loads.model_name,
        captures.sport_key,
        captures.captured_at,
        (
            select one_before.captured_at
            from captures as one_before
            where
                one_before.sport_key = captures.sport_key
                and one_before.feed_id = captures.sport_key
                and one_before.captured_at < captures.captured_at
            order by one_before.captured_at desc
            limit 1
        ) as previous_captured_at
    from claimed_loads
    inner join captures on claimed_loads.load_id = captures.load_id
    where captures.feed_id = captures.sport_key

),

claimed_stretches as (

    select
        claimed_captures.model_name,
        claimed_captures.sport_key,
        claimed_captures.captured_at,
        claimed_captures.previous_captured_at,
        coalesce(
            (
                select two_before.captured_at
                from captures as two_before
                where
                    two_before.sport_key = claimed_captures.sport_key
                    and two_before.feed_id = claimed_captures.sport_key
                    and two_before.captured_at
                    < claimed_captures.previous_captured_at
                order by two_before.captured_at desc
                limit 1
            ),
            '-infinity'::timestamptz
        ) as begins_at
    from claimed_captures

),

missed_listings as (

    select
        claimed_stretches.model_name,
        odds.event_id,
        claimed_stretches.captured_at as rewound_to
    from claimed_stretches
    inner join odds
        on
            claimed_stretches.sport_key = odds.sport_key
            and claimed_stretches.previous_captured_at = odds.captured_at

    union all

    -- With an offset, or the stretches of a backfill would be joined by their
    -- sport alone, each with all events ever listed.
    select
        claimed_stretches.model_name,
        listed_events.event_id,
        claimed_stretches.captured_at as rewound_to
    from claimed_stretches
    cross join
        lateral (
            select events.event_id
            from events
            where
                events.sport_key = claimed_stretches.sport_key
                and events.captured_at >= claimed_stretches.begins_at
                and events.captured_at < claimed_stretches.captured_at
            order by events.captured_at
            offset 0
        ) as listed_events

),

all_listings as (

    select * from claimed_listings

    union all

    select * from missed_listings

),

final as (

    select
        model_name,
        event_id,
        min(rewound_to) as rewound_to
    from all_listings
    group by
        model_name,
        event_id

)

select * from final
