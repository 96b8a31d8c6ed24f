with source as (

    select * from {{ source('odds_api', 'responses') }}

),

completed_loads as (

    select load_id
    from {{ source('odds_api', '_dlt_loads') }}
    where status = 0

),

renamed as (

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

        -- times
        source.captured_at,

        -- load
        source._dlt_load_id as load_id
    from source
    inner join completed_loads on source._dlt_load_id = completed_loads.load_id

)

select * from renamed
