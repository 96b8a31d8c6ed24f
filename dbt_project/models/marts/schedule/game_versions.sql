{%- set told = {
    'key': match_key(
        commences_at='changed.starts_at',
        game_date_et='changed.game_date_et',
        balldontlie_game_id='changed.balldontlie_game_id',
    ),
    'watched': [
        'starts_at', 'superseded_at',
        'home_balldontlie_team_id', 'away_balldontlie_team_id',
    ],
} -%}
{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['balldontlie_game_id', 'first_seen_at'],
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    meta={
        'tells': {
            'games': 'changed.balldontlie_game_id',
            'game_id_map': told,
            'unmatched_events': told,
            'game_result_versions':
                "case when changed.status <> 'scheduled' "
                "then changed.balldontlie_game_id end",
            'rejected_results':
                "case when changed.status <> 'scheduled' "
                "then changed.balldontlie_game_id end",
        },
    },
    pre_hook=[
        "{{ claim_loads(['staging_balldontlie']) }}",
        "{{ rewind(
            ref('int_games_rewound'), 'balldontlie_game_id', at='first_seen_at'
        ) }}",
    ],
    post_hook=["{{ release_loads() }}"],
    indexes=[{'columns': ['starts_at']}],
) }}

with rewound_games as (

    select
        balldontlie_game_id,
        rewound_to
    from {{ ref('int_games_rewound') }}
    where model_name = 'game_versions'

),

games as not materialized (

    select * from {{ ref('stg_balldontlie__games') }}

),

-- Two rows of one instant may disagree, as pages of a list that shifts: the
-- order below is arbitrary but the same whatever order they arrived in.
rows_by_instant as (

    select distinct on (games.balldontlie_game_id, games.captured_at)
        games.balldontlie_game_id,
        games.captured_at,
        games.season,
        games.is_postseason,
        games.status_text,
        games.status,
        games.source_date_et,
        games.game_date_et,
        games.starts_at,
        games.home_balldontlie_team_id,
        games.away_balldontlie_team_id,
        games.home_score,
        games.away_score,
        games.period,
        games.home_period_scores,
        games.away_period_scores,
        games.is_period_sum_off,
        {{ surrogate_key([
            'games.season',
            'games.is_postseason',
            'games.status_text',
            'games.status',
            'games.source_date_et',
            'extract(epoch from games.starts_at)::bigint',
            'games.home_balldontlie_team_id',
            'games.away_balldontlie_team_id',
            'games.home_score',
            'games.away_score',
            'games.period',
            'games.home_period_scores',
            'games.away_period_scores',
        ]) }} as version_hash
    from rewound_games
    inner join games
        on
            rewound_games.balldontlie_game_id = games.balldontlie_game_id
            and rewound_games.rewound_to <= games.captured_at
    order by
        games.balldontlie_game_id,
        games.captured_at,
        games.period desc nulls last,
        games.payload_hash

),

-- The version in force just before, and when it was last confirmed.
versions_before as (

    {% if is_incremental() -%}
    select
        latest_kept.balldontlie_game_id,
        latest_kept.first_seen_at as captured_at,
        latest_kept.season,
        latest_kept.is_postseason,
        latest_kept.status_text,
        latest_kept.status,
        latest_kept.source_date_et,
        latest_kept.game_date_et,
        latest_kept.starts_at,
        latest_kept.home_balldontlie_team_id,
        latest_kept.away_balldontlie_team_id,
        latest_kept.home_score,
        latest_kept.away_score,
        latest_kept.period,
        latest_kept.home_period_scores,
        latest_kept.away_period_scores,
        latest_kept.is_period_sum_off,
        latest_kept.version_hash,
        (
            select games.captured_at
            from games
            where
                games.balldontlie_game_id = latest_kept.balldontlie_game_id
                and games.captured_at < latest_kept.rewound_to
            order by games.captured_at desc
            limit 1
        ) as last_seen_at
    from (
        select distinct on (kept.balldontlie_game_id)
            kept.*,
            rewound_games.rewound_to
        from rewound_games
        inner join {{ this }} as kept
            on
                rewound_games.balldontlie_game_id = kept.balldontlie_game_id
                and rewound_games.rewound_to > kept.first_seen_at
        order by
            kept.balldontlie_game_id,
            kept.first_seen_at desc
    ) as latest_kept
    {%- else -%}
    select
        *,
        captured_at as last_seen_at
    from rows_by_instant
    where false
    {%- endif %}

),

observations as (

    select * from versions_before

    union all

    select
        *,
        captured_at as last_seen_at
    from rows_by_instant

),

observations_with_previous as (

    select
        *,
        lag(version_hash) over (
            partition by balldontlie_game_id
            order by captured_at
        ) as previous_version_hash
    from observations

),

observations_numbered as (

    select
        *,
        count(*) filter (
            where version_hash is distinct from previous_version_hash
        ) over (
            partition by balldontlie_game_id
            order by captured_at
        ) as version_number
    from observations_with_previous

),

versions as (

    select distinct on (balldontlie_game_id, version_number)
        *,
        max(last_seen_at) over (
            partition by balldontlie_game_id, version_number
        ) as version_last_seen_at
    from observations_numbered
    order by
        balldontlie_game_id,
        version_number,
        captured_at

),

final as (

    select
        balldontlie_game_id,
        captured_at as first_seen_at,
        version_last_seen_at as last_seen_at,
        lead(captured_at) over (
            partition by balldontlie_game_id
            order by captured_at
        ) as superseded_at,
        season,
        is_postseason,
        status_text,
        status,
        source_date_et,
        game_date_et,
        starts_at,
        home_balldontlie_team_id,
        away_balldontlie_team_id,
        home_score,
        away_score,
        period,
        home_period_scores,
        away_period_scores,
        is_period_sum_off,
        version_hash
    from versions

)

select * from final
