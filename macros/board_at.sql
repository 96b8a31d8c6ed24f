{% macro board_at(instant) -%}
    with events_listed as (

        -- Whatever the feed says of its time now: an event that was on the
        -- board then had been listed, and was not over for a day.
        select
            events.event_id,
            versions.commences_at <= {{ instant }} as has_begun
        from {{ ref('int_events_identified') }} as events
        left join
            lateral (
                select each_version.commences_at
                from {{ ref('event_versions') }} as each_version
                where
                    each_version.event_id = events.event_id
                    and each_version.first_seen_at <= {{ instant }}
                order by each_version.first_seen_at desc
                limit 1
            ) as versions
            on true
        where
            events.first_listed_at <= {{ instant }}
            and events.commences_at > {{ instant }} - interval '1 day'

    ),

    last_changes as (

        select
            events_listed.has_begun,
            changes.*
        from events_listed
        inner join {{ ref('markets') }} as markets
            on events_listed.event_id = markets.event_id
        cross join
            lateral (
                select history.*
                from {{ ref('odds_snapshots') }} as history
                where
                    history.event_id = markets.event_id
                    and history.market_id = markets.market_id
                    and history.captured_at <= {{ instant }}
                order by history.captured_at desc
                limit 1
            ) as changes

    ),

    books_on_board as (

        select
            sport_key,
            feed_id,
            market_key,
            bookmaker_key
        from last_changes
        where change_kind <> 'withdrawn'
        group by
            sport_key,
            feed_id,
            market_key,
            bookmaker_key

    ),

    -- What had not been withdrawn was shown by the last capture that asked.
    books_seen as materialized (

        select
            books_on_board.*,
            bookmakers.region,
            {{ capture_that_told(
                'books_on_board',
                'bookmakers.region',
                ['<= ' ~ instant],
                captures=ref('int_captures_listed'),
            ) }} as captured_at
        from books_on_board
        left join {{ ref('bookmakers') }} as bookmakers
            on books_on_board.bookmaker_key = bookmakers.bookmaker_key

    ),

    -- Unless that capture is silent about the event: then it was the last that
    -- is not.
    books_with_last_look as materialized (

        select
            *,
            exists (
                select 1
                from {{ ref('int_captures_listed') }} as captures
                where
                    captures.sport_key = books_seen.sport_key
                    and captures.feed_id = books_seen.feed_id
                    and captures.captured_at = books_seen.captured_at
                    and captures.refused_event_ids is not null
            ) as is_look_curtailed
        from books_seen

    ),

    offers as (

        select
            last_changes.*,
            greatest(
                last_changes.captured_at,
                case
                    when books_with_last_look.is_look_curtailed
                        then {{ capture_that_told(
                            'last_changes',
                            'books_with_last_look.region',
                            ['>= last_changes.captured_at', '<= ' ~ instant],
                            event_id='last_changes.event_id',
                            captures=ref('int_captures_listed'),
                        ) }}
                    else books_with_last_look.captured_at
                end
            ) as seen_at
        from last_changes
        inner join books_with_last_look
            on
                last_changes.sport_key = books_with_last_look.sport_key
                and last_changes.feed_id = books_with_last_look.feed_id
                and last_changes.market_key = books_with_last_look.market_key
                and last_changes.bookmaker_key = books_with_last_look.bookmaker_key
        where last_changes.change_kind <> 'withdrawn'

    )

    select
        event_id,
        market_id,
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
        quoted_at,
        captured_at as changed_at,
        seen_at,
        extract(epoch from {{ instant }} - captured_at)::bigint
            as price_age_seconds,
        extract(epoch from {{ instant }} - seen_at)::bigint
            as seen_age_seconds,
        has_begun as is_in_play
    from offers
{%- endmacro %}
