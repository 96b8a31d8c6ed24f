{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['results'],
    meta={
        'due': {
            'game_result_versions': 'each_row.game_id = due.row_key::uuid',
        },
    },
    pre_hook=["{{ claim_due() }}"],
    post_hook=["{{ release_due() }}"],
) }}

with result_versions as (

    {{ due_rows(ref('game_result_versions')) }}

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
    from result_versions
    where is_latest and result_status = 'final'

)

select * from final
