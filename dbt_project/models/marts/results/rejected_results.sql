{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['results'],
    meta={
        'due': {'rejected_results': 'each_row.game_id = due.row_key::uuid'},
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

with results_rejected as (

    {{ due_rows(ref('int_results_rejected')) }}

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
