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

curtailed_responses as not materialized (

    select * from {{ ref('int_responses_curtailed') }}

),

refused_elements as not materialized (

    select * from {{ ref('stg_odds_api__refused_elements') }}

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

    union all

    select
        claimed_loads.model_name,
        refused_elements.event_id,
        refused_elements.captured_at as rewound_to
    from claimed_loads
    inner join refused_elements
        on claimed_loads.load_id = refused_elements.load_id
    where refused_elements.event_id is not null

),

-- A capture of a whole sport also concerns what it does not show, and so does a
-- response of which nobody knows what was refused. An event is missed by the
-- second capture after its last listing at the latest.
claimed_captures as (

    select
        claimed_loads.model_name,
        captures.sport_key,
        captures.captured_at
    from claimed_loads
    inner join captures on claimed_loads.load_id = captures.load_id
    where captures.feed_id = captures.sport_key

    union all

    select
        claimed_loads.model_name,
        curtailed_responses.sport_key,
        curtailed_responses.captured_at
    from claimed_loads
    inner join curtailed_responses
        on claimed_loads.load_id = curtailed_responses.load_id
    where {{ has_unreadable('curtailed_responses') }}

),

-- Back to two captures in a row by which what had gone is known to be gone: up
-- to the second no response was silent about what nobody can name. Nearly
-- always they are the two before. `offset 0` has them read backwards in time.
claimed_stretches as (

    select
        claimed_captures.model_name,
        claimed_captures.sport_key,
        claimed_captures.captured_at,
        coalesce(
            (
                select in_order.one_before_at
                from (
                    select
                        previous.captured_at,
                        (
                            select one_before.captured_at
                            from captures as one_before
                            where
                                one_before.sport_key
                                = claimed_captures.sport_key
                                and one_before.feed_id
                                = claimed_captures.sport_key
                                and one_before.captured_at
                                < previous.captured_at
                            order by one_before.captured_at desc
                            limit 1
                        ) as one_before_at
                    from captures as previous
                    where
                        previous.sport_key = claimed_captures.sport_key
                        and previous.feed_id = claimed_captures.sport_key
                        and previous.captured_at < claimed_captures.captured_at
                    order by previous.captured_at desc
                    offset 0
                ) as in_order
                where
                    not exists (
                        select 1
                        from curtailed_responses
                        where
                            curtailed_responses.sport_key
                            = claimed_captures.sport_key
                            and curtailed_responses.captured_at
                            > coalesce(
                                in_order.one_before_at, '-infinity'::timestamptz
                            )
                            and curtailed_responses.captured_at
                            <= in_order.captured_at
                            and {{ has_unreadable('curtailed_responses') }}
                    )
                order by in_order.captured_at desc
                limit 1
            ),
            '-infinity'::timestamptz
        ) as begins_at
    from claimed_captures

),

missed_listings as (

    -- With offsets, or the stretches of a backfill would be joined by their
    -- sport alone, each with all events ever listed.
    select
        claimed_stretches.model_name,
        listed_odds.event_id,
        claimed_stretches.captured_at as rewound_to
    from claimed_stretches
    cross join
        lateral (
            select odds.event_id
            from odds
            where
                odds.sport_key = claimed_stretches.sport_key
                and odds.captured_at > claimed_stretches.begins_at
                and odds.captured_at < claimed_stretches.captured_at
            order by odds.captured_at
            offset 0
        ) as listed_odds

    union all

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

    union all

    -- The last listing of an event that was refused since is before them.
    select
        claimed_stretches.model_name,
        refused_events.event_id,
        claimed_stretches.captured_at as rewound_to
    from claimed_stretches
    cross join
        lateral (
            select refused_elements.event_id
            from refused_elements
            where
                refused_elements.sport_key = claimed_stretches.sport_key
                and refused_elements.captured_at > claimed_stretches.begins_at
                and refused_elements.captured_at < claimed_stretches.captured_at
                and refused_elements.event_id is not null
            order by refused_elements.captured_at
            offset 0
        ) as refused_events

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
