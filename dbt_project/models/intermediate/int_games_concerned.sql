with due_rows as (

    select
        model_name,
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name in ('game_id_map', 'unmatched_events') and is_claimed

),

games as not materialized (

    select * from {{ ref('games') }}

),

ids_due as (

    select (nullif(row_key, '*')::text[])[3]::uuid as game_id
    from due_rows
    where
        told_by = model_name
        and (nullif(row_key, '*')::text[])[3] is not null
        and not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

rows_concerned as (

    -- With an offset, so that it is a look-up for each id, however few there
    -- are of the thousands that the planner expects.
    select due_games.*
    from ids_due
    cross join
        lateral (
            select games.*
            from games
            where games.game_id = ids_due.game_id
            order by games.game_id
            offset 0
        ) as due_games

    union all

    select *
    from games
    where
        exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

final as (

    select
        game_id,
        league,
        schedule_source,
        season,
        season_type,
        game_date_et,
        commences_at,
        home_team_id,
        away_team_id,
        status,
        is_neutral_site,
        schedule_source_id,
        balldontlie_game_id,
        first_seen_at,
        changed_at
    from rows_concerned

)

select * from final
