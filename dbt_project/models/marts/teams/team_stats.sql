{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key=['game_id', 'team_id'],
    on_schema_change='append_new_columns',
    tags=['team_stats'],
    indexes=[{'columns': ['team_id', 'commences_at']}],
) }}

with team_games as (

    select * from {{ ref('int_team_games_paired') }}

),

box_scores as (

    select * from {{ ref('int_box_scores_summed') }}

),

team_games_with_boxes as (

    select
        team_games.*,
        box_scores.balldontlie_game_id is not null as has_box_score,
        box_scores.points as box_score_points,
        box_scores.field_goals_made,
        box_scores.field_goals_attempted,
        box_scores.three_pointers_made,
        box_scores.three_pointers_attempted,
        box_scores.free_throws_made,
        box_scores.free_throws_attempted,
        box_scores.offensive_rebounds,
        box_scores.defensive_rebounds,
        box_scores.assists,
        box_scores.steals,
        box_scores.blocks,
        box_scores.turnovers,
        box_scores.personal_fouls,
        box_scores.captured_at as box_score_captured_at,
        -- Box scores with players missing exist, and scores that the source
        -- has wrong. The one sum known from both tells, not which is right.
        case
            when box_scores.balldontlie_game_id is not null
                then
                    coalesce(
                        box_scores.points = team_games.points
                        and opponent_box_scores.points
                        = team_games.opponent_points,
                        false
                    )
        end as is_box_score_consistent,
        box_scores.field_goals_attempted
        - box_scores.offensive_rebounds
        + box_scores.turnovers
        + 0.44 * box_scores.free_throws_attempted as possessions_by_box,
        opponent_box_scores.field_goals_attempted
        - opponent_box_scores.offensive_rebounds
        + opponent_box_scores.turnovers
        + 0.44 * opponent_box_scores.free_throws_attempted
            as opponent_possessions_by_box,
        opponent_box_scores.defensive_rebounds
            as opponent_defensive_rebounds
    from team_games
    left join box_scores
        on
            team_games.balldontlie_game_id = box_scores.balldontlie_game_id
            and team_games.balldontlie_team_id
            = box_scores.balldontlie_team_id
            and team_games.points is not null
    left join box_scores as opponent_box_scores
        on
            team_games.balldontlie_game_id
            = opponent_box_scores.balldontlie_game_id
            and team_games.opponent_balldontlie_team_id
            = opponent_box_scores.balldontlie_team_id

),

team_games_with_possessions as (

    select
        *,
        points - opponent_points as margin,
        points > opponent_points as is_win,
        case when is_box_score_consistent then possessions_by_box end
            as possessions,
        case when is_box_score_consistent then opponent_possessions_by_box end
            as opponent_possessions
    from team_games_with_boxes

),

-- Strictly before: a frame that ends a microsecond before the start holds
-- neither the game itself nor another one listed for the same instant.
team_games_in_order as (

    select
        *,
        count(points) filter (where is_counted) over games_before
            as games_played_entering,
        max((ordered_at at time zone 'America/New_York')::date)
            over games_before as previous_game_date_et
    from team_games_with_possessions
    window games_before as (
        partition by
            team_id,
            season
        order by ordered_at
        range between unbounded preceding
        and interval '1 microsecond' preceding
    )

),

-- Where a team stands after each game that counts and has a result; a game is
-- entered with what the one before left.
standings as (

    select
        team_id,
        season,
        row_number() over season_so_far as game_number,
        avg(is_win::integer) over season_so_far as win_pct,
        avg(margin) over last_ten_games as margin_last10,
        count(possessions) over season_so_far as rated_game_count,
        100 * sum(points) filter (where possessions is not null)
            over season_so_far
        / nullif(sum(possessions) over season_so_far, 0) as offensive_rating,
        100 * sum(opponent_points) filter (where possessions is not null)
            over season_so_far
        / nullif(sum(opponent_possessions) over season_so_far, 0)
            as defensive_rating
    from team_games_with_possessions
    where is_counted and points is not null
    window
        season_so_far as (
            partition by
                team_id,
                season
            order by
                ordered_at,
                game_id
            rows between unbounded preceding and current row
        ),
        last_ten_games as (
            partition by
                team_id,
                season
            order by
                ordered_at,
                game_id
            rows between 9 preceding and current row
        )

),

final as (

    select
        -- ids
        team_games_in_order.game_id,
        team_games_in_order.team_id,
        team_games_in_order.opponent_team_id,

        -- game
        team_games_in_order.league,
        team_games_in_order.season,
        team_games_in_order.season_type,
        team_games_in_order.is_counted,
        team_games_in_order.game_date_et,
        team_games_in_order.commences_at,
        team_games_in_order.status,
        team_games_in_order.is_home,
        team_games_in_order.is_neutral_site,

        -- entering
        team_games_in_order.games_played_entering::integer
            as games_played_entering,
        (team_games_in_order.ordered_at at time zone 'America/New_York')::date
        - team_games_in_order.previous_game_date_et
        - 1 as rest_days,
        round(standings.win_pct, 4)::numeric(5, 4) as win_pct_entering,
        round(standings.margin_last10, 2)::numeric(6, 2)
            as margin_last10_entering,
        coalesce(standings.rated_game_count, 0)::integer
            as rated_games_entering,
        round(standings.offensive_rating, 2)::numeric(6, 2)
            as offensive_rating_entering,
        round(standings.defensive_rating, 2)::numeric(6, 2)
            as defensive_rating_entering,
        round(
            standings.offensive_rating - standings.defensive_rating, 2
        )::numeric(6, 2) as net_rating_entering,

        -- result
        team_games_in_order.points,
        team_games_in_order.opponent_points,
        team_games_in_order.margin,
        team_games_in_order.is_win,
        team_games_in_order.overtime_periods,
        team_games_in_order.result_version,

        -- box score
        case
            when team_games_in_order.points is not null
                then team_games_in_order.has_box_score
        end as has_box_score,
        team_games_in_order.is_box_score_consistent,
        team_games_in_order.box_score_points,
        team_games_in_order.field_goals_made,
        team_games_in_order.field_goals_attempted,
        team_games_in_order.three_pointers_made,
        team_games_in_order.three_pointers_attempted,
        team_games_in_order.free_throws_made,
        team_games_in_order.free_throws_attempted,
        team_games_in_order.offensive_rebounds,
        team_games_in_order.defensive_rebounds,
        team_games_in_order.offensive_rebounds
        + team_games_in_order.defensive_rebounds as rebounds,
        team_games_in_order.assists,
        team_games_in_order.steals,
        team_games_in_order.blocks,
        team_games_in_order.turnovers,
        team_games_in_order.personal_fouls,
        team_games_in_order.box_score_captured_at,

        -- ratings
        team_games_in_order.possessions::numeric(6, 2) as possessions,
        round(
            100 * team_games_in_order.points
            / nullif(team_games_in_order.possessions, 0),
            2
        )::numeric(6, 2) as offensive_rating,
        round(
            100 * team_games_in_order.opponent_points
            / nullif(team_games_in_order.opponent_possessions, 0),
            2
        )::numeric(6, 2) as defensive_rating,
        round(
            100 * team_games_in_order.points
            / nullif(team_games_in_order.possessions, 0)
            - 100 * team_games_in_order.opponent_points
            / nullif(team_games_in_order.opponent_possessions, 0),
            2
        )::numeric(6, 2) as net_rating,

        -- four factors
        case
            when team_games_in_order.is_box_score_consistent
                then
                    round(
                        (
                            team_games_in_order.field_goals_made
                            + 0.5 * team_games_in_order.three_pointers_made
                        )
                        / nullif(team_games_in_order.field_goals_attempted, 0),
                        4
                    )
        end::numeric(6, 4) as effective_field_goal_rate,
        round(
            team_games_in_order.turnovers
            / nullif(team_games_in_order.possessions, 0),
            4
        )::numeric(6, 4) as turnover_rate,
        case
            when team_games_in_order.is_box_score_consistent
                then
                    round(
                        team_games_in_order.offensive_rebounds::numeric
                        / nullif(
                            team_games_in_order.offensive_rebounds
                            + team_games_in_order.opponent_defensive_rebounds,
                            0
                        ),
                        4
                    )
        end::numeric(6, 4) as offensive_rebound_rate,
        case
            when team_games_in_order.is_box_score_consistent
                then
                    round(
                        team_games_in_order.free_throws_made::numeric
                        / nullif(team_games_in_order.field_goals_attempted, 0),
                        4
                    )
        end::numeric(6, 4) as free_throw_rate
    from team_games_in_order
    left join standings
        on
            team_games_in_order.team_id = standings.team_id
            and team_games_in_order.season = standings.season
            and team_games_in_order.games_played_entering
            = standings.game_number

)

select * from final
