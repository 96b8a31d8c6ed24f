with recursive due_rows as (

    select
        model_name,
        told_by,
        row_key
    from {{ source('ops', 'due_rows') }}
    where model_name in ('game_id_map', 'unmatched_events') and is_claimed

),

leagues as (

    select * from {{ ref('leagues') }}

),

events as not materialized (

    select * from {{ ref('int_events_identified') }}

),

games as not materialized (

    select * from {{ ref('games') }}

),

starts as not materialized (

    select * from {{ ref('int_starts_versioned') }}

),

-- Written by match_key.
keys_told as (

    select
        told_by,
        nullif(row_key, '*')::text[] as match_key
    from due_rows
    where
        told_by in (
            'int_events_identified',
            'event_versions',
            'games',
            'game_versions'
        )
        and not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

),

changes_told as (

    select
        told_by,
        match_key[1] as told_id,
        match_key[2] as league,
        match_key[3] as home_team_id,
        match_key[4] as away_team_id,
        match_key[5]::timestamptz as begins_at,
        match_key[6]::timestamptz as ends_at,
        match_key[7]::bigint as balldontlie_game_id
    from keys_told

),

-- Each look-up has an offset and an order, so that it is one, however few rows
-- there are of the thousands that the planner expects.
games_by_version_told as (

    select
        changes_told.begins_at,
        changes_told.ends_at,
        present_games.*
    from changes_told
    cross join
        lateral (
            select
                games.game_id,
                games.league,
                games.home_team_id,
                games.away_team_id
            from games
            where games.balldontlie_game_id = changes_told.balldontlie_game_id
            order by games.balldontlie_game_id
            offset 0
        ) as present_games
    where changes_told.told_by = 'game_versions'

),

ids_told as (

    select
        told_id as event_id,
        null::uuid as game_id
    from changes_told
    where told_by in ('int_events_identified', 'event_versions')

    union distinct

    select
        null as event_id,
        told_id::uuid as game_id
    from changes_told
    where told_by = 'games'

    union distinct

    select
        null as event_id,
        game_id
    from games_by_version_told

),

-- The starts that were told, each for the two teams that meet then. A version
-- does not say of which; the event or game that it is of does.
starts_told as (

    select
        league,
        home_team_id,
        away_team_id,
        begins_at,
        ends_at
    from changes_told
    where league is not null

    union distinct

    select
        present_events.league,
        present_events.home_team_id,
        present_events.away_team_id,
        changes_told.begins_at,
        changes_told.ends_at
    from changes_told
    cross join
        lateral (
            select events.*
            from events
            where events.event_id = changes_told.told_id
            order by events.event_id
            offset 0
        ) as present_events
    where changes_told.told_by = 'event_versions'

    union distinct

    select
        league,
        home_team_id,
        away_team_id,
        begins_at,
        ends_at
    from games_by_version_told

),

-- Whoever may be matched to whom: from an event or game to all the starts that
-- it ever had, and from a start to the events and games of the same two teams
-- that ever had one near it, until nothing is added. A row is an id or a start.
reached as (

    (
        select
            event_id,
            game_id,
            null as league,
            null as home_team_id,
            null as away_team_id,
            null::timestamptz as begins_at,
            null::timestamptz as ends_at
        from ids_told

        union all

        select
            null as event_id,
            null as game_id,
            league,
            home_team_id,
            away_team_id,
            begins_at,
            ends_at
        from starts_told
    )

    union distinct

    select next_reached.*
    from reached
    left join leagues on reached.league = leagues.league
    cross join
        lateral (
            (
                select
                    null as event_id,
                    null::uuid as game_id,
                    starts.league,
                    starts.home_team_id,
                    starts.away_team_id,
                    starts.begins_at,
                    starts.ends_at
                from starts
                where starts.event_id = reached.event_id
                order by starts.event_id
                offset 0
            )

            union all

            (
                select
                    null as event_id,
                    null as game_id,
                    starts.league,
                    starts.home_team_id,
                    starts.away_team_id,
                    starts.begins_at,
                    starts.ends_at
                from starts
                where starts.game_id = reached.game_id
                order by starts.game_id
                offset 0
            )

            union all

            (
                select
                    starts.event_id,
                    starts.game_id,
                    null as league,
                    null as home_team_id,
                    null as away_team_id,
                    null as begins_at,
                    null as ends_at
                from starts
                where
                    starts.league = reached.league
                    and starts.home_team_id
                    in (reached.home_team_id, reached.away_team_id)
                    and starts.away_team_id
                    in (reached.home_team_id, reached.away_team_id)
                    and starts.begins_at
                    <= reached.ends_at
                    + leagues.match_tolerance_minutes * interval '1 minute'
                    and starts.ends_at
                    >= reached.begins_at
                    - leagues.match_tolerance_minutes * interval '1 minute'
                order by starts.league
                offset 0
            )
        ) as next_reached

),

games_reached as (

    select
        reached.game_id,
        present_games.balldontlie_game_id
    from reached
    cross join
        lateral (
            select games.balldontlie_game_id
            from games
            where games.game_id = reached.game_id
            order by games.game_id
            offset 0
        ) as present_games

),

ids_concerned as (

    select
        'odds_api' as source,
        event_id as source_id,
        null::uuid as game_id
    from reached
    where event_id is not null

    union distinct

    select
        'balldontlie' as source,
        balldontlie_game_id::text as source_id,
        game_id
    from games_reached

    union distinct

    -- Of a game that is no more.
    select
        'balldontlie' as source,
        balldontlie_game_id::text as source_id,
        null as game_id
    from changes_told
    where balldontlie_game_id is not null

),

final as (

    select
        source,
        source_id,
        game_id,
        array[source, source_id, game_id::text]::text as row_key
    from ids_concerned

)

select * from final
