{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['game_id', 'result_version'],
    on_schema_change='append_new_columns',
    tags=['results'],
    pre_hook=["{{ claim_loads(['staging_balldontlie']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with touched_games as (

    select balldontlie_game_id
    from {{ ref('int_games_rewound') }}
    where model_name = 'game_result_versions'

),

game_versions as (

    select * from {{ ref('int_games_versioned') }}

),

games as (

    select * from {{ ref('games') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

-- Status, scores, periods and teams must say together that it is over: a 0-0
-- final, a tie, three periods or a missing score never become a result.
final_versions as (

    select
        games.game_id,
        games.league,
        game_versions.captured_at,
        game_versions.home_score,
        game_versions.away_score,
        game_versions.period as periods,
        leagues.regulation_periods,
        case
            when game_versions.home_score > game_versions.away_score
                then home_teams.team_id
            else away_teams.team_id
        end as winner_team_id,
        home_teams.team_id as home_team_id,
        away_teams.team_id as away_team_id,
        game_versions.period = leagues.regulation_periods
        and game_versions.home_regulation_score is not null
        and (
            game_versions.home_regulation_score <> game_versions.home_score
            or game_versions.away_regulation_score <> game_versions.away_score
        ) as is_quarter_sum_off
    from touched_games
    inner join game_versions
        on
            touched_games.balldontlie_game_id
            = game_versions.balldontlie_game_id
    inner join games
        on game_versions.balldontlie_game_id = games.balldontlie_game_id
    inner join leagues on games.league = leagues.league
    inner join league_teams as home_teams
        on
            game_versions.home_balldontlie_team_id
            = home_teams.balldontlie_team_id
    inner join league_teams as away_teams
        on
            game_versions.away_balldontlie_team_id
            = away_teams.balldontlie_team_id
    where
        game_versions.status_text ~* '^final'
        and not game_versions.is_postponed
        and not game_versions.is_cancelled
        and game_versions.home_score is not null
        and game_versions.away_score is not null
        and game_versions.home_score + game_versions.away_score > 0
        and game_versions.home_score <> game_versions.away_score
        and game_versions.period >= leagues.regulation_periods

),

-- Versions of a game that change nothing of its result are one version of it.
results_with_previous as (

    select
        *,
        lag((home_team_id, home_score, away_score, periods)) over (
            partition by game_id
            order by captured_at
        ) as previous_result
    from final_versions

),

results_changed as (

    select *
    from results_with_previous
    where
        (home_team_id, home_score, away_score, periods)
        is distinct from previous_result

),

final as (

    select
        game_id,
        row_number() over (
            partition by game_id
            order by captured_at
        )::integer as result_version,
        league,
        home_team_id,
        away_team_id,
        home_score,
        away_score,
        periods,
        (periods - regulation_periods)::integer as overtime_periods,
        winner_team_id,
        (home_score - away_score)::integer as margin,
        (home_score + away_score)::integer as total_points,
        coalesce(is_quarter_sum_off, false) as is_quarter_sum_off,
        captured_at as finalized_at
    from results_changed

)

select * from final
