with finals as not materialized (

    select * from {{ ref('int_finals_judged') }}

),

scores as (

    select * from {{ ref('int_scores_versioned') }}

),

game_id_map as (

    select * from {{ ref('game_id_map') }}

),

result_overrides as (

    select * from {{ ref('result_overrides') }}

),

games_with_results as not materialized (

    select
        game_id,
        min(first_seen_at) as first_final_at
    from finals
    where verdict = 'sound'
    group by game_id

),

-- What either source said, in order. The scores of the other source are no
-- result, only a check; the event may call the other team home.
statements as (

    select
        finals.game_id,
        finals.first_seen_at as captured_at,
        1 as statement_order,
        '' as source_id,
        finals.verdict,
        finals.league,
        finals.schedule_source_id,
        finals.home_team_id,
        finals.away_team_id,
        finals.home_score,
        finals.away_score,
        finals.periods,
        finals.overtime_periods,
        finals.home_period_scores,
        finals.away_period_scores,
        finals.is_period_sum_off,
        null::boolean as is_completed,
        null::integer as checked_home_score,
        null::integer as checked_away_score
    from finals
    inner join games_with_results
        on
            finals.game_id = games_with_results.game_id
            and finals.first_seen_at >= games_with_results.first_final_at

    union all

    select
        game_id_map.game_id,
        scores.captured_at,
        2 as statement_order,
        scores.event_id as source_id,
        null as verdict,
        null as league,
        null as schedule_source_id,
        null as home_team_id,
        null as away_team_id,
        null as home_score,
        null as away_score,
        null as periods,
        null as overtime_periods,
        null::jsonb as home_period_scores,
        null::jsonb as away_period_scores,
        null::boolean as is_period_sum_off,
        scores.is_completed
        and scores.home_score is not null
        and scores.away_score is not null as is_completed,
        case
            when game_id_map.is_swapped then scores.away_score
            else scores.home_score
        end as checked_home_score,
        case
            when game_id_map.is_swapped then scores.home_score
            else scores.away_score
        end as checked_away_score
    from scores
    inner join game_id_map
        on
            scores.event_id = game_id_map.source_id
            and game_id_map.source = 'odds_api'
    inner join games_with_results
        on game_id_map.game_id = games_with_results.game_id

),

statements_counted as (

    select
        *,
        count(*) filter (where verdict = 'sound') over game_in_time
            as final_count,
        count(verdict) over game_in_time as verdict_count,
        count(is_completed) over game_in_time as check_count
    from statements
    window game_in_time as (
        partition by game_id
        order by captured_at, statement_order, source_id
    )

),

-- At each statement, the last final, the last verdict and the last check.
statements_filled as (

    select
        game_id,
        captured_at,
        statement_order,
        source_id,
        final_count,
        first_value(league) over final_last as league,
        first_value(schedule_source_id) over final_last as schedule_source_id,
        first_value(home_team_id) over final_last as home_team_id,
        first_value(away_team_id) over final_last as away_team_id,
        first_value(home_score) over final_last as home_score,
        first_value(away_score) over final_last as away_score,
        first_value(periods) over final_last as periods,
        first_value(overtime_periods) over final_last as overtime_periods,
        first_value(home_period_scores) over final_last as home_period_scores,
        first_value(away_period_scores) over final_last as away_period_scores,
        first_value(is_period_sum_off) over final_last as is_period_sum_off,
        first_value(verdict) over verdict_last as verdict,
        first_value(is_completed) over check_last as is_completed,
        first_value(checked_home_score) over check_last as checked_home_score,
        first_value(checked_away_score) over check_last as checked_away_score
    from statements_counted
    window
        final_last as (
            partition by game_id, final_count
            order by captured_at, statement_order, source_id
        ),
        verdict_last as (
            partition by game_id, verdict_count
            order by captured_at, statement_order, source_id
        ),
        check_last as (
            partition by game_id, check_count
            order by captured_at, statement_order, source_id
        )

),

states as (

    select distinct on (
        statements_filled.game_id, statements_filled.captured_at
    )
        statements_filled.*,
        case
            when not coalesce(statements_filled.is_completed, false)
                then 'not_checked'
            when
                statements_filled.checked_home_score
                = statements_filled.home_score
                and statements_filled.checked_away_score
                = statements_filled.away_score
                then 'agrees'
            when result_overrides.league is not null then 'overruled'
            else 'disagrees'
        end as cross_check
    from statements_filled
    left join result_overrides
        on
            statements_filled.league = result_overrides.league
            and statements_filled.schedule_source_id
            = result_overrides.schedule_source_id
    where statements_filled.final_count > 0
    order by
        statements_filled.game_id,
        statements_filled.captured_at,
        statements_filled.statement_order desc,
        statements_filled.source_id desc

),

states_judged as (

    select
        *,
        case
            when verdict <> 'sound' then 'retracted'
            when cross_check = 'disagrees' then 'disputed'
            else 'final'
        end as result_status
    from states

),

-- What changes nothing of the result is no version of it.
states_with_previous as (

    select
        *,
        lag(
            (result_status, home_team_id, home_score, away_score, periods)
        ) over (
            partition by game_id
            order by captured_at
        ) as previous_state
    from states_judged

),

states_numbered as (

    select
        *,
        count(*) filter (
            where
            (result_status, home_team_id, home_score, away_score, periods)
            is distinct from previous_state
        ) over (
            partition by game_id
            order by captured_at
        )::integer as result_version
    from states_with_previous

),

-- The quarters and the check as last known, the time as first.
versions as (

    select distinct on (game_id, result_version)
        *,
        min(captured_at) over (partition by game_id, result_version)
            as finalized_at,
        max(result_version) over (partition by game_id) as last_version
    from states_numbered
    order by
        game_id,
        result_version,
        captured_at desc

),

final as (

    select
        game_id,
        result_version,
        result_version = last_version as is_latest,
        result_status,
        league,
        schedule_source_id,
        home_team_id,
        away_team_id,
        home_score,
        away_score,
        periods,
        overtime_periods,
        home_period_scores,
        away_period_scores,
        case
            when home_score > away_score then home_team_id
            else away_team_id
        end as winner_team_id,
        (home_score - away_score)::integer as margin,
        (home_score + away_score)::integer as total_points,
        coalesce(is_period_sum_off, false) as is_quarter_sum_off,
        cross_check,
        case when is_completed then checked_home_score end
            as checked_home_score,
        case when is_completed then checked_away_score end
            as checked_away_score,
        finalized_at
    from versions

)

select * from final
