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

captures_of_markets as (

    select
        quotes.event_id,
        quotes.bookmaker_key,
        quotes.market_key,
        quotes.captured_at,
        quotes.sport_key,
        quotes.feed_id,
        max(quotes.quoted_at) as quoted_at
    from rewound_events
    cross join
        lateral (
            select quotes_of_event.*
            from quotes as quotes_of_event
            where
                quotes_of_event.event_id = rewound_events.event_id
                and quotes_of_event.captured_at >= rewound_events.rewound_to
            order by quotes_of_event.captured_at
            offset 0
        ) as quotes
    where quotes.rejection_reason is null
    group by
        quotes.event_id,
        quotes.bookmaker_key,
        quotes.market_key,
        quotes.captured_at,
        quotes.sport_key,
        quotes.feed_id

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
