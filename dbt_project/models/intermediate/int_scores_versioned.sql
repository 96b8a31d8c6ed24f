{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    tags=['results'],
    meta={
        'tells': {
            'game_result_versions': 'changed.event_id',
            'rejected_results': 'changed.event_id',
        },
    },
    pre_hook=[
        "{{ claim_loads(['staging_odds_api']) }}",
        "{{ rewind(ref('int_events_rewound'), 'event_id') }}",
    ],
    post_hook=["{{ release_loads() }}"],
) }}

with rewound_events as (

    select
        event_id,
        rewound_to
    from {{ ref('int_events_rewound') }}
    where model_name = 'int_scores_versioned'

),

scores as (

    select * from {{ ref('stg_odds_api__scores') }}

),

-- Two responses of one instant may disagree: the order below is arbitrary but
-- the same whatever order they arrived in.
scores_by_instant as (

    select distinct on (scores.event_id, scores.captured_at)
        scores.event_id,
        scores.captured_at,
        coalesce(scores.is_completed, false) as is_completed,
        scores.home_score,
        scores.away_score
    from rewound_events
    inner join scores
        on
            rewound_events.event_id = scores.event_id
            and rewound_events.rewound_to <= scores.captured_at
    order by
        scores.event_id,
        scores.captured_at,
        scores.is_completed desc nulls last,
        scores.payload_hash

),

versions_before as (

    {% if is_incremental() -%}
    select distinct on (kept.event_id)
        kept.event_id,
        kept.captured_at,
        kept.is_completed,
        kept.home_score,
        kept.away_score
    from rewound_events
    inner join {{ this }} as kept
        on
            rewound_events.event_id = kept.event_id
            and rewound_events.rewound_to > kept.captured_at
    order by
        kept.event_id,
        kept.captured_at desc
    {%- else -%}
    select * from scores_by_instant
    where false
    {%- endif %}

),

scores_in_order as (

    select
        *,
        true as is_kept
    from versions_before

    union all

    select
        *,
        false as is_kept
    from scores_by_instant

),

scores_with_previous as (

    select
        *,
        lag((is_completed, home_score, away_score)) over (
            partition by event_id
            order by captured_at
        ) as previous_score
    from scores_in_order

),

final as (

    select
        event_id,
        captured_at,
        is_completed,
        home_score,
        away_score
    from scores_with_previous
    where
        not is_kept
        and (is_completed, home_score, away_score)
        is distinct from previous_score

)

select * from final
