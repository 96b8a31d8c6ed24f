with due_rows as (

    select
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name in ('game_id_map', 'unmatched_events')

),

match_overrides as (

    select * from {{ ref('match_overrides') }}

),

games as (

    select * from {{ ref('games') }}

),

rows_told as (

    select
        told_by,
        (row_key::text[])[1] as league,
        (row_key::text[])[2] as first_team_id,
        (row_key::text[])[3] as second_team_id,
        (row_key::text[])[4] as source_id
    from due_rows
    where
        told_by in ('int_events_identified', 'games')
        and row_key <> '*'
        and not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

-- An event that somebody has given to a game of other teams is its rival there.
fixtures_overridden as (

    select
        games.league,
        least(games.home_team_id, games.away_team_id) as first_team_id,
        greatest(games.home_team_id, games.away_team_id) as second_team_id,
        null as source_id
    from rows_told
    inner join match_overrides
        on
            rows_told.source_id = match_overrides.source_id
            and match_overrides.source = 'odds_api'
    inner join games
        on
            match_overrides.league = games.league
            and match_overrides.schedule_source_id = games.schedule_source_id
    where rows_told.told_by = 'int_events_identified'

),

final as (

    select
        league,
        first_team_id,
        second_team_id
    from rows_told
    where league is not null

    union distinct

    select
        league,
        first_team_id,
        second_team_id
    from fixtures_overridden

)

select * from final
