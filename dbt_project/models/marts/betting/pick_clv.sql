{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='pick_id',
    on_schema_change='append_new_columns',
    tags=['grading'],
    pre_hook=[
        "{{ claim_loads(
            ['staging_odds_api'],
            taken_in_by={'staging_odds_api': ['closing_lines', 'picks']},
        ) }}",
        "{{ claim_due(rows=events_due(ref('int_events_identified'))) }}",
    ],
    post_hook=["{{ release_loads() }}", "{{ release_due() }}"],
) }}

with touched_events as (

    select event_id
    from {{ ref('int_closes_touched') }}
    where model_name = 'pick_clv'

),

picks as (

    select * from {{ ref('picks') }}

),

closing_lines as (

    select * from {{ ref('closing_lines') }}

),

picks_with_closes as (

    select
        picks.pick_id,
        picks.event_id,
        picks.market_id,
        picks.market_key,
        picks.outcome_side,
        picks.line_points,
        picks.price_decimal,
        picks.fair_probability,
        closing_lines.line_points as close_line_points,
        closing_lines.price_american as close_price_american,
        closing_lines.price_decimal as close_price_decimal,
        closing_lines.fair_probability as close_fair_probability,
        closing_lines.close_age_seconds,
        case
            when closing_lines.market_id is null then 'not_started'
            when
                closing_lines.captured_at = picks.decided_at
                then 'same_as_bet'
            else closing_lines.close_status
        end as close_status
    from touched_events
    inner join picks on touched_events.event_id = picks.event_id
    left join closing_lines
        on
            picks.event_id = closing_lines.event_id
            and picks.market_id = closing_lines.market_id

),

-- A close that is the bet itself, is missing or is hours old says nothing of
-- the bet: its figures stay null. Each step from here on ends with `offset 0`,
-- or PostgreSQL would put each polynomial in the place of each mention of it.
picks_with_measured_closes as (

    select
        *,
        close_status = 'measured' as is_measured,
        (line_points is not distinct from close_line_points) as is_same_line,
        -- A side wins when its count is above this: minus the line for a team
        -- and for the under, the line for the over.
        case
            when outcome_side = 'over' then line_points
            else -line_points
        end as threshold,
        case
            when outcome_side = 'over' then close_line_points
            else -close_line_points
        end as close_threshold,
        case market_key
            when 'spreads' then {{ var('spread_error_sd') }}
            when 'totals' then {{ var('total_error_sd') }}
        end::numeric as error_sd
    from picks_with_closes
    order by pick_id
    offset 0

),

picks_with_distribution as (

    select
        *,
        case
            when is_measured and error_sd is not null
                then
                    close_threshold
                    + error_sd
                    * {{ normal_quantile('close_fair_probability') }}
        end as expected_count
    from picks_with_measured_closes
    order by pick_id
    offset 0

),

picks_with_push_width as (

    select
        *,
        -- Only a whole number can be hit: half a point either side of it.
        case when threshold = trunc(threshold) then 0.5 else 0 end
            as push_width
    from picks_with_distribution
    order by pick_id
    offset 0

),

picks_with_chances as (

    select
        *,
        {{ normal_cdf(
            '(expected_count - threshold - push_width) / error_sd'
        ) }} as win_probability,
        case
            when push_width = 0 then 0
            else
                {{ normal_cdf(
                    '(threshold + push_width - expected_count) / error_sd'
                ) }}
                - {{ normal_cdf(
                    '(threshold - push_width - expected_count) / error_sd'
                ) }}
        end as push_probability
    from picks_with_push_width
    order by pick_id
    offset 0

),

final as (

    select
        pick_id,
        event_id,
        market_id,
        close_status,
        close_age_seconds,
        close_line_points,
        close_price_american,
        case
            when is_measured and not is_same_line then 'line_moved'
        end as clv_null_reason,
        case
            when is_measured and is_same_line
                then round(price_decimal / close_price_decimal - 1, 8)
        end::numeric(12, 8) as clv_price,
        case
            when is_measured and is_same_line
                then round(price_decimal * close_fair_probability - 1, 8)
        end::numeric(12, 8) as clv_ev,
        case
            when is_measured and is_same_line
                then round(close_fair_probability - fair_probability, 10)
        end::numeric(12, 10) as clv_probability,
        case
            when is_measured then round(close_threshold - threshold, 2)
        end::numeric(8, 2) as clv_points,
        case
            when is_measured and market_key = 'h2h'
                then round(price_decimal * close_fair_probability - 1, 8)
            when is_measured
                then
                    round(
                        (
                            win_probability * price_decimal
                            + push_probability
                            - 1
                        )::numeric,
                        8
                    )
        end::numeric(12, 8) as clv_ev_line_adjusted
    from picks_with_chances

)

select * from final
