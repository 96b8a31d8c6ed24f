drop table ops.model_seeds;
drop table ops.due_rows;
