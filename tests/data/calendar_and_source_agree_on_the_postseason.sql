{{ config(severity='warn', tags=['nightly']) }}

-- Games whose part of the season, by the calendar, is not what the flag of the
-- source can mean. In the play-in the flag means nothing: BallDontLie sets it
-- for five of the six games of 2020-21 and all of 2021-22, and for none since.
-- A game listed here is on a day that the calendar has wrong, or on a wrong
-- day; it keeps the season type of the calendar until one of them is mended.
with games as (

    select * from {{ ref('games') }}

),

latest_versions as (

    select * from {{ ref('game_versions') }}
    where superseded_at is null

)

select
    games.game_id,
    games.balldontlie_game_id,
    games.season,
    games.game_date_et,
    games.season_type,
    latest_versions.is_postseason
from games
inner join latest_versions
    on games.balldontlie_game_id = latest_versions.balldontlie_game_id
where
    case
        when games.season_type in ('unknown', 'all_star') then false
        when games.season_type = 'playoffs'
            then not latest_versions.is_postseason
        when games.season_type = 'play_in'
            then
                latest_versions.is_postseason
                and games.season not in (2020, 2021)
        else latest_versions.is_postseason
    end
