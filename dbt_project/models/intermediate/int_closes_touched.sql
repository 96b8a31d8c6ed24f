with events_captured as (

    select * from {{ ref('int_markets_rewound') }}

),

events_listed as (

    select * from {{ ref('int_events_rewound') }}

),

due_rows as (

    select
        model_name,
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where row_key <> '*'

),

game_id_map as (

    select * from {{ ref('game_id_map') }}

),

final as (

    select
        model_name,
        event_id
    from events_captured

    union distinct

    select
        model_name,
        event_id
    from events_listed

    union distinct

    select
        model_name,
        row_key as event_id
    from due_rows
    where told_by <> 'games'

    union distinct

    -- Only closes are told of games: to others the key is of another kind.
    select
        due_rows.model_name,
        matches.source_id as event_id
    from due_rows
    cross join
        lateral (
            select game_id_map.source_id
            from game_id_map
            where
                game_id_map.game_id = due_rows.row_key::uuid
                and game_id_map.source = 'odds_api'
            order by game_id_map.source_id
            offset 0
        ) as matches
    where
        due_rows.model_name = 'closing_lines'
        and due_rows.told_by = 'games'

)

select * from final
