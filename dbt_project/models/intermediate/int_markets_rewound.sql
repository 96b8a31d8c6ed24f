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

-- The same response landed twice says nothing new.
claimed_captures as (

    select
        claims.model_name,
        captures.feed_id,
        captures.sport_key,
        captures.captured_at,
        captures.markets_asked
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
                and model_loads.model_name = claims.model_name
                and model_loads.source_schema = 'staging_odds_api'
                and model_loads.is_done
        )
    group by
        claims.model_name,
        captures.feed_id,
        captures.sport_key,
        captures.captured_at,
        captures.markets_asked

),

-- What was asked, market by market. Null stands for whatever it was: the
-- capture just before is always compared, whatever either asked for.
claimed_markets as (

    select
        claimed_captures.model_name,
        claimed_captures.feed_id,
        claimed_captures.sport_key,
        claimed_captures.captured_at,
        asked.market_key
    from claimed_captures
    cross join
        lateral
        unnest(
            coalesce(
                claimed_captures.markets_asked,
                array['h2h', 'spreads', 'totals']
            )
            || null::text
        ) as asked (market_key)

),

-- What the last capture that asked for it showed and this one does not is
-- withdrawn, so the events of both are concerned.
captures_to_compare as (

    select
        claimed_captures.model_name,
        claimed_captures.feed_id,
        claimed_captures.sport_key,
        claimed_captures.captured_at as rewound_to,
        claimed_captures.captured_at as listed_at
    from claimed_captures

    union all

    select
        claimed_markets.model_name,
        claimed_markets.feed_id,
        claimed_markets.sport_key,
        claimed_markets.captured_at as rewound_to,
        (
            select previous.captured_at
            from captures as previous
            where
                previous.sport_key = claimed_markets.sport_key
                and previous.feed_id = claimed_markets.feed_id
                and previous.captured_at < claimed_markets.captured_at
                and (
                    claimed_markets.market_key is null
                    or {{ is_market_asked(
                        'previous.markets_asked', 'claimed_markets.market_key'
                    ) }}
                )
            order by previous.captured_at desc
            limit 1
        ) as listed_at
    from claimed_markets

),

final as (

    select
        captures_to_compare.model_name,
        odds.event_id,
        min(captures_to_compare.rewound_to) as rewound_to
    from captures_to_compare
    inner join odds
        on
            captures_to_compare.sport_key = odds.sport_key
            and captures_to_compare.listed_at = odds.captured_at
    where
        captures_to_compare.feed_id in (odds.sport_key, odds.event_id)
    group by
        captures_to_compare.model_name,
        odds.event_id

)

select * from final
