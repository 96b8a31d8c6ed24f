with responses as (

    select * from {{ ref('stg_odds_api__responses') }}

),

final as (

    select
        request_id,
        sport_key,
        coalesce(asked_event_id, sport_key) as feed_id,
        captured_at,
        markets_asked,
        response_hash,
        load_id
    from responses
    where
        endpoint in (
            'odds', 'historical_odds', 'event_odds', 'historical_event_odds'
        )

)

select * from final
