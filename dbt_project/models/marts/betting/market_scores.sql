{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['event_id', 'scored_at', 'market_id'],
    on_schema_change='append_new_columns',
    tags=['scoring'],
    pre_hook=["{{ claim_loads(['staging_odds_api']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with claimed_loads as (

    select load_id
    from {{ source('ops', 'model_loads') }}
    where
        model_name = 'market_scores'
        and source_schema = 'staging_odds_api'
        and not is_done

),

odds as (

    select * from {{ ref('stg_odds_api__odds') }}

),

quotes as (

    select * from {{ ref('int_quotes_landed') }}

),

bookmakers as (

    select * from {{ ref('bookmakers') }}

),

-- Numbered, so that all sorts below begin with one integer.
claimed_boards as (

    select
        odds.event_id,
        odds.captured_at,
        row_number() over (order by odds.event_id, odds.captured_at)
            as board_number
    from claimed_loads
    inner join odds on claimed_loads.load_id = odds.load_id
    group by
        odds.event_id,
        odds.captured_at
    order by board_number
    offset 0

),

-- A board is scored from what its own capture shows and nothing else: no later
-- price, no later start, no match made afterwards. The columns that are sorted
-- by come first: to find one, PostgreSQL steps over all that stand before it.
quotes_on_board as (

    select distinct on (
        claimed_boards.board_number,
        quotes.market_key,
        quotes.description,
        quotes.bookmaker_key,
        quotes.market_id
    )
        claimed_boards.board_number,
        claimed_boards.captured_at as scored_at,
        quotes.market_id,
        quotes.market_key,
        quotes.bookmaker_key,
        quotes.owner_family,
        quotes.outcome_side,
        quotes.description,
        -- The line as the home side, or the over, sees it: one number for the
        -- two sides of a market.
        case
            when
                quotes.outcome_side = 'away' and quotes.line_points is not null
                then -quotes.line_points
            else quotes.line_points
        end::numeric(8, 2) as market_line,
        claimed_boards.event_id,
        quotes.sport_key,
        quotes.outcome_name,
        quotes.line_points::numeric(8, 2) as line_points,
        quotes.price_american,
        quotes.quoted_at,
        quotes.commences_at,
        quotes.is_two_way,
        quotes.is_gradable,
        round(extract(epoch from quotes.captured_at - quotes.quoted_at))::bigint
            as quote_age_seconds
    from claimed_boards
    cross join
        lateral (
            select
                quotes_of_board.*,
                coalesce(
                    bookmakers.owner_family, quotes_of_board.bookmaker_key
                ) as owner_family
            from quotes as quotes_of_board
            left join bookmakers
                on quotes_of_board.bookmaker_key = bookmakers.bookmaker_key
            where
                quotes_of_board.event_id = claimed_boards.event_id
                and quotes_of_board.captured_at = claimed_boards.captured_at
            order by quotes_of_board.captured_at
            offset 0
        ) as quotes
    where
        quotes.rejection_reason is null
        and not quotes.is_in_play
        and not quotes.is_lay
    order by
        claimed_boards.board_number,
        quotes.market_key,
        quotes.description,
        quotes.bookmaker_key,
        quotes.market_id,
        quotes.quoted_at desc nulls last,
        quotes.price_american,
        quotes.line_points,
        quotes.commences_at desc,
        quotes.outcome_name

),

-- Each step from here on ends with `offset 0`: PostgreSQL would put its
-- expressions in place of their names, and compute them once for each mention.
-- It says in which order its rows are, so that the next sort is one of a few
-- dozen rows at a time, however many boards are scored at once.
quotes_with_prices as (

    select
        *,
        {{ american_to_decimal('price_american') }} as price_decimal,
        {{ american_to_probability('price_american') }} as implied_probability
    from quotes_on_board
    order by
        board_number,
        market_key,
        description,
        bookmaker_key
    offset 0

),

quotes_with_booksum as (

    select
        *,
        is_two_way and count(*) over both_sides = 2 as has_both_sides,
        sum(implied_probability) over both_sides as booksum,
        sum(implied_probability) over both_sides - implied_probability
            as opposite_probability
    from quotes_with_prices
    window
        both_sides as (
            partition by
                board_number,
                market_key,
                description,
                bookmaker_key,
                market_line
        )
    order by
        board_number,
        market_key,
        description
    offset 0

),

quotes_with_fair_price as (

    select
        *,
        coalesce(
            quote_age_seconds > {{ var('stale_quote_seconds') }}, false
        ) as is_stale,
        case
            when has_both_sides
                then round(implied_probability / booksum, 10)
        end::numeric(12, 10) as fair_probability,
        -- The band over the methods with a closed form for two outcomes:
        -- multiplicative, additive (= Shin) and odds ratio.
        case
            when has_both_sides and booksum >= 1
                then
                    {{ devig_band(
                        'implied_probability', 'opposite_probability'
                    ) }}
        end::numeric(12, 10) as method_band
    from quotes_with_booksum
    order by
        board_number,
        market_key,
        description
    offset 0

),

quotes_with_vote as (

    select
        *,
        has_both_sides and booksum >= 1 and not is_stale as is_vote
    from quotes_with_fair_price

),

-- One vote per owner, so that a family of brands does not outvote the others;
-- nothing stale, nothing that sums below one.
quotes_with_family_vote as (

    select
        *,
        avg(fair_probability) filter (where is_vote) over one_family
            as family_vote,
        is_vote
        and bookmaker_key
        = min(bookmaker_key) filter (where is_vote) over one_family
            as is_first_of_family
    from quotes_with_vote
    window
        one_family as (
            partition by
                board_number,
                market_key,
                description,
                market_line,
                outcome_side,
                owner_family
        )
    order by
        board_number,
        market_key,
        description,
        market_line,
        outcome_side
    offset 0

),

quotes_with_panel as (

    select
        *,
        array_agg(family_vote) filter (where is_first_of_family) over (
            partition by
                board_number,
                market_key,
                description,
                market_line,
                outcome_side
            order by family_vote
            rows between unbounded preceding and unbounded following
        ) as all_votes
    from quotes_with_family_vote

),

-- A quote is judged by the others: its own family's vote, or one that is equal
-- to it, is left out.
quotes_with_panel_size as (

    select
        *,
        array_position(all_votes, family_vote) as vote_number,
        coalesce(cardinality(all_votes), 0) - num_nonnulls(family_vote)
            as consensus_families
    from quotes_with_panel
    order by board_number
    offset 0

),

quotes_with_consensus as (

    select
        *,
        case
            when
                consensus_families >= {{ var('consensus_min_families') }}
                then
                    {{ median_without(
                        'all_votes', 'vote_number', 'consensus_families'
                    ) }}
        end::numeric(12, 10) as consensus_probability
    from quotes_with_panel_size
    order by board_number
    offset 0

),

quotes_with_edge as (

    select
        *,
        round(consensus_probability * price_decimal - 1, 8)::numeric(12, 8)
            as edge
    from quotes_with_consensus
    order by board_number
    offset 0

),

quotes_with_reason as (

    select
        *,
        case
            when not has_both_sides then 'one_sided'
            when booksum < 1 then 'under_round'
            when is_stale then 'stale_quote'
            when consensus_probability is null then 'too_few_books'
            when not is_gradable then 'not_gradable'
            when edge < {{ var('pick_min_edge') }} then 'edge_too_small'
            -- The edge must be larger than what the choice of de-vig method
            -- alone could make of it.
            when edge <= method_band * price_decimal then 'edge_within_band'
            else 'edge'
        end as reason_code
    from quotes_with_edge
    order by board_number
    offset 0

),

final as (

    select
        event_id,
        market_id,
        scored_at,
        sport_key,
        bookmaker_key,
        market_key,
        outcome_side,
        outcome_name,
        description,
        line_points,
        price_american,
        price_decimal,
        implied_probability,
        round(booksum - 1, 10)::numeric(12, 10) as overround,
        fair_probability,
        method_band,
        consensus_probability,
        consensus_families,
        null::numeric(12, 10) as model_probability,
        edge,
        -- greatest() would make 0 of a missing edge.
        case
            when edge is not null
                then round(greatest(edge, 0) / (price_decimal - 1), 8)
        end::numeric(12, 8) as kelly_fraction,
        reason_code = 'edge' as is_pick,
        reason_code,
        quoted_at,
        quote_age_seconds,
        commences_at
    from quotes_with_reason

)

select * from final
