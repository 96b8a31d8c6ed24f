{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['results'],
    pre_hook=[
        "{{ claim_loads(['staging_odds_api', 'staging_balldontlie']) }}",
    ],
    post_hook=["{{ release_loads() }}"],
) }}

with touched_schedule as (

    select balldontlie_game_id
    from {{ ref('int_games_rewound') }}
    where model_name = 'game_results'

),

touched_events as (

    select event_id
    from {{ ref('int_events_rewound') }}
    where model_name = 'game_results'

),

games as (

    select * from {{ ref('games') }}

),

game_id_map as (

    select * from {{ ref('game_id_map') }}

),

result_versions as (

    select * from {{ ref('game_result_versions') }}

),

scores as (

    select * from {{ ref('stg_odds_api__scores') }}

),

touched_games as (

    select games.game_id
    from touched_schedule
    inner join games
        on touched_schedule.balldontlie_game_id = games.balldontlie_game_id

    union distinct

    select game_id_map.game_id
    from touched_events
    inner join game_id_map
        on
            touched_events.event_id = game_id_map.source_id
            and game_id_map.source = 'odds_api'

),

latest_results as (

    select distinct on (result_versions.game_id) result_versions.*
    from touched_games
    inner join result_versions
        on touched_games.game_id = result_versions.game_id
    order by
        result_versions.game_id,
        result_versions.result_version desc

),

-- The other source: its scores are no result, only a cross-check.
completed_scores as (

    select
        latest_results.game_id,
        scores.event_id,
        scores.captured_at,
        game_id_map.is_swapped,
        scores.home_score,
        scores.away_score
    from latest_results
    inner join game_id_map
        on
            latest_results.game_id = game_id_map.game_id
            and game_id_map.source = 'odds_api'
    inner join scores on game_id_map.source_id = scores.event_id
    where scores.is_completed

),

latest_scores as (

    select distinct on (game_id)
        game_id,
        case when is_swapped then away_score else home_score end
            as home_score,
        case when is_swapped then home_score else away_score end
            as away_score
    from completed_scores
    order by
        game_id,
        captured_at desc,
        event_id

),

final as (

    select
        latest_results.game_id,
        latest_results.league,
        latest_results.home_team_id,
        latest_results.away_team_id,
        latest_results.home_score,
        latest_results.away_score,
        latest_results.periods,
        latest_results.overtime_periods,
        latest_results.winner_team_id,
        latest_results.margin,
        latest_results.total_points,
        latest_results.is_quarter_sum_off,
        case
            when latest_scores.home_score is null then 'not_checked'
            when
                latest_scores.home_score = latest_results.home_score
                and latest_scores.away_score = latest_results.away_score
                then 'agrees'
            else 'disagrees'
        end as cross_check,
        latest_results.result_version,
        latest_results.finalized_at
    from latest_results
    left join latest_scores on latest_results.game_id = latest_scores.game_id

)

select * from final
