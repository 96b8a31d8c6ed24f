{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='market_id',
    on_schema_change='append_new_columns',
    tags=['ingest'],
    pre_hook=["{{ claim_loads(['staging_odds_api']) }}"],
    post_hook=["{{ release_loads() }}"],
    indexes=[{'columns': ['event_id']}, {'columns': ['game_id']}],
) }}

with captured_events as (

    select
        event_id,
        rewound_to
    from {{ ref('int_markets_rewound') }}
    where model_name = 'markets'

),

quotes as (

    select * from {{ ref('int_quotes_normalised') }}

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

game_id_map as (

    select * from {{ ref('game_id_map') }}

),

events as (

    select * from {{ ref('int_events_identified') }}

),

-- Events whose match was made, corrected or withdrawn since.
remapped_events as (

    select
        events.event_id,
        game_id_map.game_id
    from events
    left join game_id_map
        on
            events.event_id = game_id_map.source_id
            and game_id_map.source = 'odds_api'
    where
    {% if is_incremental() -%}
    exists (
        select 1
        from {{ this }} as kept
        where
            kept.event_id = events.event_id
            and (kept.game_id is distinct from game_id_map.game_id)
    )
    and not exists (
        select 1
        from captured_events
        where captured_events.event_id = events.event_id
    )
    {%- else -%}
        false
    {%- endif %}

),

touched_events as (

    select * from captured_events

    union all

    select
        event_id,
        'infinity'::timestamptz as rewound_to
    from remapped_events

),

-- The match is looked up once an event: at the end, a join of all markets would
-- be planned without statistics.
rewound_events as (

    select
        touched_events.event_id,
        touched_events.rewound_to,
        game_id_map.game_id
    from touched_events
    left join game_id_map
        on
            touched_events.event_id = game_id_map.source_id
            and game_id_map.source = 'odds_api'

),

quotes_since as (

    select
        quotes.market_id,
        quotes.event_id,
        rewound_events.game_id,
        quotes.sport_key,
        quotes.feed_id,
        quotes.bookmaker_key,
        quotes.market_key,
        quotes.outcome_side,
        quotes.outcome_name,
        quotes.description,
        quotes.line_points::numeric(8, 2) as line_points,
        quotes.price_american,
        quotes.quoted_at,
        quotes.captured_at,
        quotes.commences_at
    from rewound_events
    inner join quotes
        on
            rewound_events.event_id = quotes.event_id
            and rewound_events.rewound_to <= quotes.captured_at
    where quotes.rejection_reason is null

),

latest_quotes as (

    select distinct on (market_id)
        *,
        min(captured_at) over (partition by market_id) as first_seen_at
    from quotes_since
    order by
        market_id,
        captured_at desc,
        quoted_at desc nulls last,
        price_american,
        line_points

),

markets_before as (

    {% if is_incremental() -%}
    select
        kept.market_id,
        kept.event_id,
        rewound_events.game_id,
        kept.sport_key,
        kept.feed_id,
        kept.bookmaker_key,
        kept.market_key,
        kept.outcome_side,
        kept.outcome_name,
        kept.description,
        kept.line_points,
        kept.price_american,
        kept.quoted_at,
        kept.captured_at,
        kept.commences_at,
        kept.first_seen_at
    from rewound_events
    inner join {{ this }} as kept on rewound_events.event_id = kept.event_id
    {%- else -%}
    select * from latest_quotes
    where false
    {%- endif %}

),

markets_known as (

    select * from latest_quotes

    union all

    select * from markets_before

),

markets_merged as (

    select distinct on (market_id)
        *,
        min(first_seen_at) over (partition by market_id)
            as first_seen_at_ever
    from markets_known
    order by
        market_id,
        captured_at desc,
        quoted_at desc nulls last,
        price_american,
        line_points

),

feeds as (

    select
        feed_id,
        sport_key,
        market_key
    from markets_merged
    group by
        feed_id,
        sport_key,
        market_key

),

-- Only a capture that asked for a market can tell that it is gone.
-- Materialized, or it would be looked up once a market, not once a feed.
feeds_last_captured as materialized (

    select
        feeds.feed_id,
        feeds.market_key,
        (
            select captures.captured_at
            from captures
            where
                captures.sport_key = feeds.sport_key
                and captures.feed_id = feeds.feed_id
                and {{ is_market_asked(
                    'captures.markets_asked', 'feeds.market_key'
                ) }}
            order by captures.captured_at desc
            limit 1
        ) as last_captured_at
    from feeds

),

final as (

    select
        markets_merged.market_id,
        markets_merged.event_id,
        markets_merged.game_id,
        markets_merged.sport_key,
        markets_merged.feed_id,
        markets_merged.bookmaker_key,
        markets_merged.market_key,
        markets_merged.outcome_side,
        markets_merged.outcome_name,
        markets_merged.description,
        markets_merged.line_points,
        markets_merged.price_american,
        {{ american_to_decimal('markets_merged.price_american') }}
            as price_decimal,
        {{ american_to_probability('markets_merged.price_american') }}
            as implied_probability,
        markets_merged.first_seen_at_ever as first_seen_at,
        markets_merged.quoted_at,
        markets_merged.captured_at,
        markets_merged.commences_at,
        markets_merged.captured_at
        >= feeds_last_captured.last_captured_at as is_open,
        markets_merged.captured_at >= markets_merged.commences_at
            as is_in_play
    from markets_merged
    inner join feeds_last_captured
        on
            markets_merged.feed_id = feeds_last_captured.feed_id
            and markets_merged.market_key = feeds_last_captured.market_key

)

select * from final
