-- Plain selects, no CTEs: see stg_odds_api__quotes. What follows from a quote
-- and its market, and not from when it was captured, is in a subquery that asks
-- for nothing else: most are quoted again as they were in the capture before,
-- and PostgreSQL remembers what it gave for them. It does so because all that
-- is asked comes out of one row: of columns from here and there it would take
-- each combination for another quote.
-- noqa: disable=ST05
select
    quotes.event_id,
    quotes.sport_key,
    quotes.request_id,
    quotes.captured_at,
    quotes.load_id,
    quotes.home_team_name,
    quotes.away_team_name,
    quotes.commences_at,
    quotes.bookmaker_key,
    quotes.market_key,
    quotes.market_family,
    quotes.is_featured,
    quotes.is_ladder,
    quotes.is_lay,
    quotes.is_two_way,
    quotes.is_gradable,
    verdict.outcome_side,
    quotes.outcome_name,
    quotes.description,
    quotes.line_points,
    quotes.price_quoted,
    quotes.quoted_at,
    quotes.outcome,
    verdict.price_american,
    verdict.market_id,
    -- Markets that are asked for together live and vanish together: the
    -- featured ones of a sport, the others of one event.
    case
        when quotes.is_featured then quotes.sport_key else quotes.event_id
    end as feed_id,
    quotes.captured_at >= quotes.commences_at as is_in_play,
    verdict.rejection_reason
from (
    select
        quotes_of_feed.*,
        market_types.outcome_kind,
        market_types.family as market_family,
        coalesce(market_types.is_featured, false) as is_featured,
        coalesce(market_types.is_ladder, false) as is_ladder,
        coalesce(market_types.is_lay, false) as is_lay,
        coalesce(market_types.is_two_way, false) as is_two_way,
        coalesce(market_types.is_gradable, false) as is_gradable
    from {{ ref('stg_odds_api__quotes') }} as quotes_of_feed
    left join {{ ref('market_types') }} as market_types
        on quotes_of_feed.market_key = market_types.market_key
) as quotes
cross join
    lateral (
        select
            quotes.event_id,
            quotes.home_team_name,
            quotes.away_team_name,
            quotes.bookmaker_key,
            quotes.market_key,
            quotes.market_family,
            quotes.outcome_kind,
            quotes.is_featured,
            quotes.is_ladder,
            quotes.is_two_way,
            quotes.outcome_name,
            quotes.description,
            quotes.price_quoted,
            quotes.line_points,
            quotes.outcome_count,
            quotes.twin_count,
            quotes.side_count,
            quotes.line_sum,
            quotes.opposite_name,
            quotes.opposite_price_quoted,
            quotes.opposite_line_points
        order by quotes.event_id
        offset 0
    ) as asked
cross join
    lateral (
        select
            quote.outcome_side,
            case
                when {{ is_valid_american('quote.price_quoted') }}
                    then quote.price_quoted::integer
            end as price_american,
            -- Featured markets move their line under one identity; on a ladder
            -- the line is part of what the market is.
            {{ surrogate_key([
                'quote.event_id',
                'quote.bookmaker_key',
                'quote.market_key',
                'quote.outcome_side',
                'quote.description',
                'case when quote.is_ladder '
                ~ 'then quote.line_points::numeric(8, 2) end',
            ]) }} as market_id,
            case
                when quote.bookmaker_key is null then 'bookmaker_missing'
                when quote.market_family is null then 'unknown_market'
                when quote.outcome_side is null then 'unknown_outcome'
                when quote.price_quoted is null then 'price_missing'
                when
                    not {{ is_valid_american('quote.price_quoted') }}
                    then 'price_not_american'
                when
                    quote.line_points is null
                    and quote.market_family
                    in ('spreads', 'totals', 'team_totals')
                    then 'line_missing'
                when
                    quote.twin_count > 1
                    or (not quote.is_ladder and quote.side_count > 1)
                    then 'quoted_twice'
                when
                    quote.is_featured
                    and quote.is_two_way
                    and quote.outcome_count <> 2
                    then 'not_two_sided'
                when
                    quote.is_featured
                    and quote.market_family = 'spreads'
                    and quote.line_sum <> 0
                    then 'lines_not_opposite'
                when
                    quote.is_featured
                    and quote.market_family = 'totals'
                    and quote.line_sum <> 2 * quote.line_points
                    then 'lines_differ'
                -- One side of two is no market; on a ladder each rung stands
                -- alone.
                when
                    quote.is_two_way
                    and not quote.is_ladder
                    and quote.outcome_count = 2
                    and (
                        quote.opposite_side is null
                        or not {{ is_valid_american(
                            'quote.opposite_price_quoted'
                        ) }}
                        or (
                            quote.opposite_line_points is null
                            and quote.market_family
                            in ('spreads', 'totals', 'team_totals')
                        )
                    )
                    then 'other_side_invalid'
            end as rejection_reason
        from (
            select
                asked.*,
                {{ outcome_side(
                    'asked.outcome_name',
                    'asked.outcome_kind',
                    'asked.home_team_name',
                    'asked.away_team_name'
                ) }} as outcome_side,
                {{ outcome_side(
                    'asked.opposite_name',
                    'asked.outcome_kind',
                    'asked.home_team_name',
                    'asked.away_team_name'
                ) }} as opposite_side
        ) as quote
        order by quote.event_id
        offset 0
    ) as verdict
