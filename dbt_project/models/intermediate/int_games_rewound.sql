with claimed_loads as (

    select
        model_name,
        load_id
    from {{ source('ops', 'model_loads') }}
    where source_schema = 'staging_balldontlie' and not is_done

),

games as (

    select * from {{ ref('stg_balldontlie__games') }}

),

final as (

    select
        claimed_loads.model_name,
        games.balldontlie_game_id,
        min(games.captured_at) as rewound_to
    from claimed_loads
    inner join games on claimed_loads.load_id = games.load_id
    group by
        claimed_loads.model_name,
        games.balldontlie_game_id

)

select * from final
