with game_versions as (

    select * from {{ ref('game_versions') }}

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

-- Status, scores, periods and teams must say together that it is over.
final as (

    select
        games.game_id,
        games.league,
        games.schedule_source_id,
        game_versions.first_seen_at,
        game_versions.superseded_at,
        home_teams.team_id as home_team_id,
        away_teams.team_id as away_team_id,
        game_versions.home_score,
        game_versions.away_score,
        game_versions.period as periods,
        (game_versions.period - leagues.regulation_periods)::integer
            as overtime_periods,
        game_versions.home_period_scores,
        game_versions.away_period_scores,
        game_versions.is_period_sum_off,
        case
            when game_versions.status <> 'final' then 'not_over'
            when
                game_versions.home_score is null
                or game_versions.away_score is null
                then 'score_missing'
            when least(game_versions.home_score, game_versions.away_score) <= 0
                then 'score_zero'
            when game_versions.home_score = game_versions.away_score
                then 'score_tied'
            when
                coalesce(game_versions.period, 0) < leagues.regulation_periods
                then 'too_few_periods'
            else 'sound'
        end as verdict
    from game_versions
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

)

select * from final
