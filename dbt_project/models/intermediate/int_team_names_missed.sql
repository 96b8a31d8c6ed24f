with unmatched_events as (

    select * from {{ ref('unmatched_events') }}

),

match_overrides as (

    select * from {{ ref('match_overrides') }}

),

all_events as (

    select * from {{ ref('int_events_identified') }}

),

all_versions as (

    select * from {{ ref('game_versions') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

-- An event with an unknown name has no game, unless somebody has given it one.
ids_in_question as (

    select
        source,
        source_id
    from unmatched_events
    where reason = 'unknown_team'

    union distinct

    select
        source,
        source_id
    from match_overrides

),

events as (

    select events_in_question.*
    from ids_in_question
    cross join
        lateral (
            select all_events.*
            from all_events
            where
                ids_in_question.source = 'odds_api'
                and all_events.event_id = ids_in_question.source_id
            order by all_events.event_id
            offset 0
        ) as events_in_question

),

game_versions as (

    select versions_in_question.*
    from ids_in_question
    cross join
        lateral (
            select all_versions.*
            from all_versions
            where
                all_versions.balldontlie_game_id = case
                    when ids_in_question.source = 'balldontlie'
                        then ids_in_question.source_id::bigint
                end
            order by all_versions.balldontlie_game_id
            offset 0
        ) as versions_in_question

),

names_of_events as (

    select
        league,
        coalesce(home_team_name, '(no name)') as source_name,
        event_id as source_id,
        first_listed_at as first_seen_at,
        is_home_name_known as is_known
    from events
    where league is not null

    union all

    select
        league,
        coalesce(away_team_name, '(no name)') as source_name,
        event_id as source_id,
        first_listed_at as first_seen_at,
        is_away_name_known as is_known
    from events
    where league is not null

),

ids_of_games as (

    select
        balldontlie_game_id,
        first_seen_at,
        home_balldontlie_team_id as balldontlie_team_id
    from game_versions
    where superseded_at is null

    union all

    select
        balldontlie_game_id,
        first_seen_at,
        away_balldontlie_team_id as balldontlie_team_id
    from game_versions
    where superseded_at is null

),

final as (

    select
        'odds_api' as source,
        league,
        source_name,
        count(*)::integer as game_count,
        min(source_id) as example_source_id,
        min(first_seen_at) as first_seen_at
    from names_of_events
    where not is_known
    group by
        league,
        source_name

    union all

    select
        'balldontlie' as source,
        leagues.league,
        concat('team ', ids_of_games.balldontlie_team_id) as source_name,
        count(*)::integer as game_count,
        min(ids_of_games.balldontlie_game_id)::text as example_source_id,
        min(ids_of_games.first_seen_at) as first_seen_at
    from ids_of_games
    inner join leagues on leagues.schedule_source = 'balldontlie'
    left join league_teams
        on
            leagues.league = league_teams.league
            and ids_of_games.balldontlie_team_id
            = league_teams.balldontlie_team_id
    where league_teams.team_id is null
    group by
        leagues.league,
        ids_of_games.balldontlie_team_id

)

select * from final
