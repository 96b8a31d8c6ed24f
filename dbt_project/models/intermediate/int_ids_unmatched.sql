with events as (

    select * from {{ ref('int_events_identified') }}

),

games as (

    select * from {{ ref('games') }}

),

game_id_map as (

    select * from {{ ref('game_id_map') }}

),

game_versions as (

    select * from {{ ref('int_games_versioned') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

events_unmatched as (

    select events.*
    from events
    left join game_id_map
        on
            events.event_id = game_id_map.source_id
            and game_id_map.source = 'odds_api'
    where game_id_map.source_id is null

),

candidates_in_order as (

    select
        events_unmatched.event_id,
        games.game_id,
        games.balldontlie_game_id,
        games.commences_at,
        games.status,
        row_number() over (
            partition by events_unmatched.event_id
            order by
                abs(
                    extract(
                        epoch from
                        events_unmatched.commences_at - games.commences_at
                    )
                ),
                games.game_id
        ) as candidate_number
    from events_unmatched
    inner join games
        on
            events_unmatched.league = games.league
            and least(
                events_unmatched.home_team_id, events_unmatched.away_team_id
            ) = least(games.home_team_id, games.away_team_id)
            and greatest(
                events_unmatched.home_team_id, events_unmatched.away_team_id
            ) = greatest(games.home_team_id, games.away_team_id)

),

candidates_by_event as (

    select
        event_id,
        jsonb_agg(
            jsonb_build_object(
                'game_id', game_id,
                'balldontlie_game_id', balldontlie_game_id,
                'commences_at', to_char(
                    commences_at at time zone 'UTC',
                    'YYYY-MM-DD"T"HH24:MI:SS"Z"'
                ),
                'status', status
            )
            order by candidate_number
        ) as candidates,
        min(commences_at) filter (where candidate_number = 1)
            as nearest_commences_at
    from candidates_in_order
    where candidate_number <= 3
    group by event_id

),

unmatched_odds_events as (

    select
        'odds_api' as source,
        events_unmatched.event_id as source_id,
        events_unmatched.league,
        case
            when events_unmatched.league is null then 'unknown_sport'
            when
                events_unmatched.home_team_id is null
                or events_unmatched.away_team_id is null
                then 'unknown_team'
            when candidates_by_event.event_id is null then 'teams_never_meet'
            else 'no_game_at_that_time'
        end as reason,
        case
            when events_unmatched.league is null
                then
                    'sport ' || events_unmatched.sport_key
                    || ' is in no row of the seed leagues'
            when
                events_unmatched.home_team_id is null
                or events_unmatched.away_team_id is null
                then
                    'no team is called '
                    || concat_ws(
                        ' or ',
                        case
                            when events_unmatched.home_team_id is null
                                then
                                    coalesce(
                                        events_unmatched.home_team_name,
                                        '(no name)'
                                    )
                        end,
                        case
                            when events_unmatched.away_team_id is null
                                then
                                    coalesce(
                                        events_unmatched.away_team_name,
                                        '(no name)'
                                    )
                        end
                    )
                    || ' in the seed team_names'
            else
                concat(
                    events_unmatched.away_team_name,
                    ' at ',
                    events_unmatched.home_team_name,
                    coalesce(
                        ': the nearest game of these teams is '
                        || round(
                            abs(
                                extract(
                                    epoch from
                                    candidates_by_event.nearest_commences_at
                                    - events_unmatched.commences_at
                                )
                            ) / 3600,
                            1
                        )
                        || ' hours away',
                        ': these teams have no game'
                    )
                )
        end as detail,
        coalesce(candidates_by_event.candidates, '[]'::jsonb) as candidates,
        events_unmatched.commences_at,
        events_unmatched.first_listed_at as first_seen_at
    from events_unmatched
    left join candidates_by_event
        on events_unmatched.event_id = candidates_by_event.event_id

),

-- The other side: a game about to begin for which no odds were ever seen.
games_without_odds as (

    select
        'balldontlie' as source,
        games.balldontlie_game_id::text as source_id,
        games.league,
        'no_odds_near_start' as reason,
        'starts within '
        || {{ var('odds_expected_hours') }}
        || ' hours and no odds event is matched to it' as detail,
        '[]'::jsonb as candidates,
        games.commences_at,
        games.changed_at as first_seen_at
    from games
    where
        games.balldontlie_game_id is not null
        and games.status = 'scheduled'
        and games.commences_at
        between {{ as_of() }}
        and {{ as_of() }} + interval '{{ var("odds_expected_hours") }} hours'
        and not exists (
            select 1
            from game_id_map
            where
                game_id_map.game_id = games.game_id
                and game_id_map.source = 'odds_api'
        )

),

games_with_unknown_teams as (

    select distinct on (game_versions.balldontlie_game_id)
        'balldontlie' as source,
        game_versions.balldontlie_game_id::text as source_id,
        leagues.league,
        'unknown_team' as reason,
        'home team '
        || coalesce(game_versions.home_balldontlie_team_id::text, 'null')
        || ' or visitor '
        || coalesce(game_versions.away_balldontlie_team_id::text, 'null')
        || ' is no balldontlie_team_id of the seed league_teams' as detail,
        '[]'::jsonb as candidates,
        game_versions.starts_at as commences_at,
        game_versions.captured_at as first_seen_at
    from game_versions
    inner join leagues on leagues.schedule_source = 'balldontlie'
    left join league_teams as home_teams
        on
            game_versions.home_balldontlie_team_id
            = home_teams.balldontlie_team_id
    left join league_teams as away_teams
        on
            game_versions.away_balldontlie_team_id
            = away_teams.balldontlie_team_id
    where home_teams.team_id is null or away_teams.team_id is null
    order by
        game_versions.balldontlie_game_id,
        game_versions.captured_at

),

final as (

    select * from unmatched_odds_events

    union all

    select * from games_without_odds

    union all

    select * from games_with_unknown_teams

)

select * from final
