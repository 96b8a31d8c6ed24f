{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    pre_hook=[
        "{{ claim_loads(['staging_balldontlie']) }}",
        "{{ rewind(ref('int_games_rewound'), 'balldontlie_game_id') }}",
    ],
    post_hook=["{{ release_loads() }}"],
) }}

with rewound_games as (

    select
        balldontlie_game_id,
        rewound_to
    from {{ ref('int_games_rewound') }}
    where model_name = 'int_games_versioned'

),

games as (

    select * from {{ ref('stg_balldontlie__games') }}

),

rows_to_replay as (

    select
        games.balldontlie_game_id,
        games.captured_at,
        games.season,
        games.is_postseason,
        games.status_text,
        games.is_postponed,
        games.is_cancelled,
        games.game_date_et,
        games.starts_at,
        games.home_balldontlie_team_id,
        games.away_balldontlie_team_id,
        games.home_score,
        games.away_score,
        games.period,
        games.home_q1 + games.home_q2 + games.home_q3 + games.home_q4
            as home_regulation_score,
        games.away_q1 + games.away_q2 + games.away_q3 + games.away_q4
            as away_regulation_score,
        games.payload_hash
    from rewound_games
    inner join games
        on
            rewound_games.balldontlie_game_id = games.balldontlie_game_id
            and rewound_games.rewound_to <= games.captured_at

),

rows_by_instant as (

    select distinct on (balldontlie_game_id, captured_at) *
    from rows_to_replay
    order by
        balldontlie_game_id,
        captured_at,
        period desc nulls last,
        payload_hash

),

versions_observed as (

    select
        *,
        {{ surrogate_key([
            'season',
            'is_postseason',
            'status_text',
            'is_postponed',
            'is_cancelled',
            'game_date_et',
            'extract(epoch from starts_at)::bigint',
            'home_balldontlie_team_id',
            'away_balldontlie_team_id',
            'home_score',
            'away_score',
            'period',
            'home_regulation_score',
            'away_regulation_score',
        ]) }} as version_hash
    from rows_by_instant

),

versions_before as (

    {% if is_incremental() -%}
    select distinct on (kept.balldontlie_game_id)
        kept.balldontlie_game_id,
        kept.captured_at,
        kept.version_hash
    from rewound_games
    inner join {{ this }} as kept
        on
            rewound_games.balldontlie_game_id = kept.balldontlie_game_id
            and rewound_games.rewound_to > kept.captured_at
    order by
        kept.balldontlie_game_id,
        kept.captured_at desc
    {%- else -%}
    select
        balldontlie_game_id,
        captured_at,
        version_hash
    from versions_observed
    where false
    {%- endif %}

),

versions_with_previous as (

    select
        versions_observed.*,
        coalesce(
            lag(versions_observed.version_hash) over (
                partition by versions_observed.balldontlie_game_id
                order by versions_observed.captured_at
            ),
            versions_before.version_hash
        ) as previous_version_hash
    from versions_observed
    left join versions_before
        on
            versions_observed.balldontlie_game_id
            = versions_before.balldontlie_game_id

),

final as (

    select
        balldontlie_game_id,
        captured_at,
        season,
        is_postseason,
        status_text,
        is_postponed,
        is_cancelled,
        game_date_et,
        starts_at,
        home_balldontlie_team_id,
        away_balldontlie_team_id,
        home_score,
        away_score,
        period,
        home_regulation_score,
        away_regulation_score,
        version_hash
    from versions_with_previous
    where version_hash is distinct from previous_version_hash

)

select * from final
