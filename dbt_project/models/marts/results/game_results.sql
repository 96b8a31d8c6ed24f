{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['results'],
) }}

with results_settled as (

    select * from {{ ref('int_results_settled') }}

),

final as (

    select
        game_id,
        league,
        home_team_id,
        away_team_id,
        home_score,
        away_score,
        periods,
        overtime_periods,
        home_period_scores,
        away_period_scores,
        winner_team_id,
        margin,
        total_points,
        is_quarter_sum_off,
        cross_check,
        result_version,
        finalized_at
    from results_settled

)

select * from final
