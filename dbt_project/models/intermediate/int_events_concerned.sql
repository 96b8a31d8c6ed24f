with due_rows as (

    select
        model_name,
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name in ('game_id_map', 'unmatched_events') and is_claimed

),

events as not materialized (

    select * from {{ ref('int_events_identified') }}

),

ids_due as (

    select (nullif(row_key, '*')::text[])[2] as event_id
    from due_rows
    where
        told_by = model_name
        and (nullif(row_key, '*')::text[])[1] = 'odds_api'
        and not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

rows_concerned as (

    -- With an offset, so that it is a look-up for each id, however few there
    -- are of the thousands that the planner expects.
    select due_events.*
    from ids_due
    cross join
        lateral (
            select events.*
            from events
            where events.event_id = ids_due.event_id
            order by events.event_id
            offset 0
        ) as due_events

    union all

    select *
    from events
    where
        exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

final as (

    select
        event_id,
        sport_key,
        league,
        home_team_name,
        away_team_name,
        is_home_name_known,
        is_away_name_known,
        home_team_id,
        away_team_id,
        commences_at,
        game_date_et,
        status,
        changed_at,
        first_listed_at,
        last_listed_at,
        left_feed_at
    from rows_concerned

)

select * from final
