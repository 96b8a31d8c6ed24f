-- depends: 0005.unlanded

-- A run is queued, then running, then ends, once; what failed for good is dead. Which states there are is a
-- check of the table; from which to which one may go is one here.
create function ops.check_task_run() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'queued' then
            raise exception 'run % begins as %: every run begins as queued', new.run_id, new.state
            using errcode = 'check_violation';
        end if;
    elsif (new.run_id, new.correlation_id, new.task, new.attempt, new.queued_at)
        is distinct from (old.run_id, old.correlation_id, old.task, old.attempt, old.queued_at)
    then
        raise exception 'run % is to become another: only its state, times and result change', old.run_id
        using errcode = 'check_violation';
    elsif not (
        (old.state = 'queued' and new.state in ('running', 'abandoned'))
        or (old.state = 'running' and new.state in ('succeeded', 'failed', 'dead', 'abandoned'))
        -- The last attempt of its cycle is known to be the last when it has failed.
        or (old.state = 'failed' and new.state = 'dead')
    ) then
        raise exception 'run % is %: it cannot become %', old.run_id, old.state, new.state
        using errcode = 'check_violation';
    end if;
    return new;
end
$$;
create trigger check_task_run before insert or update on ops.task_runs
for each row execute function ops.check_task_run();
