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

-- Not materialized: read twice, it would take all payloads apart.
quotes as not materialized (

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

    select
        sport_key,
        feed_id,
        market_key
    from quotes_by_instant

    union distinct

    select
        sport_key,
        feed_id,
        market_key
    from states_before

),

captures_by_market as (

    select
        markets_asked.sport_key,
        markets_asked.feed_id,
        markets_asked.market_key,
        array_agg(distinct captures.captured_at order by captures.captured_at)
            as instants
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
        markets_asked.market_key

),

-- What was on offer up to known_at, from before the rewind and after it.
observations_known as (

    select
        states_before.*,
        states_before.rewound_to - interval '1 microsecond' as known_at,
        true as is_kept
    from states_before

    union all

    select
        quotes_by_instant.*,
        null as change_kind,
        quotes_by_instant.captured_at as known_at,
        false as is_kept
    from quotes_by_instant

),

-- The next capture that could show the market: an array searched by halves,
-- because a join on the instant has no statistics to be planned by.
-- Materialized, or the arrays would be sorted along.
observations as materialized (

    select
        observations_known.*,
        captures_by_market.instants[
            width_bucket(
                observations_known.known_at, captures_by_market.instants
            )
            + 1
        ] as next_captured_at
    from observations_known
    left join captures_by_market
        on
            observations_known.sport_key = captures_by_market.sport_key
            and observations_known.feed_id = captures_by_market.feed_id
            and observations_known.market_key = captures_by_market.market_key

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
                (price_american is distinct from previous_price_american)
                or (line_points is distinct from previous_line_points)
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

-- A kept change has the start of its own time, and the start may have moved
-- since. Materialized, or the search would be made again for every market.
starts_before as materialized (

    select
        withdrawals.event_id,
        withdrawals.feed_id,
        (
            select quotes.commences_at
            from quotes
            where
                quotes.event_id = withdrawals.event_id
                and quotes.feed_id = withdrawals.feed_id
                and quotes.captured_at < withdrawals.rewound_to
            order by quotes.captured_at desc
            limit 1
        ) as commences_at
    from (
        select
            event_id,
            feed_id,
            rewound_to
        from markets_withdrawn
        where is_kept
        group by
            event_id,
            feed_id,
            rewound_to
    ) as withdrawals

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
        markets_withdrawn.event_id,
        markets_withdrawn.market_id,
        markets_withdrawn.next_captured_at as captured_at,
        markets_withdrawn.sport_key,
        markets_withdrawn.feed_id,
        markets_withdrawn.bookmaker_key,
        markets_withdrawn.market_key,
        markets_withdrawn.outcome_side,
        markets_withdrawn.outcome_name,
        markets_withdrawn.description,
        null as price_american,
        null as line_points,
        null as quoted_at,
        coalesce(
            starts_before.commences_at,
            markets_withdrawn.commences_at
        ) as commences_at,
        'withdrawn' as change_kind
    from markets_withdrawn
    left join starts_before
        on
            markets_withdrawn.event_id = starts_before.event_id
            and markets_withdrawn.feed_id = starts_before.feed_id
            and markets_withdrawn.is_kept

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
