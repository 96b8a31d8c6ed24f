{{ config(tags=['grading']) }}

with picks as (

    select * from {{ ref('picks') }}

),

grades as (

    select *
    from {{ ref('grades') }}
    where is_latest

),

pick_clv as (

    select * from {{ ref('pick_clv') }}

),

final as (

    select
        picks.policy,
        picks.sport_key,
        picks.market_key,
        count(*) as pick_count,
        count(*) filter (where grades.outcome = 'win') as win_count,
        count(*) filter (where grades.outcome = 'loss') as loss_count,
        count(*) filter (where grades.outcome = 'push') as push_count,
        count(*) filter (where grades.outcome = 'void') as void_count,
        count(*) filter (where grades.outcome in ('half_win', 'half_loss'))
            as half_count,
        count(*) filter (where coalesce(grades.outcome, 'pending') = 'pending')
            as pending_count,
        coalesce(
            sum(picks.stake_units) filter (
                where
                grades.outcome in ('win', 'loss', 'half_win', 'half_loss')
            ),
            0
        )::numeric(14, 4) as staked_units,
        coalesce(sum(grades.profit_units), 0)::numeric(14, 6) as profit_units,
        round(
            sum(grades.profit_units)
            / nullif(
                sum(picks.stake_units) filter (
                    where
                    grades.outcome in ('win', 'loss', 'half_win', 'half_loss')
                ),
                0
            ),
            6
        )::numeric(12, 6) as roi,
        count(pick_clv.clv_ev_line_adjusted) as clv_count,
        round(avg(pick_clv.clv_ev_line_adjusted), 8)::numeric(12, 8)
            as mean_clv_ev_line_adjusted
    from picks
    left join grades on picks.pick_id = grades.pick_id
    left join pick_clv on picks.pick_id = pick_clv.pick_id
    group by
        picks.policy,
        picks.sport_key,
        picks.market_key

)

select * from final
