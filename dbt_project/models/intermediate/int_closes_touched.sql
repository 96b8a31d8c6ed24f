with events_captured as (

    select * from {{ ref('int_markets_rewound') }}

),

events_listed as (

    select * from {{ ref('int_events_rewound') }}

),

games_scheduled as (

    select * from {{ ref('int_games_rewound') }}

),

games as (

    select * from {{ ref('games') }}

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
        games_scheduled.model_name,
        game_id_map.source_id as event_id
    from games_scheduled
    inner join games
        on games_scheduled.balldontlie_game_id = games.balldontlie_game_id
    inner join game_id_map
        on
            games.game_id = game_id_map.game_id
            and game_id_map.source = 'odds_api'

)

select * from final
