-- One plain select, no CTEs: PostgreSQL pushes no join condition into a view
-- that has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    source.event_id,
    source.sport_key,
    source.request_id,

    -- text
    source.payload ->> 'home_team' as home_team_name,
    source.payload ->> 'away_team' as away_team_name,
    source.payload_hash,

    -- result as the feed tells it
    (source.payload ->> 'completed')::boolean as is_completed,
    (
        select max((score.payload ->> 'score')::integer)
        from jsonb_array_elements(
                case jsonb_typeof(source.payload -> 'scores')
                    when 'array' then source.payload -> 'scores'
                end
            ) as score (payload)
        where score.payload ->> 'name' = source.payload ->> 'home_team'
    ) as home_score,
    (
        select max((score.payload ->> 'score')::integer)
        from jsonb_array_elements(
                case jsonb_typeof(source.payload -> 'scores')
                    when 'array' then source.payload -> 'scores'
                end
            ) as score (payload)
        where score.payload ->> 'name' = source.payload ->> 'away_team'
    ) as away_score,

    -- json
    source.payload,

    -- times
    (source.payload ->> 'commence_time')::timestamptz as commences_at,
    source.captured_at,

    -- load
    source._dlt_load_id as load_id
from {{ source('odds_api', 'scores') }} as source
