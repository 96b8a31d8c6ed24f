drop trigger check_task_run on ops.task_runs;
drop function ops.check_task_run();
