-- One plain select, no CTEs: PostgreSQL pushes no join condition into a view
-- that has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    source.event_id,
    source.sport_key,
    source.request_id,

    -- text
    source.payload ->> 'home_team' as home_team_name,
    source.payload ->> 'away_team' as away_team_name,
    source.payload_hash,

    -- json
    source.payload,
    source.payload -> 'bookmakers' as bookmakers,

    -- times
    (source.payload ->> 'commence_time')::timestamptz as commences_at,
    source.captured_at,

    -- load
    source._dlt_load_id as load_id
from {{ source('odds_api', 'odds') }} as source
