-- Plain selects, no CTEs: PostgreSQL pushes no join condition into a view that
-- has any, and would read all that was ever landed to find a few rows.
select
    -- ids
    game_id as balldontlie_game_id,
    request_id,
    (payload -> 'home_team' ->> 'id')::integer as home_balldontlie_team_id,
    (payload -> 'visitor_team' ->> 'id')::integer
        as away_balldontlie_team_id,

    -- text
    status_text,
    payload_hash,

    -- numbers
    (payload ->> 'season')::integer as season,
    (payload ->> 'period')::integer as period,
    (payload ->> 'home_team_score')::integer as home_score,
    (payload ->> 'visitor_team_score')::integer as away_score,

    -- booleans
    (payload ->> 'postseason')::boolean as is_postseason,
    coalesce((payload ->> 'postponed')::boolean, false)
    or status_text ~* '^(postponed|ppd)' as is_postponed,
    status_text ~* '^cancel' as is_cancelled,
    starts_at is null as is_start_time_missing,

    -- quarters and overtimes, where the payload has them
    (payload ->> 'home_q1')::integer as home_q1,
    (payload ->> 'home_q2')::integer as home_q2,
    (payload ->> 'home_q3')::integer as home_q3,
    (payload ->> 'home_q4')::integer as home_q4,
    (payload ->> 'visitor_q1')::integer as away_q1,
    (payload ->> 'visitor_q2')::integer as away_q2,
    (payload ->> 'visitor_q3')::integer as away_q3,
    (payload ->> 'visitor_q4')::integer as away_q4,

    -- json
    payload,

    -- times
    game_date_et,
    starts_at,
    captured_at,

    -- load
    load_id
from (
    select
        source.game_id,
        source.request_id,
        source.payload,
        source.payload_hash,
        source.captured_at,
        source._dlt_load_id as load_id,
        trim(source.payload ->> 'status') as status_text,
        left(source.payload ->> 'date', 10)::date as game_date_et,
        -- Payloads of 2023 have no `datetime`: there the start of a scheduled
        -- game stands in `status`.
        coalesce(
            (source.payload ->> 'datetime')::timestamptz,
            case
                when trim(source.payload ->> 'status')
                    ~ '^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}'
                    then trim(source.payload ->> 'status')::timestamptz
            end
        ) as starts_at
    from {{ source('balldontlie', 'games') }} as source
    inner join {{ source('balldontlie', '_dlt_loads') }} as loads
        on source._dlt_load_id = loads.load_id
    where loads.status = 0
) as parsed
