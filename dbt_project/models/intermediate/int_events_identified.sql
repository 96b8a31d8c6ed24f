{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='event_id',
    on_schema_change='append_new_columns',
    tags=['ingest'],
    pre_hook=["{{ claim_loads(['staging_odds_api']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with touched_events as (

    select event_id
    from {{ ref('int_events_rewound') }}
    where model_name = 'int_events_identified'

),

event_versions as (

    select * from {{ ref('int_events_versioned') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

team_names as (

    select *
    from {{ ref('team_names') }}
    where source = 'odds_api'

),

latest_versions as (

    select distinct on (event_versions.event_id)
        event_versions.*,
        (event_versions.commences_at at time zone 'America/New_York')::date
            as game_date_et
    from touched_events
    inner join event_versions
        on touched_events.event_id = event_versions.event_id
    order by
        event_versions.event_id,
        event_versions.captured_at desc

),

final as (

    select
        latest_versions.event_id,
        latest_versions.sport_key,
        leagues.league,
        latest_versions.home_team_name,
        latest_versions.away_team_name,
        home_names.team_id as home_team_id,
        away_names.team_id as away_team_id,
        latest_versions.commences_at,
        latest_versions.game_date_et,
        latest_versions.first_listed_at
    from latest_versions
    left join leagues on latest_versions.sport_key = leagues.sport_key
    left join team_names as home_names
        on
            leagues.league = home_names.league
            and latest_versions.home_team_name = home_names.source_name
            and latest_versions.game_date_et
            >= coalesce(home_names.valid_from, '-infinity'::date)
            and latest_versions.game_date_et
            < coalesce(home_names.valid_to, 'infinity'::date)
    left join team_names as away_names
        on
            leagues.league = away_names.league
            and latest_versions.away_team_name = away_names.source_name
            and latest_versions.game_date_et
            >= coalesce(away_names.valid_from, '-infinity'::date)
            and latest_versions.game_date_et
            < coalesce(away_names.valid_to, 'infinity'::date)

)

select * from final
