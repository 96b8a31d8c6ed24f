{%- set told = match_key(
    'changed.event_id',
    'changed.league',
    'changed.home_team_id',
    'changed.away_team_id',
) -%}
{%- set identity = [
    'league', 'home_team_id', 'away_team_id', 'commences_at', 'game_date_et',
    'first_listed_at', 'left_feed_at',
] -%}
{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='event_id',
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    meta={
        'due': {'event_versions': 'each_row.event_id = due.row_key'},
        'tells': {
            'games': """
                case
                    when
                        changed.home_team_id is not null
                        and changed.away_team_id is not null
                        then
                            array[
                                changed.league,
                                changed.home_team_id,
                                changed.away_team_id
                            ]
                end
            """,
            'game_id_map': {'key': told, 'watched': identity},
            'unmatched_events': {
                'key': told,
                'watched': identity + [
                    'sport_key', 'home_team_name', 'away_team_name',
                    'is_home_name_known', 'is_away_name_known', 'status',
                ],
            },
            'grades': {'key': 'changed.event_id', 'watched': ['status']},
            'closing_lines': {
                'key': 'changed.event_id',
                'watched': ['sport_key', 'commences_at'],
            },
            'line_movements': {
                'key': 'changed.event_id',
                'watched': ['commences_at'],
            },
        },
    },
    pre_hook=[
        "{{ claim_due(seeds=[ref('leagues'), ref('team_names')]) }}",
    ],
    post_hook=["{{ release_due() }}"],
    indexes=[{'columns': ['home_team_id', 'away_team_id', 'commences_at']}],
) }}

-- A name added to the seed is found in events that were listed before: where
-- the seed has changed, all events are due.
with event_versions as (

    {{ due_rows(ref('event_versions')) }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

team_names as (

    select *
    from {{ ref('team_names') }}
    where source = 'odds_api'

),

versions_with_listings as (

    select
        *,
        max(first_seen_at) filter (where status = 'listed') over (
            partition by event_id
        ) as listed_again_at
    from event_versions

),

versions_with_exits as (

    select
        *,
        min(first_seen_at) filter (where first_seen_at > listed_again_at)
            over (partition by event_id) as left_feed_at,
        max(last_seen_at) filter (where first_seen_at = listed_again_at)
            over (partition by event_id) as last_listed_at,
        (commences_at at time zone 'America/New_York')::date as game_date_et
    from versions_with_listings

),

latest_versions as (

    select * from versions_with_exits
    where superseded_at is null

),

events_with_names as (

    select
        latest_versions.event_id,
        latest_versions.sport_key,
        leagues.league,
        latest_versions.home_team_name,
        latest_versions.away_team_name,
        home_names.source_name is not null as is_home_name_known,
        away_names.source_name is not null as is_away_name_known,
        home_names.team_id as home_team_id,
        away_names.team_id as away_team_id,
        latest_versions.commences_at,
        latest_versions.game_date_et,
        latest_versions.status,
        latest_versions.first_seen_at as changed_at,
        latest_versions.first_listed_at,
        latest_versions.last_listed_at,
        latest_versions.left_feed_at
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

),

final as (

    select
        event_id,
        sport_key,
        league,
        home_team_name,
        away_team_name,
        is_home_name_known,
        is_away_name_known,
        home_team_id,
        away_team_id,
        commences_at,
        game_date_et,
        status,
        changed_at,
        first_listed_at,
        last_listed_at,
        left_feed_at
    from events_with_names

)

select * from final
