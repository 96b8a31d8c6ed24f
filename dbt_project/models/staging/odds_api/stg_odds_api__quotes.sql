-- One plain select, no CTEs, like the view it reads: whoever asks for a load,
-- an event or a capture takes apart the payloads of those rows only.
select
    -- ids
    landed_events.event_id,
    landed_events.sport_key,
    landed_events.request_id,

    -- event, as this payload has it
    landed_events.home_team_name,
    landed_events.away_team_name,
    landed_events.commences_at,

    -- quote
    bookmaker.payload ->> 'key' as bookmaker_key,
    market.payload ->> 'key' as market_key,
    outcome.payload ->> 'name' as outcome_name,
    outcome.payload ->> 'description' as description,
    case
        when jsonb_typeof(outcome.payload -> 'price') = 'number'
            then (outcome.payload ->> 'price')::numeric
    end as price_quoted,
    case
        when jsonb_typeof(outcome.payload -> 'point') = 'number'
            then (outcome.payload ->> 'point')::numeric
    end as line_points,

    -- the market around it
    jsonb_array_length(market.payload -> 'outcomes') as outcome_count,
    case
        when jsonb_array_length(market.payload -> 'outcomes') = 1 then 1
        when
            jsonb_array_length(market.payload -> 'outcomes') = 2
            and market.payload -> 'outcomes' -> 0 ->> 'name'
            <> market.payload -> 'outcomes' -> 1 ->> 'name'
            then 1
        else (
            select count(*)
            from jsonb_array_elements(market.payload -> 'outcomes')
                    as twin (payload)
            where
                twin.payload ->> 'name' = outcome.payload ->> 'name'
                and (
                    twin.payload ->> 'description'
                    is not distinct from outcome.payload ->> 'description'
                )
                and (
                    twin.payload -> 'point'
                    is not distinct from outcome.payload -> 'point'
                )
        )
    end as twin_count,
    case
        when
            jsonb_array_length(market.payload -> 'outcomes') = 2
            and jsonb_typeof(market.payload -> 'outcomes' -> 0 -> 'point')
            = 'number'
            and jsonb_typeof(market.payload -> 'outcomes' -> 1 -> 'point')
            = 'number'
            then
                (market.payload -> 'outcomes' -> 0 ->> 'point')::numeric
                + (market.payload -> 'outcomes' -> 1 ->> 'point')::numeric
    end as line_sum,
    opposite.payload ->> 'name' as opposite_name,
    case
        when jsonb_typeof(opposite.payload -> 'price') = 'number'
            then (opposite.payload ->> 'price')::numeric
    end as opposite_price_quoted,
    case
        when jsonb_typeof(opposite.payload -> 'point') = 'number'
            then (opposite.payload ->> 'point')::numeric
    end as opposite_line_points,
    outcome.payload as outcome,

    -- times
    coalesce(
        market.payload ->> 'last_update',
        bookmaker.payload ->> 'last_update'
    )::timestamptz as quoted_at,
    landed_events.captured_at,

    -- load
    landed_events.load_id
from {{ ref('stg_odds_api__odds') }} as landed_events
cross join
    lateral
    jsonb_array_elements(landed_events.bookmakers) as bookmaker (payload)
cross join
    lateral
    jsonb_array_elements(bookmaker.payload -> 'markets') as market (payload)
cross join
    lateral
    jsonb_array_elements(market.payload -> 'outcomes') as outcome (payload)
-- Of two, the one that this is not.
cross join
    lateral
    jsonb_array_element(
        market.payload -> 'outcomes',
        case
            when jsonb_array_length(market.payload -> 'outcomes') = 2
                then
                    case market.payload -> 'outcomes' -> 0
                        when outcome.payload then 1
                        else 0
                    end
        end
    ) as opposite (payload)
