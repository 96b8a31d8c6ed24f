with games as (

    select * from {{ ref('games') }}

),

game_results as (

    select * from {{ ref('game_results') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

leagues_with_results as (

    select *
    from {{ ref('leagues') }}
    where results_source is not null

),

games_to_pair as (

    select
        games.*,
        games.season_type in ('regular', 'play_in', 'playoffs') as is_counted,
        -- Eleven games of 2022 have no time of start. A team plays once a day,
        -- so any hour of its evening puts them in their place.
        coalesce(
            games.commences_at,
            (games.game_date_et + time '19:00') at time zone 'America/New_York'
        ) as ordered_at
    from games
    inner join leagues_with_results
        on games.league = leagues_with_results.league
    where
        games.season_type not in ('preseason', 'all_star')
        and games.status in ('scheduled', 'live', 'final')

),

team_games as (

    select
        games_to_pair.*,
        games_to_pair.home_team_id as team_id,
        games_to_pair.away_team_id as opponent_team_id,
        true as is_home
    from games_to_pair

    union all

    select
        games_to_pair.*,
        games_to_pair.away_team_id as team_id,
        games_to_pair.home_team_id as opponent_team_id,
        false as is_home
    from games_to_pair

),

final as (

    select
        team_games.game_id,
        team_games.team_id,
        team_games.opponent_team_id,
        team_games.league,
        team_games.season,
        team_games.season_type,
        team_games.is_counted,
        team_games.game_date_et,
        team_games.commences_at,
        team_games.ordered_at,
        team_games.status,
        team_games.is_home,
        team_games.is_neutral_site,
        team_games.balldontlie_game_id,
        league_teams.balldontlie_team_id,
        opponents.balldontlie_team_id as opponent_balldontlie_team_id,
        case
            when team_games.is_home then game_results.home_score
            else game_results.away_score
        end as points,
        case
            when team_games.is_home then game_results.away_score
            else game_results.home_score
        end as opponent_points,
        game_results.overtime_periods,
        game_results.result_version
    from team_games
    inner join league_teams on team_games.team_id = league_teams.team_id
    inner join league_teams as opponents
        on team_games.opponent_team_id = opponents.team_id
    left join game_results on team_games.game_id = game_results.game_id

)

select * from final
