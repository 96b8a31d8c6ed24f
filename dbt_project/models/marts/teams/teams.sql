{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key='team_id',
    on_schema_change='append_new_columns',
    tags=['team_stats'],
) }}

with league_teams as (

    select * from {{ ref('league_teams') }}

),

team_names as (

    select * from {{ ref('team_names') }}

),

listings as (

    select * from {{ ref('stg_balldontlie__teams') }}

),

latest_listings as (

    select distinct on (balldontlie_team_id) *
    from listings
    order by
        balldontlie_team_id,
        captured_at desc,
        payload_hash

),

names_of_teams as (

    select
        league,
        source_name,
        team_id
    from team_names
    where
        source = 'balldontlie'
        and valid_to is null

),

final as (

    select
        league_teams.team_id,
        league_teams.league,
        league_teams.full_name,
        league_teams.abbreviation,
        league_teams.city,
        league_teams.nickname,
        league_teams.conference,
        league_teams.division,
        league_teams.balldontlie_team_id,
        latest_listings.full_name as balldontlie_full_name,
        case
            when latest_listings.balldontlie_team_id is not null
                then
                    coalesce(
                        names_of_teams.team_id = league_teams.team_id
                        and latest_listings.abbreviation
                        = league_teams.abbreviation
                        and latest_listings.conference
                        = league_teams.conference
                        and latest_listings.division = league_teams.division,
                        false
                    )
        end as is_confirmed_by_balldontlie
    from league_teams
    left join latest_listings
        on
            league_teams.balldontlie_team_id
            = latest_listings.balldontlie_team_id
    left join names_of_teams
        on
            league_teams.league = names_of_teams.league
            and latest_listings.full_name = names_of_teams.source_name

)

select * from final
