{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    tags=['snapshot'],
    pre_hook=[
        "{{ claim_loads(['staging_odds_api']) }}",
        "{{ rewind(ref('int_markets_rewound'), 'event_id') }}",
    ],
    post_hook=["{{ release_loads() }}"],
) }}

with rewound_events as (

    select
        event_id,
        rewound_to
    from {{ ref('int_markets_rewound') }}
    where model_name = 'odds_snapshots'

),

captures as (

    select * from {{ ref('int_captures_listed') }}

),

quotes as (

    select * from {{ ref('int_quotes_normalised') }}

),

quotes_to_replay as (

    select
        quotes.event_id,
        quotes.market_id,
        quotes.captured_at,
        quotes.sport_key,
        quotes.feed_id,
        quotes.bookmaker_key,
        quotes.market_key,
        quotes.outcome_side,
        quotes.outcome_name,
        quotes.description,
        quotes.price_american,
        quotes.line_points,
        quotes.quoted_at,
        quotes.commences_at,
        rewound_events.rewound_to
    from rewound_events
    inner join quotes
        on
            rewound_events.event_id = quotes.event_id
            and rewound_events.rewound_to <= quotes.captured_at
    where quotes.rejection_reason is null

),

-- Should two responses of one instant disagree, the later quote stands.
quotes_by_instant as (

    select distinct on (market_id, captured_at) *
    from quotes_to_replay
    order by
        market_id,
        captured_at,
        quoted_at desc nulls last,
        price_american,
        line_points

),

states_before as (

    {% if is_incremental() -%}
    select distinct on (kept.event_id, kept.market_id)
        kept.event_id,
        kept.market_id,
        kept.captured_at,
        kept.sport_key,
        kept.feed_id,
        kept.bookmaker_key,
        kept.market_key,
        kept.outcome_side,
        kept.outcome_name,
        kept.description,
        kept.price_american,
        kept.line_points,
        kept.quoted_at,
        kept.commences_at,
        rewound_events.rewound_to,
        kept.change_kind
    from rewound_events
    inner join {{ this }} as kept
        on
            rewound_events.event_id = kept.event_id
            and rewound_events.rewound_to > kept.captured_at
    order by
        kept.event_id,
        kept.market_id,
        kept.captured_at desc
    {%- else -%}
    select
        quotes_by_instant.*,
        null as change_kind
    from quotes_by_instant
    where false
    {%- endif %}

),

-- Only a capture that asked for a market can tell that it is gone.
markets_asked as (

    select distinct
        sport_key,
        feed_id,
        market_key
    from (
        select
            sport_key,
            feed_id,
            market_key
        from quotes_by_instant

        union all

        select
            sport_key,
            feed_id,
            market_key
        from states_before
    ) as markets_seen

),

captures_by_market as (

    select
        markets_asked.sport_key,
        markets_asked.feed_id,
        markets_asked.market_key,
        captures.captured_at,
        lead(captures.captured_at) over (
            partition by
                markets_asked.sport_key,
                markets_asked.feed_id,
                markets_asked.market_key
            order by captures.captured_at
        ) as next_captured_at
    from markets_asked
    inner join captures
        on
            markets_asked.sport_key = captures.sport_key
            and markets_asked.feed_id = captures.feed_id
    where
        captures.captured_at >= (
            select min(rewound_events.rewound_to) from rewound_events
        )
        and {{ is_market_asked(
            'captures.markets_asked', 'markets_asked.market_key'
        ) }}
    group by
        markets_asked.sport_key,
        markets_asked.feed_id,
        markets_asked.market_key,
        captures.captured_at

),

first_captures_by_event as (

    select
        rewound_events.event_id,
        captures_by_market.feed_id,
        captures_by_market.market_key,
        min(captures_by_market.captured_at) as captured_at
    from rewound_events
    inner join captures_by_market
        on rewound_events.rewound_to <= captures_by_market.captured_at
    group by
        rewound_events.event_id,
        captures_by_market.feed_id,
        captures_by_market.market_key

),

observations as (

    select
        states_before.*,
        first_captures_by_event.captured_at as next_captured_at,
        true as is_kept
    from states_before
    left join first_captures_by_event
        on
            states_before.event_id = first_captures_by_event.event_id
            and states_before.feed_id = first_captures_by_event.feed_id
            and states_before.market_key = first_captures_by_event.market_key

    union all

    select
        quotes_by_instant.*,
        null as change_kind,
        captures_by_market.next_captured_at,
        false as is_kept
    from quotes_by_instant
    left join captures_by_market
        on
            quotes_by_instant.sport_key = captures_by_market.sport_key
            and quotes_by_instant.feed_id = captures_by_market.feed_id
            and quotes_by_instant.market_key = captures_by_market.market_key
            and quotes_by_instant.captured_at = captures_by_market.captured_at

),

observations_in_time as (

    select
        *,
        row_number() over market_in_time as observation_number,
        lag(price_american) over market_in_time as previous_price_american,
        lag(line_points) over market_in_time as previous_line_points,
        lag(next_captured_at) over market_in_time as expected_at,
        lag(change_kind) over market_in_time as previous_change_kind,
        lead(captured_at) over market_in_time as seen_again_at
    from observations
    window market_in_time as (
        partition by market_id
        order by captured_at
    )

),

prices_changed as (

    select
        *,
        case
            when observation_number = 1 then 'opened'
            when
                previous_change_kind = 'withdrawn'
                or captured_at > expected_at
                then 'returned'
            when
                price_american is distinct from previous_price_american
                or line_points is distinct from previous_line_points
                then 'moved'
        end as change
    from observations_in_time
    where not is_kept

),

markets_withdrawn as (

    select *
    from observations_in_time
    where
        next_captured_at is not null
        and change_kind is distinct from 'withdrawn'
        and (seen_again_at is null or seen_again_at > next_captured_at)

),

changes as (

    select
        event_id,
        market_id,
        captured_at,
        sport_key,
        feed_id,
        bookmaker_key,
        market_key,
        outcome_side,
        outcome_name,
        description,
        price_american,
        line_points,
        quoted_at,
        commences_at,
        change as change_kind
    from prices_changed
    where change is not null

    union all

    select
        event_id,
        market_id,
        next_captured_at as captured_at,
        sport_key,
        feed_id,
        bookmaker_key,
        market_key,
        outcome_side,
        outcome_name,
        description,
        null as price_american,
        null as line_points,
        null as quoted_at,
        commences_at,
        'withdrawn' as change_kind
    from markets_withdrawn

),

final as (

    select
        event_id,
        market_id,
        captured_at,
        sport_key,
        feed_id,
        bookmaker_key,
        market_key,
        outcome_side,
        outcome_name,
        description,
        price_american,
        {{ american_to_decimal('price_american') }} as price_decimal,
        {{ american_to_probability('price_american') }}
            as implied_probability,
        line_points::numeric(8, 2) as line_points,
        quoted_at,
        commences_at,
        change_kind,
        captured_at >= commences_at as is_in_play
    from changes

)

select * from final
