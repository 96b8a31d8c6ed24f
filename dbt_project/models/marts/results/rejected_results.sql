{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['results'],
) }}

with results_rejected as (

    select * from {{ ref('int_results_rejected') }}

),

final as (

    select
        game_id,
        league,
        schedule_source_id,
        reason,
        detail,
        home_score,
        away_score,
        periods,
        checked_home_score,
        checked_away_score,
        first_seen_at
    from results_rejected

)

select * from final
