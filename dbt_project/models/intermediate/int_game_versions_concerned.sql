with due_rows as (

    select
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name = 'unmatched_events'

),

game_versions as not materialized (

    select *
    from {{ ref('game_versions') }}
    where superseded_at is null

),

ids_due as (

    select row_key::bigint as balldontlie_game_id
    from due_rows
    where
        told_by = 'game_versions'
        and row_key <> '*'
        and not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

final as (

    select versions_due.*
    from ids_due
    cross join
        lateral (
            select game_versions.*
            from game_versions
            where
                game_versions.balldontlie_game_id
                = ids_due.balldontlie_game_id
            offset 0
        ) as versions_due

    union all

    select *
    from game_versions
    where
        exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

)

select * from final
