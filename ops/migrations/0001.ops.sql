-- The runner's own tables. Everything here is written by orchestrate.py and
-- extract/, except ops.model_loads, which the incremental models keep.
create schema ops;

create table ops.task_runs (
    run_id uuid primary key,
    correlation_id uuid not null,
    task text not null,
    attempt integer not null default 1 check (attempt >= 1),
    state text not null check (
        state in ('queued', 'running', 'succeeded', 'failed', 'dead', 'abandoned')
    ),
    as_of timestamptz,
    runner text not null,
    queued_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz,
    row_count bigint check (row_count >= 0),
    error_class text,
    error_message text,
    check ((state = 'queued') = (started_at is null) or state in ('dead', 'abandoned')),
    check ((state in ('queued', 'running')) = (finished_at is null)),
    check ((state in ('failed', 'dead')) <= (error_message is not null))
);
create index task_runs_by_task on ops.task_runs (task, queued_at desc);
create index task_runs_unfinished on ops.task_runs (task) where finished_at is null;

create table ops.api_requests (
    request_id uuid primary key,
    run_id uuid references ops.task_runs (run_id),
    source text not null,
    endpoint text not null,
    url_path text not null,
    params jsonb not null,
    requested_at timestamptz not null,
    captured_at timestamptz not null,
    status integer,
    error_code text,
    error_message text,
    attempts integer not null check (attempts >= 1),
    latency_ms numeric(12, 1),
    row_count bigint,
    byte_count bigint,
    credits_last integer,
    credits_used integer,
    credits_remaining integer
);
create index api_requests_by_run on ops.api_requests (run_id);
create index api_requests_by_time on ops.api_requests (requested_at);
create index api_requests_by_endpoint on ops.api_requests (source, endpoint, requested_at desc);

create table ops.dead_letters (
    dead_letter_id uuid primary key,
    kind text not null check (
        kind in ('request', 'element', 'event', 'quote', 'result')
    ),
    source text not null,
    endpoint text,
    natural_key text not null,
    reason text not null,
    detail text,
    payload jsonb,
    -- What is not JSON (a truncated body, invalid UTF-8) is kept as it came.
    raw_body bytea,
    -- How to ask again: url path, parameters without the key, captured_at.
    replay jsonb,
    attempts integer not null default 1 check (attempts >= 1),
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    state text not null default 'open' check (
        state in ('open', 'replayed', 'resolved', 'discarded')
    ),
    closed_at timestamptz,
    closed_reason text,
    unique (kind, source, natural_key, reason),
    check ((state = 'open') = (closed_at is null))
);
create index dead_letters_open on ops.dead_letters (kind, last_seen_at) where state = 'open';

-- Which dlt loads an incremental model has taken in. A model claims loads in
-- its own transaction and marks them done when its rows are written, so a
-- model that fails claims nothing and a load is taken in exactly once.
create table ops.model_loads (
    model_name text not null,
    source_schema text not null,
    load_id text not null,
    is_done boolean not null default false,
    landed_number bigint,
    primary key (model_name, source_schema, load_id)
);
create index model_loads_latest on ops.model_loads (model_name, source_schema, landed_number);
create index model_loads_claimed on ops.model_loads (model_name) where not is_done;

-- Which state of the dbt project last built the warehouse.
create table ops.deployments (
    project_hash text primary key,
    deployed_at timestamptz not null
);
