with due_rows as (

    select
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name = 'unmatched_events' and is_claimed

),

game_versions as not materialized (

    select *
    from {{ ref('game_versions') }}
    where superseded_at is null

),

ids_due as (

    select (nullif(row_key, '*')::text[])[7]::bigint as balldontlie_game_id
    from due_rows
    where
        told_by = 'game_versions'
        and not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )
    group by balldontlie_game_id

),

rows_concerned as (

    select versions_due.*
    from ids_due
    cross join
        lateral (
            select game_versions.*
            from game_versions
            where
                game_versions.balldontlie_game_id
                = ids_due.balldontlie_game_id
            order by game_versions.balldontlie_game_id
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

),

final as (

    select
        balldontlie_game_id,
        first_seen_at,
        last_seen_at,
        superseded_at,
        season,
        is_postseason,
        status_text,
        status,
        source_date_et,
        game_date_et,
        starts_at,
        home_balldontlie_team_id,
        away_balldontlie_team_id,
        home_score,
        away_score,
        period,
        home_period_scores,
        away_period_scores,
        is_period_sum_off,
        version_hash
    from rows_concerned

)

select * from final
