with source as (

    select * from {{ source('balldontlie', 'teams') }}

),

completed_loads as (

    select load_id
    from {{ source('balldontlie', '_dlt_loads') }}
    where status = 0

),

renamed as (

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
    from source
    inner join completed_loads on source._dlt_load_id = completed_loads.load_id

)

select * from renamed
