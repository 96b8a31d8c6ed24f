{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['event_id', 'bookmaker_key', 'market_key'],
    on_schema_change='append_new_columns',
    tags=['ingest'],
    pre_hook=["{{ claim_loads(['staging_odds_api']) }}"],
    post_hook=["{{ release_loads() }}"],
    indexes=[{'columns': ['feed_id', 'last_seen_at']}],
) }}

with rewound_events as (

    select
        event_id,
        rewound_to
    from {{ ref('int_markets_rewound') }}
    where model_name = 'market_sightings'

),

quotes as (

    select * from {{ ref('int_quotes_landed') }}

),

-- Grouped event by event, as the index has them: the quotes of many captures
-- need no sort but one of a capture's few dozen at a time.
captures_of_markets as (

    select
        rewound_events.event_id,
        markets_of_event.bookmaker_key,
        markets_of_event.market_key,
        markets_of_event.captured_at,
        markets_of_event.sport_key,
        markets_of_event.feed_id,
        markets_of_event.quoted_at
    from rewound_events
    cross join
        lateral (
            select
                quotes.captured_at,
                quotes.bookmaker_key,
                quotes.market_key,
                quotes.sport_key,
                quotes.feed_id,
                max(quotes.quoted_at) as quoted_at
            from quotes
            where
                quotes.event_id = rewound_events.event_id
                and quotes.captured_at >= rewound_events.rewound_to
                and quotes.rejection_reason is null
            group by
                quotes.captured_at,
                quotes.bookmaker_key,
                quotes.market_key,
                quotes.sport_key,
                quotes.feed_id
            order by quotes.captured_at
            offset 0
        ) as markets_of_event

),

sightings_known as (

    select
        event_id,
        bookmaker_key,
        market_key,
        sport_key,
        feed_id,
        captured_at as first_seen_at,
        captured_at as last_seen_at,
        quoted_at
    from captures_of_markets

    {%- if is_incremental() %}

    union all

    select
        kept.event_id,
        kept.bookmaker_key,
        kept.market_key,
        kept.sport_key,
        kept.feed_id,
        kept.first_seen_at,
        kept.last_seen_at,
        kept.quoted_at
    from rewound_events
    cross join
        lateral (
            select sightings_of_event.*
            from {{ this }} as sightings_of_event
            where sightings_of_event.event_id = rewound_events.event_id
            order by sightings_of_event.event_id
            offset 0
        ) as kept
    {%- endif %}

),

-- The first sighting may be in one row and the last in another.
final as (

    select distinct on (event_id, bookmaker_key, market_key)
        event_id,
        bookmaker_key,
        market_key,
        sport_key,
        feed_id,
        min(first_seen_at) over (
            partition by
                event_id,
                bookmaker_key,
                market_key
        ) as first_seen_at,
        last_seen_at,
        quoted_at
    from sightings_known
    order by
        event_id,
        bookmaker_key,
        market_key,
        last_seen_at desc,
        quoted_at desc nulls last

)

select * from final
