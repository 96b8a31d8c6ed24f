-- Plain selects, no CTEs: see stg_odds_api__quotes. Whoever asks for an event,
-- a capture or a load gets what is unpacked already from the table, and has
-- only the rest of the payloads taken apart.
select
    event_id,
    sport_key,
    feed_id,
    captured_at,
    load_id,
    commences_at,
    bookmaker_key,
    market_key,
    market_id,
    is_two_way,
    is_gradable,
    is_lay,
    is_in_play,
    outcome_side,
    outcome_name,
    description,
    line_points,
    price_quoted,
    price_american,
    quoted_at,
    rejection_reason,
    outcome
from {{ ref('int_quotes_unpacked') }}

union all

select
    event_id,
    sport_key,
    feed_id,
    captured_at,
    load_id,
    commences_at,
    bookmaker_key,
    market_key,
    market_id,
    is_two_way,
    is_gradable,
    is_lay,
    is_in_play,
    outcome_side,
    outcome_name,
    description,
    line_points,
    price_quoted,
    price_american,
    quoted_at,
    rejection_reason,
    outcome
from {{ ref('int_quotes_normalised') }}
where
    load_id <> all(
        array(
            select load_id
            from {{ ref('int_quotes_unpacked') }}
            group by load_id
        )
    )
