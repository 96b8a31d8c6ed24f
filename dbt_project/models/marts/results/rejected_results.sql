{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['results'],
    post_hook=["{{ forget_missing(
        ref('int_results_rejected'), ['game_id']
    ) }}"],
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
