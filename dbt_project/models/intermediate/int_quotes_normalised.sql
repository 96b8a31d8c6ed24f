with quotes as (

    select * from {{ ref('stg_odds_api__quotes') }}

),

market_types as (

    select * from {{ ref('market_types') }}

),

bookmakers as (

    select * from {{ ref('bookmakers') }}

),

quotes_with_sides as (

    select
        quotes.*,
        market_types.family as market_family,
        coalesce(market_types.is_featured, false) as is_featured,
        coalesce(market_types.is_ladder, false) as is_ladder,
        coalesce(market_types.is_lay, false) as is_lay,
        coalesce(market_types.is_two_way, false) as is_two_way,
        coalesce(market_types.is_gradable, false) as is_gradable,
        coalesce(market_types.has_description, false) as has_description,
        coalesce(bookmakers.owner_family, quotes.bookmaker_key)
            as owner_family,
        coalesce(bookmakers.is_exchange, false) as is_exchange,
        market_types.market_key is not null as is_known_market,
        -- By name, never by position: home comes first only half the time.
        case
            when market_types.outcome_kind in ('team', 'team_or_draw') then
                case
                    when quotes.outcome_name = quotes.home_team_name
                        then 'home'
                    when quotes.outcome_name = quotes.away_team_name
                        then 'away'
                    when
                        quotes.outcome_name = 'Draw'
                        and market_types.outcome_kind = 'team_or_draw'
                        then 'draw'
                end
            when quotes.outcome_name in ('Over', 'Under', 'Yes', 'No')
                then lower(quotes.outcome_name)
        end as outcome_side,
        -- How often this very outcome stands in its market: twice means two
        -- prices for one thing, of which neither can be chosen.
        case
            when quotes.outcome_count = 1 then 1
            when
                quotes.outcome_count = 2
                and quotes.outcomes -> 0 ->> 'name'
                <> quotes.outcomes -> 1 ->> 'name'
                then 1
            else (
                select count(*)
                from jsonb_array_elements(quotes.outcomes) as twin (payload)
                where
                    twin.payload ->> 'name' = quotes.outcome_name
                    and twin.payload ->> 'description'
                    is not distinct from quotes.description
                    and twin.payload -> 'point'
                    is not distinct from quotes.outcome -> 'point'
            )
        end as twin_count,
        case
            when
                quotes.outcome_count = 2
                and jsonb_typeof(quotes.outcomes -> 0 -> 'point') = 'number'
                and jsonb_typeof(quotes.outcomes -> 1 -> 'point') = 'number'
                then
                    (quotes.outcomes -> 0 ->> 'point')::numeric
                    + (quotes.outcomes -> 1 ->> 'point')::numeric
        end as line_sum
    from quotes
    left join market_types on quotes.market_key = market_types.market_key
    left join bookmakers on quotes.bookmaker_key = bookmakers.bookmaker_key

),

quotes_with_reasons as (

    select
        *,
        case
            when bookmaker_key is null then 'bookmaker_missing'
            when not is_known_market then 'unknown_market'
            when outcome_side is null then 'unknown_outcome'
            when price_quoted is null then 'price_missing'
            when
                not ({{ is_valid_american('price_quoted') }})
                then 'price_not_american'
            when
                line_points is null
                and market_family in ('spreads', 'totals', 'team_totals')
                then 'line_missing'
            when twin_count > 1 then 'quoted_twice'
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
        end as rejection_reason
    from quotes_with_sides

),

final as (

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
        owner_family,
        is_exchange,
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
        rejection_reason,
        case
            when rejection_reason is null then price_quoted::integer
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
        captured_at >= commences_at as is_in_play
    from quotes_with_reasons

)

select * from final
