-- One plain select, no CTEs: PostgreSQL pushes no join condition into a view
-- that has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    source.request_id,
    source.sport_key,
    source.event_id as asked_event_id,

    -- text
    source.endpoint,
    source.origin,
    source.response_hash,

    -- what was asked
    string_to_array(source.markets_asked, ',') as markets_asked,
    string_to_array(source.regions_asked, ',') as regions_asked,
    string_to_array(source.bookmakers_asked, ',') as bookmakers_asked,

    -- counts
    source.element_count,

    -- what could not land
    source.refused_event_ids,

    -- times
    source.captured_at,

    -- load
    source._dlt_load_id as load_id
from {{ source('odds_api', 'responses') }} as source
