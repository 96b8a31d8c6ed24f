-- One plain select, no CTEs, so that joins on it find responses by index.
select
    request_id,
    endpoint,
    sport_key,
    coalesce(asked_event_id, sport_key) as feed_id,
    captured_at,
    refused_event_ids,
    load_id
from {{ ref('stg_odds_api__responses') }}
where
    refused_event_ids is not null
    and endpoint in (
        'events',
        'odds',
        'event_odds',
        'historical_events',
        'historical_odds',
        'historical_event_odds'
    )
