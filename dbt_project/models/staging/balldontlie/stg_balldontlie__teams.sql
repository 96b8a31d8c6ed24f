-- One plain select, no CTEs: PostgreSQL pushes no join condition into a view
-- that has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    source.team_id as balldontlie_team_id,
    source.request_id,

    -- text
    source.payload ->> 'full_name' as full_name,
    source.payload ->> 'abbreviation' as abbreviation,
    source.payload ->> 'city' as city,
    source.payload ->> 'conference' as conference,
    source.payload ->> 'division' as division,
    source.payload_hash,

    -- times
    source.captured_at,

    -- load
    source._dlt_load_id as load_id
from {{ source('balldontlie', 'teams') }} as source
