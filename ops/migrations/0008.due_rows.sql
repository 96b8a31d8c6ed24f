-- depends: 0007.instants

-- Rows of a model that have to be derived again, because what they come from has
-- changed. Whoever changes writes them, in the transaction of the change; the
-- model takes them away in the transaction that derives the rows. A key of `*`
-- means all rows.
create table ops.due_rows (
    model_name text not null,
    told_by text not null,
    row_key text not null,
    is_claimed boolean not null default false,
    primary key (model_name, told_by, row_key)
);

-- Which content of the seeds that it reads a model was last derived from.
create table ops.model_seeds (
    model_name text primary key,
    seeds_hash text not null
);
