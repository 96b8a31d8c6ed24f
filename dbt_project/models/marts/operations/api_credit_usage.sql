with api_requests as (

    select * from {{ source('ops', 'api_requests') }}

),

final as (

    select
        source,
        endpoint,
        (requested_at at time zone 'UTC')::date as usage_date_utc,
        count(*) as request_count,
        count(*) filter (where error_code is not null) as failed_request_count,
        sum(attempts) as attempt_count,
        sum(credits_last) as credits_spent,
        (
            array_agg(credits_remaining order by requested_at desc)
            filter (where credits_remaining is not null)
        )[1] as credits_remaining,
        (
            array_agg(credits_used order by requested_at desc)
            filter (where credits_used is not null)
        )[1] as credits_used,
        sum(row_count)::bigint as row_count,
        sum(byte_count)::bigint as byte_count,
        min(requested_at) as first_requested_at,
        max(requested_at) as last_requested_at
    from api_requests
    group by
        source,
        endpoint,
        (requested_at at time zone 'UTC')::date

)

select * from final
