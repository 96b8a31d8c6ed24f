drop table ops.model_instants;
