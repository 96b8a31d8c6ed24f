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

loads_taken_in as (

    select load_id
    from {{ source('ops', 'model_loads') }}
    where
        model_name = 'rejected_quotes'
        and source_schema = 'staging_odds_api'
        and is_done

),

-- Not materialized: read twice, it would take all payloads apart.
quotes as not materialized (

    select
        *,
        {{ surrogate_key([
            'event_id',
            'bookmaker_key',
            'market_key',
            'outcome_name',
            'description',
            'line_points',
            'rejection_reason',
        ]) }} as rejected_quote_id
    from {{ ref('int_quotes_landed') }}

),

quotes_claimed as (

    select quotes.*
    from claimed_loads
    cross join
        lateral (
            select quotes_of_load.*
            from quotes as quotes_of_load
            where
                quotes_of_load.load_id = claimed_loads.load_id
                and quotes_of_load.rejection_reason is not null
            order by quotes_of_load.captured_at
            offset 0
        ) as quotes

),

-- Twice in one capture is once: a response may have landed twice.
rejections_claimed as materialized (

    select distinct on (rejected_quote_id, captured_at, outcome) *
    from quotes_claimed
    order by
        rejected_quote_id,
        captured_at,
        outcome

),

captures_claimed as (

    select
        event_id,
        captured_at
    from rejections_claimed
    group by
        event_id,
        captured_at

),

rejections_counted as (

    select
        quotes.rejected_quote_id,
        quotes.captured_at,
        quotes.outcome
    from captures_claimed
    cross join
        lateral (
            select quotes_of_capture.*
            from quotes as quotes_of_capture
            where
                quotes_of_capture.event_id = captures_claimed.event_id
                and quotes_of_capture.captured_at
                = captures_claimed.captured_at
                and quotes_of_capture.rejection_reason is not null
            order by quotes_of_capture.captured_at
            offset 0
        ) as quotes
    inner join loads_taken_in on quotes.load_id = loads_taken_in.load_id

),

rejections_new as (

    select
        rejections_claimed.rejected_quote_id,
        rejections_claimed.event_id,
        rejections_claimed.sport_key,
        rejections_claimed.bookmaker_key,
        rejections_claimed.market_key,
        rejections_claimed.outcome_name,
        rejections_claimed.description,
        rejections_claimed.line_points,
        rejections_claimed.price_quoted,
        rejections_claimed.rejection_reason as reason,
        rejections_claimed.captured_at as first_captured_at,
        rejections_claimed.captured_at as last_captured_at,
        1 as quote_count
    from rejections_claimed
    left join rejections_counted
        on
            rejections_claimed.rejected_quote_id
            = rejections_counted.rejected_quote_id
            and rejections_claimed.captured_at
            = rejections_counted.captured_at
            and rejections_claimed.outcome = rejections_counted.outcome
    where rejections_counted.rejected_quote_id is null

),

rejections_known as (

    select * from rejections_new

    {%- if is_incremental() %}

    union all

    select
        kept.rejected_quote_id,
        kept.event_id,
        kept.sport_key,
        kept.bookmaker_key,
        kept.market_key,
        kept.outcome_name,
        kept.description,
        kept.line_points,
        kept.price_quoted::numeric as price_quoted,
        kept.reason,
        kept.first_captured_at,
        kept.last_captured_at,
        kept.quote_count
    from (
        select rejected_quote_id
        from rejections_new
        group by rejected_quote_id
    ) as touched
    cross join
        lateral (
            select one_row.*
            from {{ this }} as one_row
            where one_row.rejected_quote_id = touched.rejected_quote_id
            order by one_row.rejected_quote_id
            offset 0
        ) as kept
    {%- endif %}

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
        reason,
        min(first_captured_at) as first_captured_at,
        max(last_captured_at) as last_captured_at,
        sum(quote_count)::bigint as quote_count
    from rejections_known
    group by
        rejected_quote_id,
        event_id,
        sport_key,
        bookmaker_key,
        market_key,
        outcome_name,
        description,
        line_points::numeric(12, 4),
        reason

)

select * from final
