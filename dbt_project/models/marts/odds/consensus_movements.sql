{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key=['event_id', 'market_key', 'outcome_side'],
    on_schema_change='append_new_columns',
    tags=['grading'],
    pre_hook=[
        "{{ claim_loads(
            ['staging_odds_api'],
            taken_in_by={'staging_odds_api': ['line_movements']},
        ) }}",
        "{{ claim_due(rows=events_due(ref('int_events_identified'))) }}",
    ],
    post_hook=["{{ release_loads() }}", "{{ release_due() }}"],
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
        case
            when line_movements.close_status = 'measured'
                then line_movements.close_fair_probability
        end as measured_probability,
        coalesce(bookmakers.owner_family, line_movements.bookmaker_key)
            as owner_family
    from touched_events
    cross join
        lateral (
            select movements.*
            from line_movements as movements
            where movements.event_id = touched_events.event_id
            order by movements.event_id
            offset 0
        ) as line_movements
    inner join market_types
        on line_movements.market_key = market_types.market_key
    left join bookmakers
        on line_movements.bookmaker_key = bookmakers.bookmaker_key
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
panel_with_votes as (

    select
        *,
        row_number() over (
            partition by
                event_id,
                market_key,
                outcome_side,
                owner_family
            order by
                opened_at is null,
                bookmaker_key
        ) = 1 as is_vote
    from panel_markets_with_fair_price

),

-- The lines that are voted for, as the home side or the over sees them: the
-- lower of two in the middle of each side by itself would be no market.
panel_votes as (

    select
        *,
        case
            when is_vote
                then
                    case outcome_side when 'away' then -1 else 1 end
                    * open_line_points
        end as open_vote,
        case
            when is_vote and measured_probability is not null
                then
                    case outcome_side when 'away' then -1 else 1 end
                    * close_line_points
        end as close_vote
    from panel_with_votes

),

consensus_lines as (

    select
        event_id,
        market_key,
        outcome_side,
        percentile_disc(0.5) within group (order by open_vote) as open_line,
        percentile_disc(0.5) within group (order by close_vote) as close_line
    from panel_votes
    group by
        event_id,
        market_key,
        outcome_side

),

-- A fair probability is one at a line: only those at the consensus line tell.
panel_at_consensus_lines as (

    select
        panel_votes.*,
        case
            when
                panel_votes.is_vote
                and (
                    panel_votes.open_vote
                    is not distinct from consensus_lines.open_line
                )
                then panel_votes.open_fair_probability
        end as open_fair_vote,
        case
            when
                panel_votes.is_vote
                and (
                    panel_votes.close_vote
                    is not distinct from consensus_lines.close_line
                )
                then panel_votes.measured_probability
        end as close_fair_vote,
        case panel_votes.outcome_side when 'away' then -1 else 1 end
        * consensus_lines.open_line as consensus_open_line,
        case panel_votes.outcome_side when 'away' then -1 else 1 end
        * consensus_lines.close_line as consensus_close_line
    from panel_votes
    inner join consensus_lines
        on
            panel_votes.event_id = consensus_lines.event_id
            and panel_votes.market_key = consensus_lines.market_key
            and panel_votes.outcome_side = consensus_lines.outcome_side

),

-- The mean of the two in the middle, which are one where the number is odd: so
-- the two sides of a market sum to 1.
consensus as (

    select
        event_id,
        market_key,
        outcome_side,
        consensus_open_line as open_line_points,
        consensus_close_line as close_line_points,
        min(outcome_name) as outcome_name,
        count(opened_at) filter (where is_vote) as family_count,
        min(opened_at) filter (where is_vote) as opened_at,
        round(
            (
                percentile_disc(0.5) within group (order by open_fair_vote)
                + percentile_disc(0.5) within group (
                    order by open_fair_vote desc
                )
            ) / 2,
            10
        ) as open_fair_probability,
        round(
            (
                percentile_disc(0.5) within group (order by close_fair_vote)
                + percentile_disc(0.5) within group (
                    order by close_fair_vote desc
                )
            ) / 2,
            10
        ) as close_fair_probability,
        count(case when is_vote then measured_probability end)
            as close_family_count,
        max(high_line_points) as high_line_points,
        min(low_line_points) as low_line_points,
        max(high_price_american) as high_price_american,
        min(low_price_american) as low_price_american,
        sum(move_count)::bigint as move_count
    from panel_at_consensus_lines
    group by
        event_id,
        market_key,
        outcome_side,
        consensus_open_line,
        consensus_close_line

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
    cross join
        lateral (
            select changes.*
            from odds_snapshots as changes
            where changes.event_id = events_with_start.event_id
            order by changes.event_id
            offset 0
        ) as odds_snapshots
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
        consensus.high_line_points::numeric(8, 2) as high_line_points,
        consensus.low_line_points::numeric(8, 2) as low_line_points,
        consensus.high_price_american,
        consensus.low_price_american,
        consensus.move_count,
        coalesce(steams.steam_toward_count, 0) as steam_toward_count,
        coalesce(steams.steam_away_count, 0) as steam_away_count,
        steams.last_steam_at,
        steams.steam_family_count
    from consensus
    left join steams
        on
            consensus.event_id = steams.event_id
            and consensus.market_key = steams.market_key
            and consensus.outcome_side = steams.outcome_side

)

select * from final
