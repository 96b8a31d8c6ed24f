with claims as (

    select
        model_name,
        load_id
    from {{ source('ops', 'model_loads') }}
    where source_schema = 'staging_odds_api' and not is_done

),

model_loads as (

    select * from {{ source('ops', 'model_loads') }}

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

odds as not materialized (

    select * from {{ ref('stg_odds_api__odds') }}

),

refused_elements as not materialized (

    select * from {{ ref('stg_odds_api__refused_elements') }}

),

-- The same response landed twice says nothing new, unless less of it was
-- refused this time.
claimed_captures as (

    select
        claims.model_name,
        captures.feed_id,
        captures.sport_key,
        captures.captured_at,
        captures.markets_asked,
        captures.regions_asked,
        captures.bookmakers_asked,
        captures.refused_event_ids
    from claims
    inner join captures on claims.load_id = captures.load_id
    where
        not exists (
            select 1
            from captures as earlier
            inner join model_loads
                on earlier.load_id = model_loads.load_id
            where
                earlier.response_hash = captures.response_hash
                and earlier.feed_id = captures.feed_id
                and earlier.captured_at = captures.captured_at
                and earlier.refused_event_ids
                is not distinct from captures.refused_event_ids
                and model_loads.model_name = claims.model_name
                and model_loads.source_schema = 'staging_odds_api'
                and model_loads.is_done
        )
    group by
        claims.model_name,
        captures.feed_id,
        captures.sport_key,
        captures.captured_at,
        captures.markets_asked,
        captures.regions_asked,
        captures.bookmakers_asked,
        captures.refused_event_ids

),

-- The last capture before that asked for all that this one asks for: whatever
-- was on offer when this one was made, it or a capture after it has shown, or
-- has refused. One that refused what nobody can name will not do.
-- Where none did, all captures of the feed have to be looked at, once. `offset
-- 0` has them read backwards in time, up to the first that will do.
captures_with_predecessor as (

    select
        claimed_captures.*,
        coalesce(
            (
                select in_order.captured_at
                from (
                    select previous.*
                    from captures as previous
                    where
                        previous.sport_key = claimed_captures.sport_key
                        and previous.feed_id = claimed_captures.feed_id
                        and previous.captured_at < claimed_captures.captured_at
                    order by previous.captured_at desc
                    offset 0
                ) as in_order
                where
                    (
                        in_order.markets_asked is null
                        or in_order.markets_asked
                        @> claimed_captures.markets_asked
                    )
                    and (
                        num_nulls(
                            in_order.regions_asked, in_order.bookmakers_asked
                        ) = 2
                        or in_order.bookmakers_asked
                        @> claimed_captures.bookmakers_asked
                        or (
                            in_order.bookmakers_asked is null
                            and claimed_captures.bookmakers_asked is null
                            and in_order.regions_asked
                            @> claimed_captures.regions_asked
                        )
                    )
                    and not {{ has_unreadable('in_order') }}
                order by in_order.captured_at desc
                limit 1
            ),
            '-infinity'::timestamptz
        ) as compared_from
    from claimed_captures

),

-- What the captures since then showed and this one does not is withdrawn, so
-- the events of all of them are concerned.
captures_to_compare as (

    select
        model_name,
        feed_id,
        sport_key,
        captured_at as rewound_to,
        captured_at as listed_at,
        refused_event_ids
    from captures_with_predecessor

    union all

    select
        claimed.model_name,
        claimed.feed_id,
        claimed.sport_key,
        claimed.captured_at as rewound_to,
        previous.captured_at as listed_at,
        previous.refused_event_ids
    from captures_with_predecessor as claimed
    cross join
        lateral (
            select
                earlier.captured_at,
                earlier.refused_event_ids
            from captures as earlier
            where
                earlier.sport_key = claimed.sport_key
                and earlier.feed_id = claimed.feed_id
                and earlier.captured_at >= claimed.compared_from
                and earlier.captured_at < claimed.captured_at
            order by earlier.captured_at
            offset 0
        ) as previous

),

-- With offsets: how many captures lie between two instants, and so how many
-- events are concerned, the planner can only guess, and the more is kept the
-- more it guesses, until it reads all of it.
events_listed as (

    select
        captures_to_compare.model_name,
        listed_events.event_id,
        captures_to_compare.rewound_to
    from captures_to_compare
    cross join
        lateral (
            select odds.event_id
            from odds
            where
                odds.sport_key = captures_to_compare.sport_key
                and odds.captured_at = captures_to_compare.listed_at
            order by odds.captured_at
            offset 0
        ) as listed_events
    where
        captures_to_compare.feed_id
        in (captures_to_compare.sport_key, listed_events.event_id)

),

-- The last sighting of an event that these captures refused is before them.
events_refused as (

    select
        captures_to_compare.model_name,
        refused_events.event_id,
        captures_to_compare.rewound_to
    from captures_to_compare
    cross join
        lateral (
            select refused_elements.event_id
            from refused_elements
            where
                refused_elements.sport_key = captures_to_compare.sport_key
                and refused_elements.captured_at
                = captures_to_compare.listed_at
                and refused_elements.event_id is not null
            order by refused_elements.captured_at
            offset 0
        ) as refused_events
    where
        captures_to_compare.refused_event_ids is not null
        and captures_to_compare.feed_id
        in (captures_to_compare.sport_key, refused_events.event_id)

),

-- An element that was refused, and lands now, comes without a response: that of
-- its capture is here, and the events beside it have been compared.
loads_of_elements as (

    select
        claims.model_name,
        claims.load_id
    from claims
    where
        not exists (
            select 1
            from captures
            where captures.load_id = claims.load_id
            order by captures.load_id
            offset 0
        )

),

events_replayed as (

    select
        loads_of_elements.model_name,
        odds_of_load.event_id,
        odds_of_load.captured_at as rewound_to
    from loads_of_elements
    cross join
        lateral (
            select
                odds.event_id,
                odds.captured_at
            from odds
            where odds.load_id = loads_of_elements.load_id
            order by odds.load_id
            offset 0
        ) as odds_of_load

),

events_concerned as (

    select * from events_listed

    union all

    select * from events_refused

    union all

    select * from events_replayed

),

final as (

    select
        model_name,
        event_id,
        min(rewound_to) as rewound_to
    from events_concerned
    group by
        model_name,
        event_id

)

select * from final
