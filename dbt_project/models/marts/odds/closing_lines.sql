{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['event_id', 'market_id'],
    on_schema_change='append_new_columns',
    tags=['snapshot'],
    meta={
        'tells': {
            'line_movements': 'changed.event_id',
            'pick_clv': 'changed.event_id',
        },
    },
    pre_hook=[
        "{{ claim_loads(
            ['staging_odds_api'],
            taken_in_by={'staging_odds_api': ['markets', 'event_versions']},
        ) }}",
        "{{ claim_due(
            seeds=[ref('leagues')],
            rows=starts_apart(ref('int_events_started')),
        ) }}",
        "{{ forget_unstarted(
            ref('int_closes_touched'), ref('int_events_started')
        ) }}",
    ],
    post_hook=["{{ release_loads() }}", "{{ release_due() }}"],
    indexes=[{'columns': ['market_id']}],
) }}

with touched_events as (

    select event_id
    from {{ ref('int_closes_touched') }}
    where model_name = 'closing_lines'

),

events_started as (

    select * from {{ ref('int_events_started') }}

),

-- Not materialized, here and below: what is read twice would be read whole.
markets as not materialized (

    select * from {{ ref('markets') }}

),

quotes as not materialized (

    select * from {{ ref('int_quotes_landed') }}

),

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

bookmakers as (

    select * from {{ ref('bookmakers') }}

),

started_events as (

    select events_started.*
    from touched_events
    cross join
        lateral (
            select starts.*
            from events_started as starts
            where starts.event_id = touched_events.event_id
            order by starts.starts_at
            offset 0
        ) as events_started

),

-- The capture just before the start, and the few after it that still show what
-- was quoted before it. The bookmaker's own clock decides, not ours, but what
-- was captured before the start was quoted before it, whatever that clock says.
quotes_since_last_listing as (

    select
        quotes.*,
        started_events.starts_at
    from started_events
    cross join
        lateral (
            select quotes_of_event.*
            from quotes as quotes_of_event
            where
                quotes_of_event.event_id = started_events.event_id
                and quotes_of_event.captured_at >= coalesce(
                    started_events.last_listed_before_start_at,
                    started_events.starts_at
                )
                and quotes_of_event.captured_at < started_events.starts_at
                + interval '{{ var("close_grace_seconds") }} seconds'
            order by quotes_of_event.captured_at
            offset 0
        ) as quotes

),

books_of_events as (

    select
        started_events.event_id,
        started_events.starts_at,
        started_events.last_listed_before_start_at,
        books.sport_key,
        books.feed_id,
        books.market_key,
        books.bookmaker_key,
        books.first_seen_at,
        bookmakers.region
    from started_events
    cross join
        lateral (
            select
                markets_of_event.sport_key,
                markets_of_event.feed_id,
                markets_of_event.market_key,
                markets_of_event.bookmaker_key,
                min(markets_of_event.first_seen_at) as first_seen_at
            from markets as markets_of_event
            where markets_of_event.event_id = started_events.event_id
            group by
                markets_of_event.sport_key,
                markets_of_event.feed_id,
                markets_of_event.market_key,
                markets_of_event.bookmaker_key
            order by markets_of_event.bookmaker_key
            offset 0
        ) as books
    left join bookmakers on books.bookmaker_key = bookmakers.bookmaker_key

),

-- The props of an event are asked for seconds after the board, other regions at
-- other times: a market that the capture before the start did not ask for is to
-- be found in the last one that did, none from before its first sighting.
-- Materialized, or it would be looked up once for each mention.
books_looked_for as materialized (

    select
        books_of_events.*,
        {{ capture_that_told(
            'books_of_events',
            'books_of_events.region',
            [
                '< books_of_events.starts_at',
                '>= books_of_events.first_seen_at',
            ],
            event_id='books_of_events.event_id',
        ) }} as looked_at
    from books_of_events

),

books_looked_for_earlier as (

    select * from books_looked_for
    where looked_at < last_listed_before_start_at

),

earlier_looks as (

    select
        event_id,
        starts_at,
        looked_at
    from books_looked_for_earlier
    group by
        event_id,
        starts_at,
        looked_at

),

quotes_from_earlier_looks as (

    select
        quotes.*,
        earlier_looks.starts_at
    from earlier_looks
    cross join
        lateral (
            select quotes_of_capture.*
            from quotes as quotes_of_capture
            where
                quotes_of_capture.event_id = earlier_looks.event_id
                and quotes_of_capture.captured_at = earlier_looks.looked_at
            order by quotes_of_capture.captured_at
            offset 0
        ) as quotes
    inner join books_looked_for_earlier as books
        on
            quotes.event_id = books.event_id
            and quotes.captured_at = books.looked_at
            and quotes.market_key = books.market_key
            and quotes.bookmaker_key = books.bookmaker_key

),

quotes_about_start as (

    select * from quotes_since_last_listing

    union all

    select * from quotes_from_earlier_looks

),

quotes_before_start as (

    select
        market_id,
        event_id,
        bookmaker_key,
        is_two_way,
        is_lay,
        price_american,
        line_points::numeric(8, 2) as line_points,
        quoted_at,
        captured_at
    from quotes_about_start
    where
        rejection_reason is null
        and least(quoted_at, captured_at) < starts_at

),

closing_quotes as (

    select distinct on (market_id) *
    from quotes_before_start
    order by
        market_id,
        captured_at desc,
        quoted_at desc nulls last,
        price_american,
        line_points

),

books_at_close as (

    select
        event_id,
        bookmaker_key
    from quotes_before_start
    group by
        event_id,
        bookmaker_key

),

closes as (

    select
        markets.event_id,
        markets.market_id,
        markets.bookmaker_key,
        markets.market_key,
        markets.outcome_side,
        markets.outcome_name,
        markets.description,
        closing_quotes.is_two_way,
        closing_quotes.is_lay,
        closing_quotes.line_points,
        closing_quotes.price_american,
        {{ american_to_decimal('closing_quotes.price_american') }}
            as price_decimal,
        {{ american_to_probability('closing_quotes.price_american') }}
            as implied_probability,
        closing_quotes.quoted_at,
        closing_quotes.captured_at,
        started_events.starts_at,
        round(
            extract(
                epoch from started_events.starts_at
                - least(closing_quotes.quoted_at, closing_quotes.captured_at)
            )
        )::bigint as close_age_seconds,
        books_at_close.bookmaker_key is not null as is_book_at_close,
        started_events.last_listed_before_start_at
    from started_events
    inner join markets on started_events.event_id = markets.event_id
    left join closing_quotes on markets.market_id = closing_quotes.market_id
    left join books_at_close
        on
            markets.event_id = books_at_close.event_id
            and markets.bookmaker_key = books_at_close.bookmaker_key

),

closes_with_pairs as (

    select
        *,
        count(price_american) over both_sides as side_count,
        sum(implied_probability) over both_sides as booksum
    from closes
    window both_sides as (
        partition by
            event_id,
            bookmaker_key,
            market_key,
            description,
            case
                when outcome_side = 'away' then -line_points
                else line_points
            end
    )

),

final as (

    select
        event_id,
        market_id,
        bookmaker_key,
        market_key,
        outcome_side,
        outcome_name,
        description,
        line_points,
        price_american,
        price_decimal,
        implied_probability,
        case
            when is_two_way and not is_lay and side_count = 2
                then round(implied_probability / booksum, 10)
        end::numeric(12, 10) as fair_probability,
        starts_at,
        quoted_at,
        captured_at,
        close_age_seconds,
        case
            when
                close_age_seconds <= {{ var('close_max_age_seconds') }}
                then 'measured'
            when close_age_seconds is not null then 'stale'
            when last_listed_before_start_at is null then 'no_snapshot'
            when is_book_at_close then 'market_missing'
            else 'book_missing'
        end as close_status
    from closes_with_pairs

)

select * from final
