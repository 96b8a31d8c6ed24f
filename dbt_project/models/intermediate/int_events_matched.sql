with events as (

    select * from {{ ref('int_events_identified') }}

),

games as (

    select * from {{ ref('games') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

-- The same two teams, whichever is called home, and starts that are near. Days
-- are not compared: a game at 22:30 in New York is tomorrow's in UTC.
candidates as (

    select
        events.event_id,
        games.game_id,
        events.home_team_id <> games.home_team_id as is_swapped,
        round(
            extract(epoch from events.commences_at - games.commences_at) / 60,
            1
        )::numeric(10, 1) as minutes_apart,
        games.commences_at is null as is_matched_by_date,
        greatest(events.first_listed_at, games.changed_at) as matched_at
    from events
    inner join leagues on events.league = leagues.league
    inner join games
        on
            events.league = games.league
            and (
                (
                    events.home_team_id = games.home_team_id
                    and events.away_team_id = games.away_team_id
                )
                or (
                    events.home_team_id = games.away_team_id
                    and events.away_team_id = games.home_team_id
                )
            )
            and (
                abs(
                    extract(epoch from events.commences_at - games.commences_at)
                ) <= leagues.match_tolerance_minutes * 60
                or (
                    games.commences_at is null
                    and events.game_date_et = games.game_date_et
                )
            )
    where games.status not in ('postponed', 'cancelled')

),

nearest_candidates as (

    select distinct on (event_id) *
    from candidates
    order by
        event_id,
        is_matched_by_date,
        abs(minutes_apart),
        is_swapped,
        game_id

),

games_by_their_own_id as (

    select
        'balldontlie' as source,
        balldontlie_game_id::text as source_id,
        game_id,
        'own_id' as match_method,
        0::numeric(10, 1) as minutes_apart,
        false as is_swapped,
        changed_at as matched_at
    from games
    where balldontlie_game_id is not null

),

final as (

    select
        'odds_api' as source,
        event_id as source_id,
        game_id,
        case
            when is_matched_by_date then 'teams_and_date'
            when is_swapped then 'swapped_teams_and_time'
            else 'teams_and_time'
        end as match_method,
        minutes_apart,
        is_swapped,
        matched_at
    from nearest_candidates

    union all

    select * from games_by_their_own_id

)

select * from final
