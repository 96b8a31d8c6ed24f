{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='balldontlie_game_id',
    on_schema_change='append_new_columns',
    tags=['team_stats'],
    pre_hook=["{{ claim_loads(['staging_balldontlie']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with claimed_loads as (

    select load_id
    from {{ source('ops', 'model_loads') }}
    where
        model_name = 'int_box_scores_summed'
        and source_schema = 'staging_balldontlie'
        and not is_done

),

stats as not materialized (

    select * from {{ ref('stg_balldontlie__stats') }}

),

claimed_games as (

    select stats.balldontlie_game_id
    from claimed_loads
    inner join stats on claimed_loads.load_id = stats.load_id
    group by stats.balldontlie_game_id

),

-- All captures of a claimed game, not the claimed ones only: a payload that
-- arrives late must not undo a correction that is already here.
latest_stats as (

    select distinct on (stats.balldontlie_stat_id) stats.*
    from claimed_games
    inner join stats
        on claimed_games.balldontlie_game_id = stats.balldontlie_game_id
    order by
        stats.balldontlie_stat_id,
        stats.captured_at desc,
        stats.payload_hash

),

final as (

    select
        balldontlie_game_id,
        balldontlie_team_id,
        count(*)::integer as player_row_count,
        sum(points)::integer as points,
        sum(field_goals_made)::integer as field_goals_made,
        sum(field_goals_attempted)::integer as field_goals_attempted,
        sum(three_pointers_made)::integer as three_pointers_made,
        sum(three_pointers_attempted)::integer as three_pointers_attempted,
        sum(free_throws_made)::integer as free_throws_made,
        sum(free_throws_attempted)::integer as free_throws_attempted,
        sum(offensive_rebounds)::integer as offensive_rebounds,
        sum(defensive_rebounds)::integer as defensive_rebounds,
        sum(assists)::integer as assists,
        sum(steals)::integer as steals,
        sum(blocks)::integer as blocks,
        sum(turnovers)::integer as turnovers,
        sum(personal_fouls)::integer as personal_fouls,
        max(captured_at) as captured_at
    from latest_stats
    group by
        balldontlie_game_id,
        balldontlie_team_id

)

select * from final
