{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['pick_id', 'grade_version'],
    on_schema_change='append_new_columns',
    tags=['grading'],
    pre_hook=["{{ claim_loads(['staging_balldontlie']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with picks as (

    select * from {{ ref('picks') }}

),

leagues as (

    select * from {{ ref('leagues') }}

),

game_id_map as (

    select * from {{ ref('game_id_map') }}

),

games as (

    select * from {{ ref('games') }}

),

result_versions as (

    select * from {{ ref('game_result_versions') }}

),

settlement_rules as (

    select * from {{ ref('settlement_rules') }}

),

touched_games as (

    select balldontlie_game_id
    from {{ ref('int_games_rewound') }}
    where model_name = 'grades'

),

picks_with_games as (

    select
        picks.pick_id,
        picks.event_id,
        picks.decided_at,
        picks.market_key,
        picks.outcome_side,
        picks.line_points,
        picks.price_decimal,
        picks.stake_units,
        picks.commences_at,
        leagues.league,
        leagues.results_source,
        game_id_map.is_swapped,
        games.game_id,
        games.balldontlie_game_id,
        games.commences_at as game_commences_at,
        settlement_rules.rule_id,
        settlement_rules.void_after_hours,
        abs(
            extract(epoch from games.commences_at - picks.commences_at)
        ) > settlement_rules.void_after_hours * 3600 as is_moved_too_far,
        picks.commences_at
        + settlement_rules.void_after_hours * interval '1 hour' as voids_at
    from picks
    inner join leagues on picks.sport_key = leagues.sport_key
    left join settlement_rules
        on
            leagues.league = settlement_rules.league
            and picks.market_key = settlement_rules.market_key
    left join game_id_map
        on
            picks.event_id = game_id_map.source_id
            and game_id_map.source = 'odds_api'
    left join games on game_id_map.game_id = games.game_id

),

picks_to_grade as (

    select picks_with_games.*
    from picks_with_games
    {% if is_incremental() -%}
    where
        picks_with_games.balldontlie_game_id in (
            select touched_games.balldontlie_game_id from touched_games
        )
        or not exists (
            select 1
            from {{ this }} as kept
            where
                kept.pick_id = picks_with_games.pick_id
                and kept.is_latest
                and kept.outcome <> 'pending'
                and (
                    kept.game_id is not distinct from picks_with_games.game_id
                )
        )
    {%- endif %}

),

-- What the side has over its line: above zero it wins, at zero it is a push,
-- a quarter either way is half of it. The event may call the other team home.
picks_with_results as (

    select
        picks_to_grade.*,
        result_versions.result_version,
        result_versions.finalized_at,
        case
            when picks_to_grade.market_key = 'totals'
                then
                    case picks_to_grade.outcome_side
                        when 'over'
                            then
                                result_versions.total_points
                                - picks_to_grade.line_points
                        when 'under'
                            then
                                picks_to_grade.line_points
                                - result_versions.total_points
                    end
            when picks_to_grade.market_key in ('h2h', 'spreads') then
                case
                    when
                        (picks_to_grade.outcome_side = 'home')
                        = (not picks_to_grade.is_swapped)
                        then result_versions.margin
                    else -result_versions.margin
                end
                + case
                    when picks_to_grade.market_key = 'spreads'
                        then picks_to_grade.line_points
                    else 0
                end
        end as points_over_line
    from picks_to_grade
    inner join result_versions
        on picks_to_grade.game_id = result_versions.game_id
    where picks_to_grade.rule_id is not null

),

grades_by_result as (

    select
        pick_id,
        result_version as grade_version,
        event_id,
        stake_units,
        price_decimal,
        case
            when is_moved_too_far then 'void'
            when points_over_line >= 0.5 then 'win'
            when points_over_line > 0 then 'half_win'
            when points_over_line = 0 then 'push'
            when points_over_line > -0.5 then 'half_loss'
            when points_over_line <= -0.5 then 'loss'
            else 'pending'
        end as outcome,
        case
            when is_moved_too_far then 'game_moved_beyond_window'
            when points_over_line is null then 'market_not_gradable'
            when result_version > 1 then 'result_corrected'
            else 'result'
        end as reason_code,
        game_id,
        result_version,
        rule_id,
        finalized_at as graded_at
    from picks_with_results

),

grades_by_window as (

    select
        pick_id,
        1 as grade_version,
        event_id,
        stake_units,
        price_decimal,
        'void' as outcome,
        'no_game_within_window' as reason_code,
        game_id,
        null::integer as result_version,
        rule_id,
        voids_at as graded_at
    from picks_to_grade
    where
        results_source is not null
        and game_id is null
        and voids_at <= {{ as_of() }}

),

grades_pending as (

    select
        pick_id,
        0 as grade_version,
        event_id,
        stake_units,
        price_decimal,
        'pending' as outcome,
        case
            when results_source is null then 'no_results_source'
            when rule_id is null then 'no_settlement_rule'
            else 'awaiting_result'
        end as reason_code,
        null::uuid as game_id,
        null::integer as result_version,
        rule_id,
        decided_at as graded_at
    from picks_to_grade

),

all_grades as (

    select * from grades_pending

    union all

    select * from grades_by_window

    union all

    select * from grades_by_result

),

final as (

    select
        pick_id,
        grade_version::integer as grade_version,
        event_id,
        game_id,
        outcome,
        case outcome
            when 'win' then round(stake_units * (price_decimal - 1), 6)
            when 'half_win'
                then round(stake_units * (price_decimal - 1) / 2, 6)
            when 'push' then 0
            when 'void' then 0
            when 'half_loss' then round(-stake_units / 2, 6)
            when 'loss' then -stake_units
        end::numeric(14, 6) as profit_units,
        reason_code,
        result_version,
        rule_id,
        graded_at,
        grade_version = max(grade_version) over (partition by pick_id)
            as is_latest
    from all_grades

)

select * from final
