{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    unique_key='player_id',
    on_schema_change='append_new_columns',
    tags=['team_stats'],
    pre_hook=["{{ claim_loads(['staging_balldontlie']) }}"],
    post_hook=["{{ release_loads() }}"],
) }}

with claimed_loads as (

    select load_id
    from {{ source('ops', 'model_loads') }}
    where
        model_name = 'players'
        and source_schema = 'staging_balldontlie'
        and not is_done

),

listings as (

    select * from {{ ref('stg_balldontlie__players') }}

),

league_teams as (

    select * from {{ ref('league_teams') }}

),

latest_claimed_listings as (

    select distinct on (listings.balldontlie_player_id)
        listings.*,
        {{ surrogate_key([
            "'balldontlie'",
            'listings.balldontlie_player_id',
        ]) }} as player_id
    from claimed_loads
    inner join listings on claimed_loads.load_id = listings.load_id
    order by
        listings.balldontlie_player_id,
        listings.captured_at desc,
        listings.payload_hash

),

-- A load may arrive late: what is kept already may be newer than it.
listings_not_outdated as (

    select latest_claimed_listings.*
    from latest_claimed_listings
    {% if is_incremental() -%}
    left join {{ this }} as kept
        on latest_claimed_listings.player_id = kept.player_id
    where
        kept.player_id is null
        or kept.captured_at < latest_claimed_listings.captured_at
        or (
            kept.captured_at = latest_claimed_listings.captured_at
            and kept.payload_hash > latest_claimed_listings.payload_hash
        )
    {%- endif %}

),

final as (

    select
        listings_not_outdated.player_id,
        listings_not_outdated.balldontlie_player_id,
        listings_not_outdated.first_name,
        listings_not_outdated.last_name,
        concat_ws(
            ' ',
            listings_not_outdated.first_name,
            listings_not_outdated.last_name
        ) as full_name,
        listings_not_outdated.position,
        case
            when listings_not_outdated.height ~ '^\d+-\d+$'
                then
                    12
                    * split_part(listings_not_outdated.height, '-', 1)::integer
                    + split_part(listings_not_outdated.height, '-', 2)::integer
        end as height_inches,
        case
            when listings_not_outdated.weight ~ '^\d+$'
                then listings_not_outdated.weight::integer
        end as weight_pounds,
        listings_not_outdated.college,
        listings_not_outdated.country,
        league_teams.team_id,
        listings_not_outdated.balldontlie_team_id,
        listings_not_outdated.payload_hash,
        listings_not_outdated.captured_at
    from listings_not_outdated
    left join league_teams
        on
            listings_not_outdated.balldontlie_team_id
            = league_teams.balldontlie_team_id

)

select * from final
