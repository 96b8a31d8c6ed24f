-- One plain select, no CTEs, so that joins on it find captures by index.
select
    request_id,
    sport_key,
    coalesce(asked_event_id, sport_key) as feed_id,
    captured_at,
    markets_asked,
    regions_asked,
    bookmakers_asked,
    refused_event_ids,
    response_hash,
    load_id
from {{ ref('stg_odds_api__responses') }}
where
    endpoint in (
        'odds', 'historical_odds', 'event_odds', 'historical_event_odds'
    )
