{%- set told = match_key(
    'changed.game_id',
    'changed.league',
    'changed.home_team_id',
    'changed.away_team_id',
    game_date_et='changed.game_date_et',
    balldontlie_game_id='changed.balldontlie_game_id',
) -%}
{{ config(
    materialized='incremental',
    incremental_strategy='mirror',
    unique_key='game_id',
    on_schema_change='append_new_columns',
    tags=['ingest', 'results'],
    meta={
        'due': {
            'game_versions':
                'each_row.balldontlie_game_id = due.row_key::bigint',
            'int_events_identified': """
                each_row.schedule_source = 'odds_api'
                and each_row.league = (due.row_key::text[])[1]
                and each_row.home_team_id = (due.row_key::text[])[2]
                and each_row.away_team_id = (due.row_key::text[])[3]
            """,
        },
        'tells': {
            'game_id_map': told,
            'unmatched_events': told,
            'game_result_versions': 'changed.game_id',
            'rejected_results': 'changed.game_id',
            'grades': 'changed.game_id',
            'closing_lines': {
                'key': 'changed.game_id',
                'watched': ['schedule_source', 'commences_at', 'status'],
            },
        },
    },
    pre_hook=[
        "{{ claim_due(seeds=[
            ref('leagues'),
            ref('league_teams'),
            ref('season_phases'),
            ref('neutral_sites'),
        ]) }}",
    ],
    post_hook=["{{ release_due() }}"],
    indexes=[
        {'columns': ['home_team_id', 'away_team_id', 'commences_at']},
        {'columns': ['league', 'commences_at']},
        {'columns': ['commences_at']},
        {'columns': ['balldontlie_game_id']},
        {'columns': ['schedule_source_id']},
    ],
) }}

with all_games as (

    {{ due_rows(ref('int_games_scheduled')) }}

),

season_phases as (

    select * from {{ ref('season_phases') }}

),

neutral_sites as (

    select * from {{ ref('neutral_sites') }}

),

-- Of the stretches of its season that cover the day the shortest: the Cup
-- final lies inside the regular season.
game_phases as (

    select distinct on (all_games.game_id)
        all_games.game_id,
        season_phases.season_type
    from all_games
    inner join season_phases
        on
            all_games.league = season_phases.league
            and all_games.season = season_phases.season
            and all_games.game_date_et
            between season_phases.first_date_et and season_phases.last_date_et
    order by
        all_games.game_id,
        season_phases.last_date_et - season_phases.first_date_et

),

neutral_games as (

    select all_games.game_id
    from all_games
    inner join neutral_sites
        on
            all_games.league = neutral_sites.league
            and all_games.game_date_et
            between neutral_sites.first_date_et and neutral_sites.last_date_et
            and (
                neutral_sites.team_id is null
                or neutral_sites.team_id
                in (all_games.home_team_id, all_games.away_team_id)
            )
    group by all_games.game_id

),

final as (

    select
        all_games.game_id,
        all_games.league,
        all_games.schedule_source,
        all_games.season,
        coalesce(game_phases.season_type, 'unknown') as season_type,
        all_games.game_date_et,
        all_games.commences_at,
        all_games.home_team_id,
        all_games.away_team_id,
        all_games.status,
        -- No source says where a game is played: listed, or not known.
        case when neutral_games.game_id is not null then true end
            as is_neutral_site,
        all_games.schedule_source_id,
        all_games.balldontlie_game_id,
        all_games.first_seen_at,
        all_games.changed_at
    from all_games
    left join game_phases on all_games.game_id = game_phases.game_id
    left join neutral_games on all_games.game_id = neutral_games.game_id

)

select * from final
