with pairs as (

    select
        *,
        coalesce(left_feed_at, 'infinity'::timestamptz) as gone_at
    from {{ ref('int_events_paired') }}
    where game_id is not null

),

games as (

    select * from {{ ref('int_games_concerned') }}

),

-- Two ids of one game that were on offer at the same time. The better one is
-- that of the better stage, then that which stays longer, then the nearer. The
-- other one is succeeded by it if it came first, and refused if it did not.
rivals as (

    select
        pairs.event_id,
        better.first_listed_at as better_first_listed_at,
        pairs.first_listed_at < better.first_listed_at
        and not (pairs.is_swapped and not better.is_swapped) as is_succeeded
    from pairs
    inner join pairs as better
        on
            pairs.game_id = better.game_id
            and pairs.event_id <> better.event_id
            and pairs.first_listed_at < better.gone_at
            and pairs.gone_at > better.first_listed_at
            and (
                -better.stage,
                better.gone_at,
                -abs(coalesce(extract(epoch from better.start_apart), 0)),
                pairs.first_listed_at,
                pairs.event_id
            ) > (
                -pairs.stage,
                pairs.gone_at,
                -abs(coalesce(extract(epoch from pairs.start_apart), 0)),
                better.first_listed_at,
                better.event_id
            )
    where pairs.match_method <> 'manual'

),

rivalries as (

    select
        event_id,
        bool_or(not is_succeeded) as is_refused,
        min(better_first_listed_at) as succeeded_at
    from rivals
    group by event_id

),

final as (

    select
        'odds_api' as source,
        pairs.event_id as source_id,
        pairs.game_id,
        pairs.match_method,
        pairs.minutes_apart,
        pairs.is_swapped,
        pairs.first_listed_at as valid_from_at,
        least(pairs.left_feed_at, rivalries.succeeded_at) as valid_to_at,
        pairs.matched_at
    from pairs
    left join rivalries on pairs.event_id = rivalries.event_id
    where coalesce(not rivalries.is_refused, true)

    union all

    select
        'balldontlie' as source,
        balldontlie_game_id::text as source_id,
        game_id,
        'own_id' as match_method,
        0::numeric(10, 1) as minutes_apart,
        false as is_swapped,
        first_seen_at as valid_from_at,
        null as valid_to_at,
        first_seen_at as matched_at
    from games
    where balldontlie_game_id is not null

)

select * from final
