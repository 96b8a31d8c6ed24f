with odds_responses as (

    select * from {{ source('odds_api', 'responses') }}

),

balldontlie_responses as (

    select * from {{ source('balldontlie', 'responses') }}

),

api_requests as (

    select * from {{ source('ops', 'api_requests') }}

),

task_runs as (

    select * from {{ source('ops', 'task_runs') }}

),

-- Whatever is asked on demand only, such as scores when a game should have
-- ended, has no cadence: its silence means nothing.
feeds as (

    select *
    from (
        values
        ('landing', 'odds_api.sports', null, null),
        ('landing', 'odds_api.events', null, 900),
        ('landing', 'odds_api.odds', null, 900),
        ('landing', 'odds_api.scores', null, null),
        ('landing', 'balldontlie.teams', null, 86400),
        ('landing', 'balldontlie.players', null, 86400),
        ('landing', 'balldontlie.games', null, 900),
        ('landing', 'balldontlie.stats', null, null),
        ('mart', 'teams', 'run_team_stats', 86400),
        ('mart', 'players', 'run_team_stats', 86400),
        ('mart', 'team_stats', 'run_team_stats', 86400),
        ('mart', 'games', 'run_ingest', 900),
        ('mart', 'game_id_map', 'run_ingest', 900),
        ('mart', 'markets', 'run_ingest', 900),
        ('mart', 'odds_snapshots', 'run_snapshot', 900),
        ('mart', 'closing_lines', 'run_snapshot', 900),
        ('mart', 'market_scores', 'run_scoring', 900),
        ('mart', 'picks', 'run_scoring', 900),
        ('mart', 'game_results', 'run_results_sync', 1800),
        ('mart', 'grades', 'run_grading', 1800),
        ('mart', 'pick_clv', 'run_grading', 1800),
        ('mart', 'track_record', 'run_grading', 1800)
    ) as listed (feed_kind, feed, built_by, expected_cadence_seconds)

),

responses as (

    select
        'odds_api.'
        || replace(odds_responses.endpoint, 'historical_', '') as feed,
        odds_responses.captured_at,
        odds_responses.element_count
    from odds_responses

    union all

    select
        'balldontlie.' || balldontlie_responses.endpoint as feed,
        balldontlie_responses.captured_at,
        balldontlie_responses.element_count
    from balldontlie_responses

),

responses_by_feed as (

    select
        feed,
        max(captured_at) as last_captured_at,
        max(captured_at) filter (where element_count > 0) as last_filled_at
    from responses
    group by feed

),

-- A backfill does not make a feed one that is expected to be alive.
live_requests as (

    select
        source || '.' || endpoint as feed,
        requested_at,
        error_message
    from api_requests
    where not starts_with(endpoint, 'historical_')

),

requests_by_feed as (

    select
        feed,
        min(requested_at) as first_tried_at,
        max(requested_at) as last_tried_at
    from live_requests
    group by feed

),

latest_requests as (

    select distinct on (feed)
        feed,
        error_message
    from live_requests
    order by
        feed,
        requested_at desc

),

runs_by_task as (

    select
        task,
        max(coalesce(as_of, started_at)) filter (where state = 'succeeded')
            as last_captured_at,
        min(queued_at) as first_tried_at,
        max(queued_at) as last_tried_at
    from task_runs
    group by task

),

latest_finished_runs as (

    select distinct on (task)
        task,
        error_message
    from task_runs
    where finished_at is not null
    order by
        task,
        queued_at desc

),

feeds_as_seen as (

    select
        feeds.feed_kind,
        feeds.feed,
        feeds.built_by,
        feeds.expected_cadence_seconds,
        responses_by_feed.last_filled_at,
        coalesce(
            responses_by_feed.last_captured_at, runs_by_task.last_captured_at
        ) as last_captured_at,
        coalesce(
            requests_by_feed.first_tried_at, runs_by_task.first_tried_at
        ) as first_tried_at,
        coalesce(requests_by_feed.last_tried_at, runs_by_task.last_tried_at)
            as last_tried_at,
        coalesce(
            latest_requests.error_message, latest_finished_runs.error_message
        ) as last_error_message
    from feeds
    left join responses_by_feed on feeds.feed = responses_by_feed.feed
    left join requests_by_feed on feeds.feed = requests_by_feed.feed
    left join latest_requests on feeds.feed = latest_requests.feed
    left join runs_by_task on feeds.built_by = runs_by_task.task
    left join latest_finished_runs
        on feeds.built_by = latest_finished_runs.task

),

final as (

    select
        feed_kind,
        feed,
        built_by,
        last_captured_at,
        extract(epoch from now() - last_captured_at)::bigint as age_seconds,
        expected_cadence_seconds,
        -- One run may be missed. What was never captured is late by the first
        -- time it was tried; what was never tried is not expected.
        case
            when first_tried_at is not null
                then
                    extract(
                        epoch from
                        now() - coalesce(last_captured_at, first_tried_at)
                    ) > 2 * expected_cadence_seconds
        end as is_late,
        last_filled_at,
        last_tried_at,
        last_error_message
    from feeds_as_seen

)

select * from final
