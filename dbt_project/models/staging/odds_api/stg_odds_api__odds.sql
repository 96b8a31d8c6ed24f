with source as (

    select * from {{ source('odds_api', 'odds') }}

),

completed_loads as (

    select load_id
    from {{ source('odds_api', '_dlt_loads') }}
    where status = 0

),

renamed as (

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
    from source
    inner join completed_loads on source._dlt_load_id = completed_loads.load_id

)

select * from renamed
