with source as (

    select * from {{ source('balldontlie', 'players') }}

),

completed_loads as (

    select load_id
    from {{ source('balldontlie', '_dlt_loads') }}
    where status = 0

),

renamed as (

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
    from source
    inner join completed_loads on source._dlt_load_id = completed_loads.load_id

)

select * from renamed
