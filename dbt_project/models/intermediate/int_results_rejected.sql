with finals as (

    select * from {{ ref('int_finals_judged') }}

),

results_versioned as (

    select * from {{ ref('int_results_versioned') }}

),

finals_unsound as (

    select
        game_id,
        league,
        schedule_source_id,
        verdict as reason,
        'the schedule calls it final with '
        || coalesce(home_score::text, 'no score')
        || '-'
        || coalesce(away_score::text, 'no score')
        || ' in period '
        || coalesce(periods::text, 'unknown') as detail,
        home_score,
        away_score,
        periods,
        null::integer as checked_home_score,
        null::integer as checked_away_score,
        first_seen_at
    from finals
    where
        superseded_at is null
        and verdict not in ('sound', 'not_over')

),

results_disputed as (

    select
        game_id,
        league,
        schedule_source_id,
        case
            when
                home_score = checked_away_score
                and away_score = checked_home_score
                then 'scores_swapped'
            else 'scores_disagree'
        end as reason,
        'the schedule says '
        || home_score
        || '-'
        || away_score
        || ', the odds feed '
        || checked_home_score
        || '-'
        || checked_away_score
        || ': no result until they agree, or a row in the seed'
        || ' result_overrides confirms the schedule' as detail,
        home_score,
        away_score,
        periods,
        checked_home_score,
        checked_away_score,
        finalized_at as first_seen_at
    from results_versioned
    where is_latest and result_status = 'disputed'

),

final as (

    select * from finals_unsound

    union all

    select * from results_disputed

)

select * from final
