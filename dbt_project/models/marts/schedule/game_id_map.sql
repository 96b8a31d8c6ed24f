{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['source', 'source_id'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    meta={
        'due': {
            'game_id_map': """
                each_row.source = (due.row_key::text[])[1]
                and each_row.source_id = (due.row_key::text[])[2]
            """,
        },
        'tells': {
            'game_result_versions': 'changed.game_id',
            'rejected_results': 'changed.game_id',
            'grades':
                "case when changed.source = 'odds_api' "
                "then changed.source_id end",
            'markets':
                "case when changed.source = 'odds_api' "
                "then changed.source_id end",
            'closing_lines': {
                'key':
                    "case when changed.source = 'odds_api' "
                    "then changed.source_id end",
                'watched': ['game_id'],
            },
        },
    },
    pre_hook=[
        "{{ claim_due(
            seeds=[ref('leagues'), ref('match_overrides')],
            rows='select row_key from ' ~ ref('int_ids_concerned'),
        ) }}",
    ],
    post_hook=["{{ release_due() }}"],
    indexes=[{'columns': ['game_id']}],
) }}

with matches as (

    select * from {{ ref('int_events_matched') }}

),

final as (

    select
        source,
        source_id,
        game_id,
        match_method,
        minutes_apart,
        is_swapped,
        valid_from_at,
        valid_to_at,
        matched_at
    from matches

)

select * from final
