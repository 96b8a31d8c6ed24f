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
    is_postponed,
    is_cancelled,
    starts_at is null as is_start_time_missing,

    -- status, one of few words
    case
        when is_cancelled then 'cancelled'
        when is_postponed then 'postponed'
        when status_text ~* '^final' then 'final'
        when coalesce((payload ->> 'period')::integer, 0) = 0
            then 'scheduled'
        else 'live'
    end as status,

    -- points by period, the overtimes last, where all quarters are known
    case
        when
            payload ->> 'home_q1' is not null
            and payload ->> 'home_q2' is not null
            and payload ->> 'home_q3' is not null
            and payload ->> 'home_q4' is not null
            then
                jsonb_path_query_array(
                    jsonb_build_array(
                        payload -> 'home_q1',
                        payload -> 'home_q2',
                        payload -> 'home_q3',
                        payload -> 'home_q4',
                        payload -> 'home_ot1',
                        payload -> 'home_ot2',
                        payload -> 'home_ot3'
                    ),
                    '$[*] ? (@ != null)'
                )
    end as home_period_scores,
    case
        when
            payload ->> 'visitor_q1' is not null
            and payload ->> 'visitor_q2' is not null
            and payload ->> 'visitor_q3' is not null
            and payload ->> 'visitor_q4' is not null
            then
                jsonb_path_query_array(
                    jsonb_build_array(
                        payload -> 'visitor_q1',
                        payload -> 'visitor_q2',
                        payload -> 'visitor_q3',
                        payload -> 'visitor_q4',
                        payload -> 'visitor_ot1',
                        payload -> 'visitor_ot2',
                        payload -> 'visitor_ot3'
                    ),
                    '$[*] ? (@ != null)'
                )
    end as away_period_scores,

    -- whether the periods miss the score, judged only where all are known: no
    -- payload has a fourth overtime
    case
        when
            (payload ->> 'period')::integer between 4 and 7
            and num_nonnulls(
                payload ->> 'home_q1',
                payload ->> 'home_q2',
                payload ->> 'home_q3',
                payload ->> 'home_q4',
                payload ->> 'home_ot1',
                payload ->> 'home_ot2',
                payload ->> 'home_ot3'
            ) = (payload ->> 'period')::integer
            and num_nonnulls(
                payload ->> 'visitor_q1',
                payload ->> 'visitor_q2',
                payload ->> 'visitor_q3',
                payload ->> 'visitor_q4',
                payload ->> 'visitor_ot1',
                payload ->> 'visitor_ot2',
                payload ->> 'visitor_ot3'
            ) = (payload ->> 'period')::integer
            then
                (payload ->> 'home_team_score')::integer
                <> (payload ->> 'home_q1')::integer
                + (payload ->> 'home_q2')::integer
                + (payload ->> 'home_q3')::integer
                + (payload ->> 'home_q4')::integer
                + coalesce((payload ->> 'home_ot1')::integer, 0)
                + coalesce((payload ->> 'home_ot2')::integer, 0)
                + coalesce((payload ->> 'home_ot3')::integer, 0)
                or (payload ->> 'visitor_team_score')::integer
                <> (payload ->> 'visitor_q1')::integer
                + (payload ->> 'visitor_q2')::integer
                + (payload ->> 'visitor_q3')::integer
                + (payload ->> 'visitor_q4')::integer
                + coalesce((payload ->> 'visitor_ot1')::integer, 0)
                + coalesce((payload ->> 'visitor_ot2')::integer, 0)
                + coalesce((payload ->> 'visitor_ot3')::integer, 0)
    end as is_period_sum_off,

    -- json
    payload,

    -- times
    source_date_et,
    coalesce(
        (starts_at at time zone 'America/New_York')::date, source_date_et
    ) as game_date_et,
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
        coalesce((source.payload ->> 'postponed')::boolean, false)
        or trim(source.payload ->> 'status') ~* '^(postponed|ppd)'
            as is_postponed,
        trim(source.payload ->> 'status') ~* '^cancel' as is_cancelled,
        left(source.payload ->> 'date', 10)::date as source_date_et,
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
) as parsed
