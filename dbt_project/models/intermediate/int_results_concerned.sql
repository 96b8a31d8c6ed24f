with due_rows as (

    select
        model_name,
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where
        model_name in ('game_result_versions', 'rejected_results')
        and row_key <> '*'

),

games as not materialized (

    select * from {{ ref('games') }}

),

game_id_map as not materialized (

    select * from {{ ref('game_id_map') }}

),

final as (

    select
        model_name,
        row_key::uuid as game_id
    from due_rows
    where told_by in ('games', 'game_id_map')

    union distinct

    select
        due_rows.model_name,
        found.game_id
    from due_rows
    cross join
        lateral (
            select games.game_id
            from games
            where
                games.balldontlie_game_id = case
                    when due_rows.told_by = 'game_versions'
                        then due_rows.row_key::bigint
                end
            order by games.balldontlie_game_id
            offset 0
        ) as found

    union distinct

    select
        due_rows.model_name,
        found.game_id
    from due_rows
    cross join
        lateral (
            select game_id_map.game_id
            from game_id_map
            where
                game_id_map.source = 'odds_api'
                and game_id_map.source_id = due_rows.row_key
            order by game_id_map.source
            offset 0
        ) as found
    where due_rows.told_by = 'int_scores_versioned'

)

select * from final
