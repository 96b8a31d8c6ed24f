with due_rows as (

    select
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name = 'grades' and row_key <> '*'

),

picks as not materialized (

    select * from {{ ref('picks') }}

),

game_id_map as not materialized (

    select * from {{ ref('game_id_map') }}

),

games_due as (

    select row_key::uuid as game_id
    from due_rows
    where told_by in ('games', 'game_result_versions')

),

events_due as (

    select row_key as event_id
    from due_rows
    where told_by in ('int_events_identified', 'game_id_map')

    union distinct

    select events_of_game.event_id
    from games_due
    cross join
        lateral (
            select game_id_map.source_id as event_id
            from game_id_map
            where
                game_id_map.game_id = games_due.game_id
                and game_id_map.source = 'odds_api'
            order by game_id_map.game_id
            offset 0
        ) as events_of_game

),

final as (

    select row_key::uuid as pick_id
    from due_rows
    where told_by = 'picks'

    union distinct

    select picks_of_event.pick_id
    from events_due
    cross join
        lateral (
            select picks.pick_id
            from picks
            where picks.event_id = events_due.event_id
            order by picks.event_id
            offset 0
        ) as picks_of_event

)

select * from final
