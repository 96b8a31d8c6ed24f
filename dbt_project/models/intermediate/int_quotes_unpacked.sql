{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    unlogged=true,
    tags=['ahead', 'ingest'],
    pre_hook=[
        "{{ claim_loads(['staging_odds_api']) }}",
        "{{ forget_taken_in([
            'markets',
            'market_sightings',
            'rejected_quotes',
            'odds_snapshots',
            'market_scores',
        ]) }}",
    ],
    post_hook=["{{ release_loads() }}"],
    indexes=[
        {'columns': ['event_id', 'captured_at']},
        {'columns': ['load_id', 'rejection_reason']},
    ],
) }}

with quotes as (

    select * from {{ ref('int_quotes_normalised') }}

),

-- Of a long history that is taken in at once, the latest loads: the models
-- take the others apart themselves.
claimed_loads as (

    select load_id
    from {{ source('ops', 'model_loads') }}
    where
        model_name = 'int_quotes_unpacked'
        and source_schema = 'staging_odds_api'
        and not is_done
    order by landed_number desc
    limit {{ var('unpacked_loads') }}

),

final as (

    select
        quotes.event_id,
        quotes.sport_key,
        quotes.feed_id,
        quotes.captured_at,
        quotes.load_id,
        quotes.commences_at,
        quotes.bookmaker_key,
        quotes.market_key,
        quotes.market_id,
        quotes.is_two_way,
        quotes.is_gradable,
        quotes.is_lay,
        quotes.is_in_play,
        quotes.outcome_side,
        quotes.outcome_name,
        quotes.description,
        quotes.line_points,
        quotes.price_quoted,
        quotes.price_american,
        quotes.quoted_at,
        quotes.rejection_reason,
        case
            when quotes.rejection_reason is not null then quotes.outcome
        end as outcome
    from claimed_loads
    cross join
        lateral (
            select quotes_of_load.*
            from quotes as quotes_of_load
            where quotes_of_load.load_id = claimed_loads.load_id
            order by quotes_of_load.load_id
            offset 0
        ) as quotes

)

select * from final
