with events as not materialized (

    select * from {{ ref('int_events_identified') }}

),

event_versions as not materialized (

    select * from {{ ref('event_versions') }}

),

games as not materialized (

    select * from {{ ref('games') }}

),

game_versions as not materialized (

    select * from {{ ref('game_versions') }}

),

match_overrides as (

    select * from {{ ref('match_overrides') }}

),

final as (

    select
        events.event_id,
        null::uuid as game_id,
        events.league,
        events.home_team_id,
        events.away_team_id,
        event_versions.commences_at as begins_at,
        event_versions.commences_at as ends_at
    from events
    inner join event_versions on events.event_id = event_versions.event_id

    union all

    select
        null as event_id,
        games.game_id,
        games.league,
        games.home_team_id,
        games.away_team_id,
        game_versions.starts_at as begins_at,
        game_versions.starts_at as ends_at
    from games
    inner join game_versions
        on games.balldontlie_game_id = game_versions.balldontlie_game_id

    union all

    -- A game that its schedule has no versions of.
    select
        null as event_id,
        game_id,
        league,
        home_team_id,
        away_team_id,
        commences_at as begins_at,
        commences_at as ends_at
    from games
    where balldontlie_game_id is null

    union all

    select
        null as event_id,
        game_id,
        league,
        home_team_id,
        away_team_id,
        game_date_et::timestamp at time zone 'America/New_York' as begins_at,
        (game_date_et + 1)::timestamp at time zone 'America/New_York' as ends_at
    from games
    where commences_at is null

    union all

    -- Whoever is given to a game by hand is where that game is.
    select
        match_overrides.source_id as event_id,
        null as game_id,
        games.league,
        games.home_team_id,
        games.away_team_id,
        coalesce(
            games.commences_at,
            games.game_date_et::timestamp at time zone 'America/New_York'
        ) as begins_at,
        coalesce(
            games.commences_at,
            (games.game_date_et + 1)::timestamp at time zone 'America/New_York'
        ) as ends_at
    from match_overrides
    inner join games
        on
            match_overrides.league = games.league
            and match_overrides.schedule_source_id = games.schedule_source_id
    where match_overrides.source = 'odds_api'

)

select * from final
