-- One plain select, no CTEs, like the view it reads: whoever asks for a load,
-- an event or a capture takes apart the payloads of those rows only. What is in
-- a subquery with an offset would otherwise be taken out of the payload again
-- for every quote. What the outcomes of a market say of one another is in one
-- subquery that asks for nothing else: most are quoted again as they were in
-- the capture before, and PostgreSQL remembers what it gave for them. All the
-- markets of a bookmaker are hardly ever as they were: their capture is named
-- too, which changes nothing, so that they are not remembered.
-- noqa: disable=ST05
select
    -- ids
    landed_events.event_id,
    landed_events.sport_key,
    landed_events.request_id,

    -- event, as this payload has it
    header.home_team_name,
    header.away_team_name,
    header.commences_at,

    -- quote
    bookmaker.key as bookmaker_key,
    listing.key as market_key,
    quote.outcome_name,
    quote.description,
    quote.price_quoted,
    quote.line_points,

    -- the market around it
    quote.outcome_count,
    quote.twin_count,
    quote.side_count,
    quote.line_sum,
    quote.opposite_name,
    quote.opposite_price_quoted,
    quote.opposite_line_points,
    quote.outcome,

    -- times
    market.quoted_at,
    landed_events.captured_at,

    -- load
    landed_events.load_id
from {{ ref('stg_odds_api__odds') }} as landed_events
cross join
    lateral (
        select
            landed_events.home_team_name,
            landed_events.away_team_name,
            landed_events.commences_at
        order by landed_events.event_id
        offset 0
    ) as header
cross join
    lateral jsonb_to_recordset(landed_events.bookmakers) as bookmaker (
        key text,
        last_update text,
        markets jsonb
    )
cross join
    lateral jsonb_to_recordset(
        case
            when landed_events.captured_at is null then bookmaker.markets
            else bookmaker.markets
        end
    ) as listing (
        key text,
        last_update text,
        outcomes jsonb
    )
cross join
    lateral (
        select
            coalesce(
                listing.last_update, bookmaker.last_update
            )::timestamptz as quoted_at
        order by listing.key
        offset 0
    ) as market
cross join
    lateral (
        select
            outcome,
            outcome_name,
            description,
            price_quoted,
            line_points,
            count(*) over () as outcome_count,
            count(*) over (
                partition by
                    outcome_name,
                    description,
                    outcome -> 'point'
            ) as twin_count,
            count(*) over (
                partition by
                    outcome_name,
                    description
            ) as side_count,
            case
                when
                    count(*) over () = 2
                    and count(line_points) over () = 2
                    then sum(line_points) over ()
            end as line_sum,
            -- Of two, the one that this is not.
            case
                when count(*) over () = 2
                    then
                        coalesce(
                            lag(outcome_name) over as_listed,
                            lead(outcome_name) over as_listed
                        )
            end as opposite_name,
            case
                when count(*) over () = 2
                    then
                        coalesce(
                            lag(price_quoted) over as_listed,
                            lead(price_quoted) over as_listed
                        )
            end as opposite_price_quoted,
            case
                when count(*) over () = 2
                    then
                        coalesce(
                            lag(line_points) over as_listed,
                            lead(line_points) over as_listed
                        )
            end as opposite_line_points
        from (
            select
                element.payload as outcome,
                element.place,
                element.payload ->> 'name' as outcome_name,
                element.payload ->> 'description' as description,
                case
                    when
                        jsonb_typeof(element.payload -> 'price') = 'number'
                        then (element.payload -> 'price')::numeric
                end as price_quoted,
                case
                    when
                        jsonb_typeof(element.payload -> 'point') = 'number'
                        then (element.payload -> 'point')::numeric
                end as line_points
            from
                jsonb_array_elements(listing.outcomes)
                with ordinality as element (payload, place)
        ) as numbers
        window as_listed as (order by place)
        order by place
        offset 0
    ) as quote
