-- Plain selects, no CTEs: see stg_odds_api__quotes.
select
    event_id,
    sport_key,
    request_id,
    captured_at,
    load_id,
    home_team_name,
    away_team_name,
    commences_at,
    bookmaker_key,
    market_key,
    market_family,
    is_featured,
    is_ladder,
    is_lay,
    is_two_way,
    is_gradable,
    outcome_side,
    outcome_name,
    description,
    line_points,
    price_quoted,
    quoted_at,
    outcome,
    case
        when {{ is_valid_american('price_quoted') }}
            then price_quoted::integer
    end as price_american,
    -- Featured markets move their line under one identity; on a ladder the
    -- line is part of what the market is.
    {{ surrogate_key([
        'event_id',
        'bookmaker_key',
        'market_key',
        'outcome_side',
        'description',
        'case when is_ladder then line_points::numeric(8, 2) end',
    ]) }} as market_id,
    -- Markets that are asked for together live and vanish together: the
    -- featured ones of a sport, the others of one event.
    case when is_featured then sport_key else event_id end as feed_id,
    captured_at >= commences_at as is_in_play,
    case
        when bookmaker_key is null then 'bookmaker_missing'
        when market_family is null then 'unknown_market'
        when outcome_side is null then 'unknown_outcome'
        when price_quoted is null then 'price_missing'
        when
            not {{ is_valid_american('price_quoted') }}
            then 'price_not_american'
        when
            line_points is null
            and market_family in ('spreads', 'totals', 'team_totals')
            then 'line_missing'
        when
            twin_count > 1 or (not is_ladder and side_count > 1)
            then 'quoted_twice'
        when
            is_featured and is_two_way and outcome_count <> 2
            then 'not_two_sided'
        when
            is_featured and market_family = 'spreads' and line_sum <> 0
            then 'lines_not_opposite'
        when
            is_featured
            and market_family = 'totals'
            and line_sum <> 2 * line_points
            then 'lines_differ'
        -- One side of two is no market; on a ladder each rung stands alone.
        when
            is_two_way
            and not is_ladder
            and outcome_count = 2
            and (
                opposite_side is null
                or not {{ is_valid_american('opposite_price_quoted') }}
                or (
                    opposite_line_points is null
                    and market_family in ('spreads', 'totals', 'team_totals')
                )
            )
            then 'other_side_invalid'
    end as rejection_reason
from (
    select
        quotes.*,
        market_types.family as market_family,
        coalesce(market_types.is_featured, false) as is_featured,
        coalesce(market_types.is_ladder, false) as is_ladder,
        coalesce(market_types.is_lay, false) as is_lay,
        coalesce(market_types.is_two_way, false) as is_two_way,
        coalesce(market_types.is_gradable, false) as is_gradable,
        {{ outcome_side(
            'quotes.outcome_name',
            'market_types.outcome_kind',
            'quotes.home_team_name',
            'quotes.away_team_name'
        ) }} as outcome_side,
        {{ outcome_side(
            'quotes.opposite_name',
            'market_types.outcome_kind',
            'quotes.home_team_name',
            'quotes.away_team_name'
        ) }} as opposite_side
    from {{ ref('stg_odds_api__quotes') }} as quotes
    left join {{ ref('market_types') }} as market_types
        on quotes.market_key = market_types.market_key
) as quotes_with_sides
