-- One plain select, no CTEs, like the view it reads: whoever asks for a load,
-- an event or a capture takes apart the payloads of those rows only. Each level
-- is a subquery of its own with an offset, or PostgreSQL would unpack the whole
-- payload again for every column of every quote that refers to it.
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
    bookmaker.bookmaker_key,
    market.market_key,
    quote.outcome_name,
    quote.description,
    quote.price_quoted,
    quote.line_points,

    -- the market around it
    market.outcome_count,
    case
        when market.outcome_count = 1 then 1
        when
            market.outcome_count = 2
            and market.first_name <> market.second_name
            then 1
        else (
            select count(*)
            from jsonb_array_elements(market.outcomes) as twin (payload)
            where
                twin.payload ->> 'name' = quote.outcome_name
                and (
                    twin.payload ->> 'description'
                    is not distinct from quote.description
                )
                and (
                    twin.payload -> 'point'
                    is not distinct from outcome.payload -> 'point'
                )
        )
    end as twin_count,
    case
        when market.outcome_count = 1 then 1
        when
            market.outcome_count = 2
            and market.first_name <> market.second_name
            then 1
        else (
            select count(*)
            from jsonb_array_elements(market.outcomes) as twin (payload)
            where
                twin.payload ->> 'name' = quote.outcome_name
                and (
                    twin.payload ->> 'description'
                    is not distinct from quote.description
                )
        )
    end as side_count,
    market.line_sum,
    opposite.outcome_name as opposite_name,
    opposite.price_quoted as opposite_price_quoted,
    opposite.line_points as opposite_line_points,
    outcome.payload as outcome,

    -- times
    coalesce(market.last_update, bookmaker.last_update)::timestamptz
        as quoted_at,
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
    lateral jsonb_array_elements(landed_events.bookmakers) as offer (payload)
cross join
    lateral (
        select
            offer.payload ->> 'key' as bookmaker_key,
            offer.payload ->> 'last_update' as last_update,
            offer.payload -> 'markets' as markets
        order by landed_events.event_id
        offset 0
    ) as bookmaker
cross join
    lateral jsonb_array_elements(bookmaker.markets) as listing (payload)
cross join
    lateral (
        select
            listing.payload ->> 'key' as market_key,
            listing.payload ->> 'last_update' as last_update,
            listing.payload -> 'outcomes' as outcomes,
            jsonb_array_length(listing.payload -> 'outcomes') as outcome_count,
            listing.payload #>> '{outcomes, 0, name}' as first_name,
            listing.payload #>> '{outcomes, 1, name}' as second_name,
            case
                when
                    jsonb_array_length(listing.payload -> 'outcomes') = 2
                    and jsonb_typeof(listing.payload #> '{outcomes, 0, point}')
                    = 'number'
                    and jsonb_typeof(listing.payload #> '{outcomes, 1, point}')
                    = 'number'
                    then
                        (listing.payload #>> '{outcomes, 0, point}')::numeric
                        + (listing.payload #>> '{outcomes, 1, point}')::numeric
            end as line_sum
        order by landed_events.event_id
        offset 0
    ) as market
cross join
    lateral jsonb_array_elements(market.outcomes) as outcome (payload)
cross join
    lateral (
        select
            outcome.payload ->> 'name' as outcome_name,
            outcome.payload ->> 'description' as description,
            case
                when jsonb_typeof(outcome.payload -> 'price') = 'number'
                    then (outcome.payload ->> 'price')::numeric
            end as price_quoted,
            case
                when jsonb_typeof(outcome.payload -> 'point') = 'number'
                    then (outcome.payload ->> 'point')::numeric
            end as line_points
        order by landed_events.event_id
        offset 0
    ) as quote
-- Of two, the one that this is not.
cross join
    lateral (
        select
            other.payload ->> 'name' as outcome_name,
            case
                when jsonb_typeof(other.payload -> 'price') = 'number'
                    then (other.payload ->> 'price')::numeric
            end as price_quoted,
            case
                when jsonb_typeof(other.payload -> 'point') = 'number'
                    then (other.payload ->> 'point')::numeric
            end as line_points
        from
            jsonb_array_element(
                market.outcomes,
                case
                    when market.outcome_count = 2
                        then
                            case market.outcomes -> 0
                                when outcome.payload then 1
                                else 0
                            end
                end
            ) as other (payload)
        order by landed_events.event_id
        offset 0
    ) as opposite
