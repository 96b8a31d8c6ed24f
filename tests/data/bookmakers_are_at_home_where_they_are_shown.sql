{{ config(severity='warn', tags=['nightly']) }}

with quotes as (

    select * from {{ ref('stg_odds_api__quotes') }}

),

responses as (

    select * from {{ ref('stg_odds_api__responses') }}

),

bookmakers as (

    select * from {{ ref('bookmakers') }}

),

final as (

    select
        quotes.bookmaker_key,
        bookmakers.region,
        responses.regions_asked,
        max(quotes.captured_at) as last_captured_at
    from responses
    inner join quotes on responses.request_id = quotes.request_id
    inner join bookmakers on quotes.bookmaker_key = bookmakers.bookmaker_key
    where
        responses.captured_at > {{ as_of() }} - interval '1 day'
        and quotes.captured_at > {{ as_of() }} - interval '1 day'
        and responses.bookmakers_asked is null
        and not bookmakers.region = any(responses.regions_asked)
    group by
        quotes.bookmaker_key,
        bookmakers.region,
        responses.regions_asked

)

select * from final
