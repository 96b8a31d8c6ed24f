drop table ops.unlanded_responses;
