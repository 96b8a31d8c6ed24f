-- One plain select, no CTEs: PostgreSQL pushes no join condition into a view
-- that has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    refused.event_id,
    source.sport_key,
    source.request_id,

    -- text
    source.endpoint,

    -- times
    source.captured_at,

    -- load
    source._dlt_load_id as load_id
from {{ source('odds_api', 'responses') }} as source
cross join
    lateral jsonb_array_elements_text(
        source.refused_event_ids
    ) as refused (event_id)
where source.refused_event_ids is not null
