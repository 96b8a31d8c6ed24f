with claimed_loads as (

    select
        model_name,
        load_id
    from {{ source('ops', 'model_loads') }}
    where source_schema = 'staging_odds_api' and not is_done

),

events as (

    select * from {{ ref('stg_odds_api__events') }}

),

odds as (

    select * from {{ ref('stg_odds_api__odds') }}

),

scores as (

    select * from {{ ref('stg_odds_api__scores') }}

),

claimed_listings as (

    select
        claimed_loads.model_name,
        events.event_id,
        events.captured_at
    from claimed_loads
    inner join events on claimed_loads.load_id = events.load_id

    union all

    select
        claimed_loads.model_name,
        odds.event_id,
        odds.captured_at
    from claimed_loads
    inner join odds on claimed_loads.load_id = odds.load_id

    union all

    select
        claimed_loads.model_name,
        scores.event_id,
        scores.captured_at
    from claimed_loads
    inner join scores on claimed_loads.load_id = scores.load_id

),

final as (

    select
        model_name,
        event_id,
        min(captured_at) as rewound_to
    from claimed_listings
    group by
        model_name,
        event_id

)

select * from final
