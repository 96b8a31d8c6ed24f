{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    tags=['ingest'],
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
    where model_name = 'int_events_versioned'

),

events as (

    select * from {{ ref('stg_odds_api__events') }}

),

odds as (

    select * from {{ ref('stg_odds_api__odds') }}

),

scores as (

    select * from {{ ref('stg_odds_api__scores') }}

),

listings as (

    select
        events.event_id,
        events.captured_at,
        events.sport_key,
        events.commences_at,
        events.home_team_name,
        events.away_team_name
    from rewound_events
    inner join events
        on
            rewound_events.event_id = events.event_id
            and rewound_events.rewound_to <= events.captured_at

    union all

    select
        odds.event_id,
        odds.captured_at,
        odds.sport_key,
        odds.commences_at,
        odds.home_team_name,
        odds.away_team_name
    from rewound_events
    inner join odds
        on
            rewound_events.event_id = odds.event_id
            and rewound_events.rewound_to <= odds.captured_at

    union all

    select
        scores.event_id,
        scores.captured_at,
        scores.sport_key,
        scores.commences_at,
        scores.home_team_name,
        scores.away_team_name
    from rewound_events
    inner join scores
        on
            rewound_events.event_id = scores.event_id
            and rewound_events.rewound_to <= scores.captured_at

),

-- Two responses of one instant may disagree: the order below is arbitrary but
-- the same whatever order they arrived in.
listings_by_instant as (

    select distinct on (event_id, captured_at) *
    from listings
    order by
        event_id,
        captured_at,
        commences_at desc,
        home_team_name,
        away_team_name

),

versions_before as (

    {% if is_incremental() -%}
    select distinct on (kept.event_id)
        kept.event_id,
        kept.captured_at,
        kept.sport_key,
        kept.commences_at,
        kept.home_team_name,
        kept.away_team_name,
        kept.first_listed_at
    from rewound_events
    inner join {{ this }} as kept
        on
            rewound_events.event_id = kept.event_id
            and rewound_events.rewound_to > kept.captured_at
    order by
        kept.event_id,
        kept.captured_at desc
    {%- else -%}
    select
        listings_by_instant.*,
        null::timestamptz as first_listed_at
    from listings_by_instant
    where false
    {%- endif %}

),

sequence as (

    select
        versions_before.*,
        true as is_kept
    from versions_before

    union all

    select
        listings_by_instant.*,
        null as first_listed_at,
        false as is_kept
    from listings_by_instant

),

sequence_with_previous as (

    select
        *,
        row_number() over event_in_time as listing_number,
        lag(commences_at) over event_in_time as previous_commences_at,
        lag(home_team_name) over event_in_time as previous_home_team_name,
        lag(away_team_name) over event_in_time as previous_away_team_name,
        coalesce(
            first_value(first_listed_at) over event_in_time,
            first_value(captured_at) over event_in_time
        ) as event_first_listed_at
    from sequence
    window event_in_time as (partition by event_id order by captured_at)

),

final as (

    select
        event_id,
        captured_at,
        sport_key,
        home_team_name,
        away_team_name,
        commences_at,
        event_first_listed_at as first_listed_at
    from sequence_with_previous
    where
        not is_kept
        and (
            listing_number = 1
            or commences_at is distinct from previous_commences_at
            or home_team_name is distinct from previous_home_team_name
            or away_team_name is distinct from previous_away_team_name
        )

)

select * from final
