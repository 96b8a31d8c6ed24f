{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['pick_id', 'grade_version'],
    on_schema_change='append_new_columns',
    tags=['grading'],
) }}

with picks_graded as (

    select * from {{ ref('int_picks_graded') }}

),

final as (

    select
        pick_id,
        grade_version,
        event_id,
        game_id,
        outcome,
        profit_units,
        reason_code,
        result_version,
        rule_id,
        graded_at,
        is_latest
    from picks_graded

)

select * from final
