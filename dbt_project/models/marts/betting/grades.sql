{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['pick_id', 'grade_version'],
    on_schema_change='append_new_columns',
    tags=['grading'],
    meta={
        'due': {'grades': 'each_row.pick_id = due.row_key::uuid'},
    },
    pre_hook=[
        "{{ claim_due(
            seeds=[ref('leagues'), ref('settlement_rules')],
            rows=picks_due(
                ref('int_picks_concerned'), ref('picks'), ref('settlement_rules')
            ),
        ) }}",
    ],
    post_hook=["{{ release_due() }}", "{{ remember_as_of() }}"],
) }}

with picks_graded as (

    {{ due_rows(ref('int_picks_graded')) }}

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
