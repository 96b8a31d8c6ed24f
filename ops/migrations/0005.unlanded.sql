-- depends: 0004.whole_loads

-- Responses of the APIs from their arrival until their load: the load takes
-- them out in the transaction that makes their rows visible. What is here and
-- belongs to a run that has ended was captured and has not landed: the next
-- run lands it. `response` is JSON in ASCII, as extract/payloads.py packs it.
create table ops.unlanded_responses (
    request_id text primary key,
    run_id uuid,
    source text not null,
    response bytea not null,
    received_at timestamptz not null,
    attempts integer not null default 0 check (attempts >= 0)
);
-- A row lives for seconds: to compress it costs more than its space.
alter table ops.unlanded_responses alter column response set storage external;
