{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    tags=['snapshot'],
    pre_hook=[
        "{{ claim_loads(
            ['staging_odds_api'],
            taken_in_by={'staging_odds_api': ['markets']},
        ) }}",
        "{{ rewind(ref('int_markets_rewound'), 'event_id') }}",
        'set local enable_mergejoin = off',
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

captures as not materialized (

    select * from {{ ref('int_captures_listed') }}

),

bookmakers as (

    select * from {{ ref('bookmakers') }}

),

markets as (

    select * from {{ ref('markets') }}

),

-- Not materialized: read twice, it would take all payloads apart. Below,
-- `offset 0` keeps the planner from joining before it has looked one event up
-- by index: it takes the few loads for few rows, and would read all of them.
quotes as not materialized (

    select * from {{ ref('int_quotes_landed') }}

),

-- What is sorted by comes first: to find a column, PostgreSQL steps over all
-- that stand before it.
quotes_to_replay as (

    select
        quotes.market_id,
        quotes.captured_at,
        quotes.event_id,
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

),

-- Should two responses of one instant disagree, the later quote stands, and of
-- two that are alike the later start: any order would do, if it is one.
quotes_by_instant as (

    select distinct on (market_id, captured_at) *
    from quotes_to_replay
    order by
        market_id,
        captured_at,
        quoted_at desc nulls last,
        price_american,
        line_points,
        commences_at desc,
        outcome_name

),

-- The last state of each market of these events, each one step into the primary
-- key: what that costs does not grow with the time an event has been listed.
states_before as (

    {% if is_incremental() -%}
    select
        states.market_id,
        states.captured_at,
        states.event_id,
        states.sport_key,
        states.feed_id,
        states.bookmaker_key,
        states.market_key,
        states.outcome_side,
        states.outcome_name,
        states.description,
        states.price_american,
        states.line_points,
        states.quoted_at,
        states.commences_at,
        rewound_events.rewound_to,
        states.change_kind
    from rewound_events
    cross join
        lateral (
            select markets_of_event.*
            from markets as markets_of_event
            where markets_of_event.event_id = rewound_events.event_id
            order by markets_of_event.event_id
            offset 0
        ) as markets
    cross join
        lateral (
            select kept.*
            from {{ this }} as kept
            where
                kept.event_id = markets.event_id
                and kept.market_id = markets.market_id
                and kept.captured_at < rewound_events.rewound_to
            order by kept.captured_at desc
            limit 1
        ) as states
    {%- else -%}
    select
        quotes_by_instant.*,
        null as change_kind
    from quotes_by_instant
    where false
    {%- endif %}

),

books_asked as (

    select
        sport_key,
        feed_id,
        market_key,
        bookmaker_key,
        min(rewound_to) as rewound_to
    from (
        select
            sport_key,
            feed_id,
            market_key,
            bookmaker_key,
            rewound_to
        from quotes_by_instant

        union all

        select
            sport_key,
            feed_id,
            market_key,
            bookmaker_key,
            rewound_to
        from states_before
    ) as books_observed
    group by
        sport_key,
        feed_id,
        market_key,
        bookmaker_key

),

-- Only a capture that asked for a market of a bookmaker can tell that it is
-- gone. The one before the rewind tells how long it was there.
books_with_capture_before as materialized (

    select
        books_asked.*,
        bookmakers.region,
        {{ capture_that_told(
            'books_asked',
            'bookmakers.region',
            ['< books_asked.rewound_to'],
        ) }} as captured_before_at
    from books_asked
    left join bookmakers
        on books_asked.bookmaker_key = bookmakers.bookmaker_key

),

captures_by_book as (

    select
        books.sport_key,
        books.feed_id,
        books.market_key,
        books.bookmaker_key,
        books.region,
        array_agg(distinct captures.captured_at order by captures.captured_at)
            as instants,
        -- Those at which a capture may be silent about some event.
        array_agg(captures.captured_at) filter (
            where captures.refused_event_ids is not null
        ) as curtailed_instants
    from books_with_capture_before as books
    cross join
        lateral (
            select captures_of_feed.*
            from captures as captures_of_feed
            where
                captures_of_feed.sport_key = books.sport_key
                and captures_of_feed.feed_id = books.feed_id
                and captures_of_feed.captured_at >= coalesce(
                    books.captured_before_at, books.rewound_to
                )
            order by captures_of_feed.captured_at
            offset 0
        ) as captures
    where
        {{ is_market_asked('captures.markets_asked', 'books.market_key') }}
        and {{ is_bookmaker_asked(
            'captures.regions_asked',
            'captures.bookmakers_asked',
            'books.bookmaker_key',
            'books.region'
        ) }}
    group by
        books.sport_key,
        books.feed_id,
        books.market_key,
        books.bookmaker_key,
        books.region

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
-- because a join on the instant has no statistics to be planned by. Nor has the
-- one of books, which are few: merging would sort all observations for it, so
-- it is switched off. With an offset, so that what is sorted has no arrays.
observations_with_next as (

    select
        observations_known.*,
        captures_by_book.region,
        captures_by_book.instants[
            width_bucket(
                observations_known.known_at, captures_by_book.instants
            )
            + 1
        ] as next_instant,
        captures_by_book.curtailed_instants
    from observations_known
    left join captures_by_book
        on
            observations_known.sport_key = captures_by_book.sport_key
            and observations_known.feed_id = captures_by_book.feed_id
            and observations_known.market_key = captures_by_book.market_key
            and observations_known.bookmaker_key
            = captures_by_book.bookmaker_key
    offset 0 -- noqa: AM09

),

-- A capture that is silent about the event could not show the market: then the
-- one after it is looked for by itself.
observations as (

    select
        observations_with_next.*,
        case
            when
                observations_with_next.next_instant
                = any(observations_with_next.curtailed_instants)
                then {{ capture_that_told(
                    'observations_with_next',
                    'observations_with_next.region',
                    ['>= observations_with_next.next_instant'],
                    event_id='observations_with_next.event_id',
                    is_next=true,
                ) }}
            else observations_with_next.next_instant
        end as next_captured_at
    from observations_with_next

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

-- One in ten tells something: what is read twice from here on is kept small.
observations_judged as (

    select
        *,
        case
            when is_kept then null
            when observation_number = 1 then 'opened'
            when
                previous_change_kind = 'withdrawn'
                or captured_at > expected_at
                then 'returned'
            when
                (price_american is distinct from previous_price_american)
                or (line_points is distinct from previous_line_points)
                then 'moved'
        end as change,
        (
            next_captured_at is not null
            and (change_kind is distinct from 'withdrawn')
            and (seen_again_at is null or seen_again_at > next_captured_at)
        ) as is_withdrawn_next
    from observations_in_time

),

observations_that_tell as materialized (

    select *
    from observations_judged
    where change is not null or is_withdrawn_next

),

prices_changed as (

    select *
    from observations_that_tell
    where change is not null

),

markets_withdrawn as (

    select *
    from observations_that_tell
    where is_withdrawn_next

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

changes_and_states as (

    select
        *,
        false as is_kept
    from changes

    union all

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
        change_kind,
        true as is_kept
    from states_before

),

changes_in_time as (

    select
        *,
        lag(captured_at) over (
            partition by market_id
            order by captured_at
        ) as previous_change_at
    from changes_and_states

),

-- Until when the price before was there: up to the last capture before the
-- change that could show it, or it would have been withdrawn.
changes_with_instant as (

    select
        changes_in_time.*,
        captures_by_book.region,
        captures_by_book.instants[
            width_bucket(
                changes_in_time.captured_at - interval '1 microsecond',
                captures_by_book.instants
            )
        ] as previous_instant,
        captures_by_book.curtailed_instants
    from changes_in_time
    left join captures_by_book
        on
            changes_in_time.sport_key = captures_by_book.sport_key
            and changes_in_time.feed_id = captures_by_book.feed_id
            and changes_in_time.market_key = captures_by_book.market_key
            and changes_in_time.bookmaker_key = captures_by_book.bookmaker_key
    where not changes_in_time.is_kept

),

changes_with_previous_sighting as (

    select
        changes_with_instant.*,
        case
            when
                changes_with_instant.change_kind
                not in ('moved', 'withdrawn')
                then null
            when
                changes_with_instant.curtailed_instants is not null
                and changes_with_instant.previous_instant
                = any(changes_with_instant.curtailed_instants)
                then
                    greatest(
                        changes_with_instant.previous_change_at,
                        {{ capture_that_told(
                            'changes_with_instant',
                            'changes_with_instant.region',
                            [
                                '<= changes_with_instant.previous_instant',
                                '> changes_with_instant.previous_change_at',
                            ],
                            event_id='changes_with_instant.event_id',
                        ) }}
                    )
            else
                greatest(
                    changes_with_instant.previous_change_at,
                    changes_with_instant.previous_instant
                )
        end as previous_seen_at
    from changes_with_instant

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
        captured_at >= commences_at as is_in_play,
        previous_seen_at
    from changes_with_previous_sighting
    -- In the order of the key, whose index is then a tenth smaller.
    order by
        event_id,
        market_id,
        captured_at

)

select * from final
