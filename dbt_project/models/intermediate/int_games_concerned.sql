with fixtures as (

    select * from {{ ref('int_fixtures_concerned') }}

),

due_rows as (

    select row_key
    from {{ source('ops', 'due_rows') }}
    where model_name in ('game_id_map', 'unmatched_events')

),

match_overrides as (

    select * from {{ ref('match_overrides') }}

),

games as not materialized (

    select * from {{ ref('games') }}

),

ids_due as (

    select games_at_home.game_id
    from fixtures
    cross join
        lateral (
            select games.game_id
            from games
            where
                games.home_team_id = fixtures.first_team_id
                and games.away_team_id = fixtures.second_team_id
                and games.league = fixtures.league
            order by games.home_team_id
            offset 0
        ) as games_at_home

    union distinct

    select games_away.game_id
    from fixtures
    cross join
        lateral (
            select games.game_id
            from games
            where
                games.home_team_id = fixtures.second_team_id
                and games.away_team_id = fixtures.first_team_id
                and games.league = fixtures.league
            order by games.home_team_id
            offset 0
        ) as games_away

    union distinct

    select given_games.game_id
    from match_overrides
    cross join
        lateral (
            select games.game_id
            from games
            where
                games.schedule_source_id = match_overrides.schedule_source_id
                and games.league = match_overrides.league
            order by games.schedule_source_id
            offset 0
        ) as given_games

),

rows_concerned as (

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
    where
        not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

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
