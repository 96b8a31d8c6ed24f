with task_runs as (

    select * from {{ source('ops', 'task_runs') }}

),

api_requests as (

    select * from {{ source('ops', 'api_requests') }}

),

dead_letters as (

    select * from {{ source('ops', 'dead_letters') }}

),

requests_by_run as (

    select
        run_id,
        count(*) as request_count,
        count(*) filter (where error_code is not null) as failed_request_count,
        sum(credits_last) as credits_spent
    from api_requests
    where run_id is not null
    group by run_id

),

latest_runs as (

    select distinct on (task) run_id
    from task_runs
    order by
        task,
        queued_at desc,
        run_id

),

open_dead_letters_by_kind as (

    select
        kind,
        count(*) as dead_letter_count
    from dead_letters
    where state = 'open'
    group by kind

),

open_dead_letters as (

    select
        coalesce(
            jsonb_object_agg(kind, dead_letter_count), '{}'::jsonb
        ) as count_by_kind
    from open_dead_letters_by_kind

),

-- What has no counterpart, from both sides, and finals that are no results.
open_mismatches as (

    select
        count(*) filter (where kind = 'event' and source = 'odds_api')
            as event_without_game_count,
        count(*) filter (
            where kind = 'event' and reason = 'no_odds_near_start'
        ) as game_without_odds_count,
        count(*) filter (where kind = 'result') as rejected_result_count
    from dead_letters
    where state = 'open'

),

final as (

    select
        task_runs.run_id,
        task_runs.correlation_id,
        task_runs.task,
        task_runs.attempt,
        task_runs.state,
        latest_runs.run_id is not null as is_latest,
        task_runs.as_of,
        task_runs.runner,
        task_runs.queued_at,
        task_runs.started_at,
        task_runs.finished_at,
        round(
            extract(
                epoch from
                coalesce(task_runs.started_at, task_runs.finished_at, now())
                - task_runs.queued_at
            ),
            1
        )::numeric(12, 1) as wait_seconds,
        round(
            extract(
                epoch from
                coalesce(task_runs.finished_at, now()) - task_runs.started_at
            ),
            1
        )::numeric(12, 1) as duration_seconds,
        task_runs.row_count,
        coalesce(requests_by_run.request_count, 0) as request_count,
        coalesce(requests_by_run.failed_request_count, 0)
            as failed_request_count,
        requests_by_run.credits_spent,
        task_runs.error_class,
        task_runs.error_message,
        (
            select max(earlier.started_at)
            from task_runs as earlier
            where
                earlier.task = task_runs.task
                and earlier.state = 'succeeded'
                and earlier.queued_at < task_runs.queued_at
        ) as previous_success_at,
        case
            when latest_runs.run_id is not null
                then open_dead_letters.count_by_kind
        end as open_dead_letters,
        case
            when latest_runs.run_id is not null
                then open_mismatches.event_without_game_count
        end as event_without_game_count,
        case
            when latest_runs.run_id is not null
                then open_mismatches.game_without_odds_count
        end as game_without_odds_count,
        case
            when latest_runs.run_id is not null
                then open_mismatches.rejected_result_count
        end as rejected_result_count
    from task_runs
    left join requests_by_run on task_runs.run_id = requests_by_run.run_id
    left join latest_runs on task_runs.run_id = latest_runs.run_id
    cross join open_dead_letters
    cross join open_mismatches

)

select * from final
