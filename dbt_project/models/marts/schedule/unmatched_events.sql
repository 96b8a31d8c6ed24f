{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['source', 'source_id'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
) }}

with ids_unmatched as (

    select * from {{ ref('int_ids_unmatched') }}

),

final as (

    select
        source,
        source_id,
        league,
        reason,
        detail,
        candidates,
        commences_at,
        first_seen_at
    from ids_unmatched

)

select * from final
