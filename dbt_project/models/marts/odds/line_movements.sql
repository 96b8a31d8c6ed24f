{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['event_id', 'market_id'],
    on_schema_change='append_new_columns',
    tags=['grading'],
    meta={'tells': {'consensus_movements': 'changed.event_id'}},
    pre_hook=[
        "{{ claim_loads(
            ['staging_odds_api'],
            taken_in_by={
                'staging_odds_api': ['odds_snapshots', 'closing_lines'],
            },
        ) }}",
        "{{ claim_due(rows=events_due(ref('int_events_identified'))) }}",
    ],
    post_hook=["{{ release_loads() }}", "{{ release_due() }}"],
    indexes=[{'columns': ['market_id']}],
) }}

with touched_events as (

    select event_id
    from {{ ref('int_closes_touched') }}
    where model_name = 'line_movements'

),

events as (

    select * from {{ ref('int_events_identified') }}

),

events_started as (

    select * from {{ ref('int_events_started') }}

),

odds_snapshots as (

    select * from {{ ref('odds_snapshots') }}

),

markets as (

    select * from {{ ref('markets') }}

),

closing_lines as (

    select * from {{ ref('closing_lines') }}

),

events_with_start as (

    select
        touched_events.event_id,
        coalesce(events_started.starts_at, events.commences_at) as starts_at
    from touched_events
    cross join
        lateral (
            select each_event.commences_at
            from events as each_event
            where each_event.event_id = touched_events.event_id
            order by each_event.event_id
            offset 0
        ) as events
    left join
        lateral (
            select starts.*
            from events_started as starts
            where starts.event_id = touched_events.event_id
            order by starts.starts_at
            offset 0
        ) as events_started
        on true

),

-- What was captured just after the start counts if it was quoted before it, as
-- for the close; nothing else of a running game does. What was captured before
-- it was quoted before it, however far ahead the bookmaker's clock stands.
changes_before_start as (

    select
        odds_snapshots.*,
        events_with_start.starts_at
    from events_with_start
    cross join
        lateral (
            select changes.*
            from odds_snapshots as changes
            where changes.event_id = events_with_start.event_id
            order by changes.event_id
            offset 0
        ) as odds_snapshots
    where
        odds_snapshots.captured_at < events_with_start.starts_at
        + interval '{{ var("close_grace_seconds") }} seconds'
        and least(odds_snapshots.quoted_at, odds_snapshots.captured_at)
        < events_with_start.starts_at

),

changes_in_time as (

    select
        *,
        change_kind = 'withdrawn' as is_withdrawal,
        row_number() over prices_in_time = 1 as is_first,
        lag(line_points) over prices_in_time as previous_line_points
    from changes_before_start
    window prices_in_time as (
        partition by
            event_id,
            market_id,
            change_kind = 'withdrawn'
        order by captured_at
    )

),

movements as (

    select
        event_id,
        market_id,
        min(captured_at) filter (where not is_withdrawal) as opened_at,
        max(price_american) filter (where is_first) as open_price_american,
        max(line_points) filter (where is_first) as open_line_points,
        max(captured_at) filter (where not is_withdrawal) as last_changed_at,
        (array_agg(price_american order by is_withdrawal, captured_at desc))[1]
            as last_price_american,
        (array_agg(line_points order by is_withdrawal, captured_at desc))[1]
            as last_line_points,
        max(price_american) as high_price_american,
        min(price_american) as low_price_american,
        max(line_points) as high_line_points,
        min(line_points) as low_line_points,
        count(*) filter (where change_kind = 'moved') as move_count,
        count(*) filter (
            where not is_withdrawal
            and not is_first
            and (line_points is distinct from previous_line_points)
        ) as line_move_count,
        count(*) filter (where is_withdrawal) as withdrawal_count
    from changes_in_time
    group by
        event_id,
        market_id

),

-- By event, with an offset: a join is planned as a read of all closes kept.
closes as (

    select closes_of_event.*
    from events_with_start
    cross join
        lateral (
            select closing_lines.*
            from closing_lines
            where closing_lines.event_id = events_with_start.event_id
            order by closing_lines.market_id
            offset 0
        ) as closes_of_event

),

final as (

    select
        markets.event_id,
        markets.market_id,
        markets.bookmaker_key,
        markets.market_key,
        markets.outcome_side,
        markets.outcome_name,
        markets.description,
        events_with_start.starts_at,
        movements.opened_at,
        movements.open_price_american,
        movements.open_line_points::numeric(8, 2) as open_line_points,
        movements.last_changed_at,
        movements.last_price_american,
        movements.last_line_points::numeric(8, 2) as last_line_points,
        closes.price_american as close_price_american,
        closes.line_points::numeric(8, 2) as close_line_points,
        closes.fair_probability as close_fair_probability,
        closes.close_status,
        movements.high_price_american,
        movements.low_price_american,
        movements.high_line_points::numeric(8, 2) as high_line_points,
        movements.low_line_points::numeric(8, 2) as low_line_points,
        coalesce(movements.move_count, 0) as move_count,
        coalesce(movements.line_move_count, 0) as line_move_count,
        coalesce(movements.withdrawal_count, 0) as withdrawal_count
    from events_with_start
    inner join markets on events_with_start.event_id = markets.event_id
    left join movements
        on
            markets.event_id = movements.event_id
            and markets.market_id = movements.market_id
    left join closes
        on
            markets.event_id = closes.event_id
            and markets.market_id = closes.market_id

)

select * from final
