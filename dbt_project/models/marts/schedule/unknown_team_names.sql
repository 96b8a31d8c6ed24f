{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['source', 'league', 'source_name'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
) }}

with team_names_missed as (

    select * from {{ ref('int_team_names_missed') }}

),

final as (

    select
        source,
        league,
        source_name,
        game_count,
        example_source_id,
        first_seen_at
    from team_names_missed

)

select * from final
