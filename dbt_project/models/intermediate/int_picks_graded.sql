{{ config(
    tags=['grading'],
    post_hook=["{{ remember_as_of() }}"],
) }}

with picks as not materialized (

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

result_versions as not materialized (

    select * from {{ ref('game_result_versions') }}

),

settlement_rules as (

    select * from {{ ref('settlement_rules') }}

),

events as (

    select * from {{ ref('int_events_identified') }}

),

picks_with_games as not materialized (

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
        events.status as event_status,
        games.game_id,
        games.status as game_status,
        settlement_rules.rule_id,
        settlement_rules.void_after_hours,
        abs(
            extract(epoch from games.commences_at - picks.commences_at)
        ) > settlement_rules.void_after_hours * 3600 as is_moved_too_far,
        games.commences_at > picks.commences_at
        + settlement_rules.void_after_hours * interval '1 hour'
            as is_moved_later,
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
    left join events on picks.event_id = events.event_id

),

-- What the side has over its line: above zero it wins, at zero it is a push,
-- a quarter either way is half of it. The event may call the other team home.
picks_with_results as (

    select
        picks_with_games.*,
        result_versions.result_version,
        result_versions.result_status,
        result_versions.finalized_at,
        case
            when picks_with_games.market_key = 'totals'
                then
                    case picks_with_games.outcome_side
                        when 'over'
                            then
                                result_versions.total_points
                                - picks_with_games.line_points
                        when 'under'
                            then
                                picks_with_games.line_points
                                - result_versions.total_points
                    end
            when picks_with_games.market_key in ('h2h', 'spreads') then
                case
                    when
                        (picks_with_games.outcome_side = 'home')
                        = (not picks_with_games.is_swapped)
                        then result_versions.margin
                    else -result_versions.margin
                end
                + case
                    when picks_with_games.market_key = 'spreads'
                        then picks_with_games.line_points
                    else 0
                end
        end as points_over_line
    from picks_with_games
    inner join result_versions
        on picks_with_games.game_id = result_versions.game_id
    where picks_with_games.rule_id is not null

),

grades_by_result as (

    select
        pick_id,
        result_version as grade_version,
        event_id,
        stake_units,
        price_decimal,
        case
            when result_status <> 'final' then 'pending'
            when is_moved_too_far then 'void'
            when points_over_line >= 0.5 then 'win'
            when points_over_line > 0 then 'half_win'
            when points_over_line = 0 then 'push'
            when points_over_line > -0.5 then 'half_loss'
            when points_over_line <= -0.5 then 'loss'
            else 'pending'
        end as outcome,
        case
            when result_status <> 'final' then 'result_' || result_status
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

-- Void only where it is known that the game was not played in time: no game,
-- one that was called off or moved beyond the window, or an event that was
-- taken off. A game whose result is late stays pending.
grades_by_window as (

    select
        picks_with_games.pick_id,
        1 as grade_version,
        picks_with_games.event_id,
        picks_with_games.stake_units,
        picks_with_games.price_decimal,
        'void' as outcome,
        case
            when picks_with_games.event_status = 'withdrawn'
                then 'event_withdrawn'
            else 'no_game_within_window'
        end as reason_code,
        picks_with_games.game_id,
        null::integer as result_version,
        picks_with_games.rule_id,
        picks_with_games.voids_at as graded_at
    from picks_with_games
    where
        picks_with_games.voids_at <= {{ as_of() }}
        and (
            (
                picks_with_games.results_source is not null
                and picks_with_games.game_id is null
            )
            or picks_with_games.game_status
            in ('postponed', 'cancelled', 'withdrawn')
            or picks_with_games.is_moved_later
        )
        and not exists (
            select 1
            from result_versions
            where result_versions.game_id = picks_with_games.game_id
        )

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
            when rule_id is null then 'no_settlement_rule'
            when event_status = 'withdrawn' and game_id is null
                then 'event_withdrawn'
            when game_status in ('postponed', 'cancelled', 'withdrawn')
                then 'game_' || game_status
            when results_source is null then 'no_results_source'
            else 'awaiting_result'
        end as reason_code,
        null::uuid as game_id,
        null::integer as result_version,
        rule_id,
        decided_at as graded_at
    from picks_with_games

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
