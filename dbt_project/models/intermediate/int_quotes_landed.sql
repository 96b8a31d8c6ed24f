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
    normalised.event_id,
    normalised.sport_key,
    normalised.feed_id,
    normalised.captured_at,
    normalised.load_id,
    normalised.commences_at,
    normalised.bookmaker_key,
    normalised.market_key,
    normalised.market_id,
    normalised.is_two_way,
    normalised.is_gradable,
    normalised.is_lay,
    normalised.is_in_play,
    normalised.outcome_side,
    normalised.outcome_name,
    normalised.description,
    normalised.line_points,
    normalised.price_quoted,
    normalised.price_american,
    normalised.quoted_at,
    normalised.rejection_reason,
    case
        when normalised.rejection_reason is not null then normalised.outcome
    end as outcome
from {{ ref('int_quotes_normalised') }} as normalised
where
    normalised.load_id <> all(
        array(
            select unpacked.load_id
            from {{ ref('int_quotes_unpacked') }} as unpacked
            group by unpacked.load_id
        )
    )
