{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='rejected_quote_id',
    on_schema_change='append_new_columns',
    tags=['ingest'],
    pre_hook=["{{ claim_loads(['staging_odds_api']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with claimed_loads as (

    select load_id
    from {{ source('ops', 'model_loads') }}
    where
        model_name = 'rejected_quotes'
        and source_schema = 'staging_odds_api'
        and not is_done

),

odds as (

    select * from {{ ref('stg_odds_api__odds') }}

),

quotes as (

    select * from {{ ref('int_quotes_normalised') }}

),

touched_events as (

    select odds.event_id
    from claimed_loads
    inner join odds on claimed_loads.load_id = odds.load_id
    group by odds.event_id

),

-- Counted anew over all that was landed for the event, so that a payload which
-- arrives twice counts once and any order of arrival gives the same row.
rejections as (

    select
        {{ surrogate_key([
            'quotes.event_id',
            'quotes.bookmaker_key',
            'quotes.market_key',
            'quotes.outcome_name',
            'quotes.description',
            'quotes.line_points',
            'quotes.rejection_reason',
        ]) }} as rejected_quote_id,
        quotes.event_id,
        quotes.sport_key,
        quotes.bookmaker_key,
        quotes.market_key,
        quotes.outcome_name,
        quotes.description,
        quotes.line_points,
        quotes.price_quoted,
        quotes.rejection_reason,
        quotes.captured_at,
        quotes.outcome
    from touched_events
    inner join quotes on touched_events.event_id = quotes.event_id
    where quotes.rejection_reason is not null

),

final as (

    select
        rejected_quote_id,
        event_id,
        sport_key,
        bookmaker_key,
        market_key,
        outcome_name,
        description,
        line_points::numeric(12, 4) as line_points,
        min(price_quoted)::text as price_quoted,
        rejection_reason as reason,
        min(captured_at) as first_captured_at,
        max(captured_at) as last_captured_at,
        count(distinct row(captured_at, outcome)) as quote_count
    from rejections
    group by
        rejected_quote_id,
        event_id,
        sport_key,
        bookmaker_key,
        market_key,
        outcome_name,
        description,
        line_points,
        rejection_reason

)

select * from final
