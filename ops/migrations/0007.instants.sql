-- depends: 0006.task_run_states

-- As of which instant a view that asks for the present was last made. The views
-- write it themselves, in the transaction that makes them.
create table ops.model_instants (
    model_name text primary key,
    as_of timestamptz not null
);
