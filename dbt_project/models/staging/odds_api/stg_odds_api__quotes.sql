with landed_events as (

    select * from {{ ref('stg_odds_api__odds') }}

),

-- The functions run once for each landed row, after the filters on it: whoever
-- reads this view by load, event or capture pays for the rows asked for only.
exploded as (

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
        market.payload -> 'outcomes' as outcomes,
        outcome.payload as outcome,

        -- times
        coalesce(
            market.payload ->> 'last_update',
            bookmaker.payload ->> 'last_update'
        )::timestamptz as quoted_at,
        landed_events.captured_at,

        -- load
        landed_events.load_id
    from landed_events
    cross join lateral
        jsonb_array_elements(landed_events.bookmakers) as bookmaker (payload)
    cross join lateral
        jsonb_array_elements(bookmaker.payload -> 'markets') as market (payload)
    cross join lateral
        jsonb_array_elements(market.payload -> 'outcomes') as outcome (payload)

)

select * from exploded
