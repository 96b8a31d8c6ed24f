{{ config(
    materialized='view',
    post_hook=["{{ create_board_at() }}"],
) }}

with odds_snapshots as (

    select * from {{ ref('odds_snapshots') }}

),

market_sightings as (

    select * from {{ ref('market_sightings') }}

),

-- Partitioned as the primary key is, so that a condition on the event or the
-- market is pushed below the window and read by index.
changes_in_time as (

    select
        *,
        lead(captured_at) over market_in_time as ended_at,
        lead(change_kind) over market_in_time as ended_by,
        lead(previous_seen_at) over market_in_time as seen_before_end_at
    from odds_snapshots
    window market_in_time as (
        partition by
            event_id,
            market_id
        order by captured_at
    )

),

offers as (

    select
        changes_in_time.*,
        case
            when changes_in_time.ended_at is not null
                then changes_in_time.seen_before_end_at
            else market_sightings.last_seen_at
        end as offered_until_at
    from changes_in_time
    left join market_sightings
        on
            changes_in_time.event_id = market_sightings.event_id
            and changes_in_time.bookmaker_key = market_sightings.bookmaker_key
            and changes_in_time.market_key = market_sightings.market_key
    where changes_in_time.change_kind <> 'withdrawn'

),

final as (

    select
        event_id,
        market_id,
        captured_at as offered_from_at,
        sport_key,
        bookmaker_key,
        market_key,
        outcome_side,
        outcome_name,
        description,
        price_american,
        price_decimal,
        implied_probability,
        line_points,
        quoted_at,
        offered_until_at,
        extract(epoch from offered_until_at - captured_at)::bigint
            as offered_seconds,
        ended_at is null as is_still_offered,
        ended_at,
        ended_by,
        is_in_play
    from offers

)

select * from final
