{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['game_id', 'result_version'],
    on_schema_change='append_new_columns',
    tags=['results'],
    meta={
        'due': {'game_result_versions': 'each_row.game_id = due.row_key::uuid'},
        'tells': {
            'game_results': 'changed.game_id',
            'grades': 'changed.game_id',
        },
    },
    pre_hook=[
        "{{ claim_due(
            seeds=[
                ref('leagues'), ref('league_teams'), ref('result_overrides'),
            ],
            rows=games_due(ref('int_results_concerned')),
        ) }}",
    ],
    post_hook=["{{ release_due() }}"],
) }}

with results_versioned as (

    {{ due_rows(ref('int_results_versioned')) }}

),

final as (

    select
        game_id,
        result_version,
        is_latest,
        result_status,
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
        checked_home_score,
        checked_away_score,
        finalized_at
    from results_versioned

)

select * from final
