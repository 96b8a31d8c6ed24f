{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['event_id', 'market_key', 'outcome_side'],
    on_schema_change='append_new_columns',
    tags=['grading'],
    pre_hook=["{{ claim_loads(['staging_odds_api', 'staging_balldontlie']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with touched_events as (

    select event_id
    from {{ ref('int_closes_touched') }}
    where model_name = 'consensus_movements'

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

line_movements as (

    select * from {{ ref('line_movements') }}

),

closing_lines as (

    select * from {{ ref('closing_lines') }}

),

market_types as (

    select * from {{ ref('market_types') }}

),

bookmakers as (

    select * from {{ ref('bookmakers') }}

),

panel_markets as (

    select
        line_movements.*,
        {{ american_to_probability('line_movements.open_price_american') }}
            as open_probability,
        closing_lines.fair_probability as close_fair_probability,
        coalesce(bookmakers.owner_family, line_movements.bookmaker_key)
            as owner_family
    from touched_events
    inner join line_movements
        on touched_events.event_id = line_movements.event_id
    inner join market_types
        on line_movements.market_key = market_types.market_key
    left join bookmakers
        on line_movements.bookmaker_key = bookmakers.bookmaker_key
    left join closing_lines
        on
            line_movements.event_id = closing_lines.event_id
            and line_movements.market_id = closing_lines.market_id
            and closing_lines.close_status = 'measured'
    where
        market_types.is_featured
        and market_types.is_two_way
        and not market_types.is_lay

),

-- Two sides that opened in one capture are one market, and have a fair price.
panel_markets_with_fair_price as (

    select
        *,
        case
            when
                count(opened_at) over both_sides = 2
                and min(opened_at) over both_sides
                = max(opened_at) over both_sides
                then
                    round(
                        open_probability
                        / sum(open_probability) over both_sides,
                        10
                    )
        end as open_fair_probability
    from panel_markets
    window both_sides as (
        partition by
            event_id,
            bookmaker_key,
            market_key
    )

),

-- One vote per owner, of its first brand by name.
family_votes as (

    select distinct on (event_id, market_key, outcome_side, owner_family) *
    from panel_markets_with_fair_price
    order by
        event_id,
        market_key,
        outcome_side,
        owner_family,
        opened_at is null,
        bookmaker_key

),

consensus as (

    select
        event_id,
        market_key,
        outcome_side,
        min(outcome_name) as outcome_name,
        count(opened_at) as family_count,
        min(opened_at) as opened_at,
        percentile_disc(0.5) within group (order by open_line_points)
            as open_line_points,
        percentile_disc(0.5) within group (order by open_fair_probability)
            as open_fair_probability,
        percentile_disc(0.5) within group (
            order by
                case
                    when close_fair_probability is not null
                        then close_line_points
                end
        ) as close_line_points,
        percentile_disc(0.5) within group (order by close_fair_probability)
            as close_fair_probability,
        count(close_fair_probability) as close_family_count
    from family_votes
    group by
        event_id,
        market_key,
        outcome_side

),

ranges as (

    select
        event_id,
        market_key,
        outcome_side,
        max(high_line_points) as high_line_points,
        min(low_line_points) as low_line_points,
        max(high_price_american) as high_price_american,
        min(low_price_american) as low_price_american,
        sum(move_count)::bigint as move_count
    from panel_markets
    group by
        event_id,
        market_key,
        outcome_side

),

events_with_start as (

    select
        touched_events.event_id,
        coalesce(events_started.starts_at, events.commences_at) as starts_at
    from touched_events
    inner join events on touched_events.event_id = events.event_id
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

prices_in_time as (

    select
        odds_snapshots.event_id,
        odds_snapshots.market_key,
        odds_snapshots.outcome_side,
        odds_snapshots.captured_at,
        odds_snapshots.change_kind,
        coalesce(bookmakers.owner_family, odds_snapshots.bookmaker_key)
            as owner_family,
        odds_snapshots.price_decimal
        - lag(odds_snapshots.price_decimal) over market_in_time
            as price_step,
        odds_snapshots.line_points
        - lag(odds_snapshots.line_points) over market_in_time
            as line_step
    from events_with_start
    inner join odds_snapshots
        on events_with_start.event_id = odds_snapshots.event_id
    inner join market_types
        on odds_snapshots.market_key = market_types.market_key
    left join bookmakers
        on odds_snapshots.bookmaker_key = bookmakers.bookmaker_key
    where
        odds_snapshots.change_kind <> 'withdrawn'
        and odds_snapshots.captured_at < events_with_start.starts_at
        and market_types.is_featured
        and market_types.is_two_way
        and not market_types.is_lay
    window market_in_time as (
        partition by
            odds_snapshots.event_id,
            odds_snapshots.market_id
        order by odds_snapshots.captured_at
    )

),

-- Towards a side: its line gets harder, or at the same line its price shorter.
-- The line of an over gets harder when it rises, all others when they fall.
moves as (

    select
        event_id,
        market_key,
        outcome_side,
        captured_at,
        owner_family,
        case
            when coalesce(line_step, 0) <> 0
                then
                    sign(line_step)
                    * case outcome_side when 'over' then 1 else -1 end
            else -sign(price_step)
        end as direction
    from prices_in_time
    where change_kind = 'moved'

),

families_moved as (

    select
        event_id,
        market_key,
        outcome_side,
        direction,
        captured_at,
        owner_family
    from moves
    group by
        event_id,
        market_key,
        outcome_side,
        direction,
        captured_at,
        owner_family

),

-- A window of arrays: a join of moves with moves would be planned without
-- statistics, and took a hundred times as long.
families_in_window as (

    select
        *,
        array_agg(owner_family) over (
            partition by
                event_id,
                market_key,
                outcome_side,
                direction
            order by captured_at
            range between
            interval '{{ var("steam_window_seconds") }} seconds' preceding
            and current row
        ) as families
    from families_moved

),

moves_together as (

    select
        event_id,
        market_key,
        outcome_side,
        direction,
        captured_at,
        max(
            (
                select count(distinct family)
                from unnest(families) as family
            )
        ) as family_count
    from families_in_window
    group by
        event_id,
        market_key,
        outcome_side,
        direction,
        captured_at

),

-- Instants of one steam are not farther apart than its window.
steams_in_time as (

    select
        *,
        captured_at
        > coalesce(
            lag(captured_at) over (
                partition by
                    event_id,
                    market_key,
                    outcome_side,
                    direction
                order by captured_at
            ),
            '-infinity'::timestamptz
        )
        + interval '{{ var("steam_window_seconds") }} seconds' as is_first
    from moves_together
    where family_count >= {{ var('steam_min_families') }}

),

steams as (

    select
        event_id,
        market_key,
        outcome_side,
        count(*) filter (where is_first and direction > 0)
            as steam_toward_count,
        count(*) filter (where is_first and direction < 0)
            as steam_away_count,
        max(captured_at) as last_steam_at,
        max(family_count) as steam_family_count
    from steams_in_time
    group by
        event_id,
        market_key,
        outcome_side

),

final as (

    select
        consensus.event_id,
        consensus.market_key,
        consensus.outcome_side,
        consensus.outcome_name,
        consensus.family_count,
        consensus.opened_at,
        consensus.open_line_points::numeric(8, 2) as open_line_points,
        consensus.open_fair_probability::numeric(12, 10)
            as open_fair_probability,
        consensus.close_line_points::numeric(8, 2) as close_line_points,
        consensus.close_fair_probability::numeric(12, 10)
            as close_fair_probability,
        consensus.close_family_count,
        ranges.high_line_points::numeric(8, 2) as high_line_points,
        ranges.low_line_points::numeric(8, 2) as low_line_points,
        ranges.high_price_american,
        ranges.low_price_american,
        ranges.move_count,
        coalesce(steams.steam_toward_count, 0) as steam_toward_count,
        coalesce(steams.steam_away_count, 0) as steam_away_count,
        steams.last_steam_at,
        steams.steam_family_count
    from consensus
    inner join ranges
        on
            consensus.event_id = ranges.event_id
            and consensus.market_key = ranges.market_key
            and consensus.outcome_side = ranges.outcome_side
    left join steams
        on
            consensus.event_id = steams.event_id
            and consensus.market_key = steams.market_key
            and consensus.outcome_side = steams.outcome_side

)

select * from final
