{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['source', 'source_id'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    indexes=[{'columns': ['game_id']}],
) }}

with matches as (

    select * from {{ ref('int_events_matched') }}

),

final as (

    select
        source,
        source_id,
        game_id,
        match_method,
        minutes_apart,
        is_swapped,
        valid_from_at,
        valid_to_at,
        matched_at
    from matches

)

select * from final
