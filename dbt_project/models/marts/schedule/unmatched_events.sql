{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['source', 'source_id'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    meta={
        'due': {
            'unmatched_events': """
                each_row.source = (due.row_key::text[])[1]
                and each_row.source_id = (due.row_key::text[])[2]
            """,
        },
    },
    pre_hook=[
        "{{ tell_unmatched(ref('int_events_identified'), ref('games')) }}",
        "{{ claim_due(
            seeds=[
                ref('leagues'),
                ref('league_teams'),
                ref('match_overrides'),
            ],
            rows=ids_to_explain(ref('int_ids_concerned')),
        ) }}",
    ],
    post_hook=["{{ release_due() }}"],
) }}

with ids_unmatched as (

    select * from {{ ref('int_ids_unmatched') }}

),

final as (

    select
        source,
        source_id,
        league,
        reason,
        detail,
        candidates,
        commences_at,
        first_seen_at
    from ids_unmatched

)

select * from final
