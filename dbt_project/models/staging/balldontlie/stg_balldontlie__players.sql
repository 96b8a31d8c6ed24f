-- One plain select, no CTEs: PostgreSQL pushes no join condition into a view
-- that has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    source.player_id as balldontlie_player_id,
    source.request_id,

    -- text
    source.payload ->> 'first_name' as first_name,
    source.payload ->> 'last_name' as last_name,
    nullif(source.payload ->> 'position', '') as position,
    nullif(source.payload ->> 'height', '') as height,
    nullif(source.payload ->> 'weight', '') as weight,
    nullif(source.payload ->> 'college', '') as college,
    nullif(source.payload ->> 'country', '') as country,
    (source.payload -> 'team' ->> 'id')::integer as balldontlie_team_id,
    source.payload_hash,

    -- times
    source.captured_at,

    -- load
    source._dlt_load_id as load_id
from {{ source('balldontlie', 'players') }} as source
