{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['source', 'source_id'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    post_hook=["{{ forget_missing(
        ref('int_ids_unmatched'), ['source', 'source_id']
    ) }}"],
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
