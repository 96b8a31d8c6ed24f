{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='pick_id',
    on_schema_change='append_new_columns',
    tags=['scoring'],
    meta={'tells': {'grades': 'changed.pick_id'}},
    pre_hook=[
        "{{ claim_loads(
            ['staging_odds_api'],
            taken_in_by={'staging_odds_api': ['market_scores']},
        ) }}",
    ],
    post_hook=["{{ release_loads() }}"],
    indexes=[
        {'columns': ['event_id']},
        {'columns': ['market_id']},
        {'columns': ['commences_at']},
    ],
) }}

with claimed_loads as (

    select load_id
    from {{ source('ops', 'model_loads') }}
    where
        model_name = 'picks'
        and source_schema = 'staging_odds_api'
        and not is_done

),

odds as (

    select * from {{ ref('stg_odds_api__odds') }}

),

market_scores as (

    select * from {{ ref('market_scores') }}

),

claimed_boards as (

    select
        odds.event_id,
        odds.captured_at
    from claimed_loads
    inner join odds on claimed_loads.load_id = odds.load_id
    group by
        odds.event_id,
        odds.captured_at

),

proposals as (

    select
        {{ surrogate_key([
            "'" ~ var('pick_policy') ~ "'",
            'market_scores.event_id',
            'market_scores.market_key',
            'market_scores.outcome_side',
            'market_scores.description',
        ]) }} as pick_id,
        market_scores.*
    from claimed_boards
    inner join market_scores
        on
            claimed_boards.event_id = market_scores.event_id
            and claimed_boards.captured_at = market_scores.scored_at
    where market_scores.is_pick

),

-- One pick per event, market and side: the first board that offered an edge,
-- and on it the best offer.
first_proposals as (

    select distinct on (pick_id) *
    from proposals
    order by
        pick_id,
        scored_at,
        edge desc,
        bookmaker_key

),

final as (

    select
        first_proposals.pick_id,
        first_proposals.event_id,
        first_proposals.market_id,
        first_proposals.scored_at as decided_at,
        first_proposals.sport_key,
        first_proposals.bookmaker_key,
        first_proposals.market_key,
        first_proposals.outcome_side,
        first_proposals.outcome_name,
        first_proposals.description,
        first_proposals.line_points,
        first_proposals.price_american,
        first_proposals.price_decimal,
        first_proposals.consensus_probability::numeric(12, 10) as probability,
        first_proposals.fair_probability,
        first_proposals.edge,
        1::numeric(8, 4) as stake_units,
        '{{ var("pick_policy") }}' as policy,
        first_proposals.commences_at
    from first_proposals
    {% if is_incremental() -%}
    left join {{ this }} as kept on first_proposals.pick_id = kept.pick_id
    where
        kept.pick_id is null
        or first_proposals.scored_at < kept.decided_at
    {%- endif %}

)

select * from final
