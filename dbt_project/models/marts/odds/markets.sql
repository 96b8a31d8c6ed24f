{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='market_id',
    on_schema_change='append_new_columns',
    tags=['ingest'],
    pre_hook=[
        "{{ claim_loads(['staging_odds_api']) }}",
        "{{ claim_due() }}",
    ],
    post_hook=["{{ release_loads() }}", "{{ release_due() }}"],
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

    select * from {{ ref('int_quotes_landed') }}

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

odds as (

    select * from {{ ref('stg_odds_api__odds') }}

),

market_sightings as (

    select * from {{ ref('market_sightings') }}

),

bookmakers as (

    select * from {{ ref('bookmakers') }}

),

game_id_map as not materialized (

    select * from {{ ref('game_id_map') }}

),

rematched_events as (

    select * from {{ ref('int_events_rematched') }}

),

-- Events whose match was made, corrected or withdrawn since: one market of each
-- tells, for they are written together.
remapped_events as (

    select
        rematched_events.event_id,
        present_match.game_id
    from rematched_events
    left join
        lateral (
            select matches.game_id
            from game_id_map as matches
            where
                matches.source = 'odds_api'
                and matches.source_id = rematched_events.event_id
            order by matches.source
            offset 0
        ) as present_match
        on true
    {%- if is_incremental() %}
    cross join
        lateral (
            select one_market.game_id
            from {{ this }} as one_market
            where one_market.event_id = rematched_events.event_id
            order by one_market.event_id
            limit 1
        ) as kept
    where
        kept.game_id is distinct from present_match.game_id
        and not exists (
            select 1
            from captured_events
            where captured_events.event_id = rematched_events.event_id
        )
    {%- else %}
    where false
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
        present_match.game_id
    from touched_events
    left join
        lateral (
            select matches.game_id
            from game_id_map as matches
            where
                matches.source = 'odds_api'
                and matches.source_id = touched_events.event_id
            order by matches.source
            offset 0
        ) as present_match
        on true

),

-- Event by event: a sort of all quotes at once would not fit into memory.
latest_quotes as (

    select
        latest.market_id,
        latest.event_id,
        rewound_events.game_id,
        latest.sport_key,
        latest.feed_id,
        latest.bookmaker_key,
        latest.market_key,
        latest.outcome_side,
        latest.outcome_name,
        latest.description,
        latest.line_points::numeric(8, 2) as line_points,
        latest.price_american,
        latest.quoted_at,
        latest.captured_at,
        latest.commences_at,
        latest.first_seen_at
    from rewound_events
    cross join
        lateral (
            select distinct on (quotes.market_id)
                quotes.*,
                min(quotes.captured_at) over (partition by quotes.market_id)
                    as first_seen_at
            from quotes
            where
                quotes.event_id = rewound_events.event_id
                and quotes.captured_at >= rewound_events.rewound_to
                and quotes.rejection_reason is null
            order by
                quotes.market_id,
                quotes.captured_at desc,
                quotes.quoted_at desc nulls last,
                quotes.price_american,
                quotes.line_points,
                quotes.commences_at desc,
                quotes.outcome_name
            offset 0
        ) as latest

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
        kept.last_price_american as price_american,
        kept.quoted_at,
        kept.captured_at,
        kept.commences_at,
        kept.first_seen_at
    from rewound_events
    cross join
        lateral (
            select markets_of_event.*
            from {{ this }} as markets_of_event
            where markets_of_event.event_id = rewound_events.event_id
            order by markets_of_event.event_id
            offset 0
        ) as kept
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
        line_points,
        commences_at desc,
        outcome_name

),

books_looked_for as (

    select
        feed_id,
        sport_key,
        market_key,
        bookmaker_key
    from markets_merged
    group by
        feed_id,
        sport_key,
        market_key,
        bookmaker_key

),

-- Only a capture that asked for a market of a bookmaker can tell that it is
-- gone. Materialized, or it would be looked up once a market.
books_last_captured as materialized (

    select
        books_looked_for.*,
        bookmakers.region,
        {{ capture_that_told(
            'books_looked_for',
            'bookmakers.region',
        ) }} as last_captured_at
    from books_looked_for
    left join bookmakers
        on books_looked_for.bookmaker_key = bookmakers.bookmaker_key

),

-- Of an event of which that capture is silent, the last that is not tells.
books_with_last_look as (

    select
        *,
        exists(
            select 1
            from captures
            where
                captures.sport_key = books_last_captured.sport_key
                and captures.feed_id = books_last_captured.feed_id
                and captures.captured_at = books_last_captured.last_captured_at
                and captures.refused_event_ids is not null
        ) as is_look_curtailed
    from books_last_captured

),

events_last_listed as materialized (

    select
        rewound_events.event_id,
        listings.captured_at as listed_at,
        listings.commences_at,
        (
            select captures.captured_at
            from captures
            where
                captures.sport_key = listings.sport_key
                and captures.feed_id = listings.sport_key
                and captures.captured_at > listings.captured_at
                and not {{ is_silent_about(
                    'captures', 'rewound_events.event_id'
                ) }}
            order by captures.captured_at
            limit 1
        ) as next_captured_at
    from rewound_events
    cross join
        lateral (
            select
                odds.sport_key,
                odds.captured_at,
                odds.commences_at
            from odds
            where odds.event_id = rewound_events.event_id
            order by
                odds.captured_at desc,
                odds.commences_at
            limit 1
        ) as listings

),

markets_with_looks as (

    select
        markets_merged.*,
        books_with_last_look.last_captured_at,
        case
            when
                books_with_last_look.is_look_curtailed
                and markets_merged.captured_at
                < books_with_last_look.last_captured_at
                then {{ capture_that_told(
                    'markets_merged',
                    'books_with_last_look.region',
                    ['>= markets_merged.captured_at'],
                    event_id='markets_merged.event_id',
                ) }}
            else books_with_last_look.last_captured_at
        end as last_told_at,
        events_last_listed.listed_at,
        greatest(
            books_with_last_look.last_captured_at, events_last_listed.listed_at
        ) as looked_at,
        coalesce(
            events_last_listed.commences_at
            <= events_last_listed.next_captured_at,
            false
        ) as has_started_unseen
    from markets_merged
    inner join books_with_last_look
        on
            markets_merged.feed_id = books_with_last_look.feed_id
            and markets_merged.market_key = books_with_last_look.market_key
            and markets_merged.bookmaker_key
            = books_with_last_look.bookmaker_key
    left join events_last_listed
        on markets_merged.event_id = events_last_listed.event_id

),

-- An event is gone when no look for its featured markets finds it any more;
-- nobody asks for the props of an event that is gone.
markets_with_event as (

    select
        *,
        coalesce(captured_at >= last_told_at, true) as is_shown,
        coalesce(
            bool_or(
                case
                    when feed_id = sport_key then last_told_at <= listed_at
                end
            ) over one_event,
            bool_or(last_told_at <= listed_at) over one_event,
            true
        ) as is_event_listed
    from markets_with_looks
    window one_event as (partition by event_id)

),

captures_shown as (

    select
        feed_id,
        captured_at
    from markets_with_event
    where is_shown
    group by
        feed_id,
        captured_at

),

-- When each bookmaker of a capture, and any of them, last renewed anything in
-- it, over all its events.
books_renewed as (

    select
        captures_shown.feed_id,
        captures_shown.captured_at,
        market_sightings.bookmaker_key,
        max(market_sightings.quoted_at) as renewed_at,
        max(max(market_sightings.quoted_at)) over (
            partition by
                captures_shown.feed_id,
                captures_shown.captured_at
        ) as any_renewed_at
    from captures_shown
    inner join market_sightings
        on
            captures_shown.feed_id = market_sightings.feed_id
            and captures_shown.captured_at = market_sightings.last_seen_at
    group by
        captures_shown.feed_id,
        captures_shown.captured_at,
        market_sightings.bookmaker_key

),

markets_with_state as (

    select
        markets_with_event.*,
        case
            when
                not markets_with_event.is_event_listed
                and markets_with_event.has_started_unseen
                then 'closed'
            when not markets_with_event.is_event_listed then 'withdrawn'
            when not markets_with_event.is_shown then 'suspended'
            when
                books_renewed.renewed_at < markets_with_event.captured_at
                - interval '{{ var("stale_quote_seconds") }} seconds'
                and books_renewed.any_renewed_at
                >= markets_with_event.captured_at
                - interval '{{ var("stale_quote_seconds") }} seconds'
                then 'frozen'
            when
                coalesce(
                    markets_with_event.quoted_at,
                    markets_with_event.captured_at
                )
                < markets_with_event.looked_at
                - interval '{{ var("stale_quote_seconds") }} seconds'
                then 'stale'
            when
                markets_with_event.captured_at
                >= markets_with_event.commences_at
                then 'in_play'
            else 'open'
        end as market_state
    from markets_with_event
    left join books_renewed
        on
            markets_with_event.feed_id = books_renewed.feed_id
            and markets_with_event.captured_at = books_renewed.captured_at
            and markets_with_event.bookmaker_key = books_renewed.bookmaker_key
            -- Of an event of which the last capture is silent an older one was
            -- the last look, and for the others it was not: what was seen last
            -- then tells nothing of a whole bookmaker.
            and coalesce(
                markets_with_event.captured_at
                >= markets_with_event.last_captured_at,
                true
            )

),

-- A price is only what can be had: the last one of a market in any other state
-- stands beside it, under another name.
markets_with_price as (

    select
        *,
        case
            when market_state in ('open', 'in_play') then price_american
        end as price_on_offer
    from markets_with_state

),

final as (

    select
        market_id,
        event_id,
        game_id,
        sport_key,
        feed_id,
        bookmaker_key,
        market_key,
        outcome_side,
        outcome_name,
        description,
        line_points,
        price_on_offer as price_american,
        {{ american_to_decimal('price_on_offer') }} as price_decimal,
        {{ american_to_probability('price_on_offer') }} as implied_probability,
        first_seen_at_ever as first_seen_at,
        quoted_at,
        captured_at,
        commences_at,
        is_shown and is_event_listed as is_open,
        captured_at >= commences_at as is_in_play,
        market_state,
        price_american as last_price_american,
        extract(epoch from captured_at - quoted_at)::bigint
            as quote_age_seconds
    from markets_with_price

)

select * from final
