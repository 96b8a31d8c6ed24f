-- Who may do what in this database. Run by the owner of the landing tables, as
-- often as one likes; the roles themselves are there already (see ops/roles.py).
--
--   linekeeper_loader       adds to the landing tables, keeps the runner's own
--                           tables, reads everything
--   linekeeper_transformer  owns what dbt makes, reads the landing tables and
--                           the runner's, keeps which loads a model has taken in
--   linekeeper_reader       reads the marts

-- What dbt makes belongs to the transformer, also what was made before.
create schema if not exists marts;
create schema if not exists intermediate;
create schema if not exists staging;
create schema if not exists reference;

do $ownership$
declare
    item record;
begin
    for item in
        select format('alter schema %I owner to linekeeper_transformer', nspname) as statement
        from pg_namespace
        where nspname in ('marts', 'intermediate', 'staging', 'reference')
            and nspowner <> 'linekeeper_transformer'::regrole
    loop
        execute item.statement;
    end loop;
    for item in
        select
            format(
                'alter %s %I.%I owner to linekeeper_transformer',
                case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end,
                nspname, relname
            ) as statement
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where nspname in ('marts', 'intermediate', 'staging', 'reference')
            and relkind in ('r', 'p', 'v', 'm')
            and relowner <> 'linekeeper_transformer'::regrole
        union all
        select format('alter routine %s owner to linekeeper_transformer', pg_proc.oid::regprocedure)
        from pg_proc
        inner join pg_namespace on pg_proc.pronamespace = pg_namespace.oid
        where nspname in ('marts', 'intermediate', 'staging', 'reference')
            and proowner <> 'linekeeper_transformer'::regrole
    loop
        execute item.statement;
    end loop;
end
$ownership$;

-- Nobody makes anything in the database but its owner, dbt's working tables aside.
do $database$
begin
    execute format('revoke create, temporary on database %I from public', current_database());
    execute format('grant temporary on database %I to linekeeper_transformer', current_database());
    execute format(
        'grant connect on database %I to linekeeper_loader, linekeeper_transformer, linekeeper_reader',
        current_database()
    );
end
$database$;
revoke create on schema public from public;
grant select on table _yoyo_migration to linekeeper_loader;

-- The runner's tables.
revoke all on schema ops from public;
revoke all on all tables in schema ops from public, linekeeper_reader;
grant usage on schema ops to linekeeper_loader, linekeeper_transformer;
grant select, insert, update, delete on all tables in schema ops to linekeeper_loader;
grant select on all tables in schema ops to linekeeper_transformer;
grant insert, update, delete on table ops.model_loads, ops.model_instants, ops.due_rows, ops.model_seeds
to linekeeper_transformer;
revoke insert, update, delete on table ops.model_loads, ops.model_instants, ops.due_rows, ops.model_seeds
from linekeeper_loader;

-- The landing tables: payloads are added and read, by nobody changed. The tables
-- that dlt keeps for itself are the loader's.
do $landing$
declare
    landing record;
    item record;
begin
    for landing in
        select nspname from pg_namespace where nspname in ('staging_odds_api', 'staging_balldontlie')
    loop
        execute format(
            'revoke all on schema %1$I from public; '
            'revoke all on all tables in schema %1$I from public, linekeeper_reader; '
            'grant usage, create on schema %1$I to linekeeper_loader; '
            'grant usage on schema %1$I to linekeeper_transformer',
            landing.nspname
        );
        for item in
            select
                case when starts_with(tablename, '_dlt_') and tablename <> '_dlt_loads'
                    then format('alter table %I.%I owner to linekeeper_loader', schemaname, tablename)
                    else format('grant select, insert on table %I.%I to linekeeper_loader', schemaname, tablename)
                end as statement
            from pg_tables
            where schemaname = landing.nspname and tableowner <> 'linekeeper_loader'
        loop
            execute item.statement;
        end loop;
        execute format(
            'grant select on all tables in schema %1$I to linekeeper_transformer; '
            'alter default privileges for role linekeeper_loader in schema %1$I '
            'grant select on tables to linekeeper_transformer',
            landing.nspname
        );
    end loop;
end
$landing$;

-- What dbt makes: the loader reads all of it, the reader the marts. A table or
-- view that is made anew is readable from its first moment.
grant usage on schema marts, intermediate, staging, reference to linekeeper_loader;
grant usage on schema marts to linekeeper_reader;
grant select on all tables in schema marts, intermediate, staging, reference to linekeeper_loader;
grant select on all tables in schema marts to linekeeper_reader;
revoke execute on all routines in schema marts, intermediate, staging, reference from public;
grant execute on all routines in schema marts to linekeeper_loader, linekeeper_reader;
alter default privileges for role linekeeper_transformer
revoke execute on routines from public;
alter default privileges for role linekeeper_transformer
in schema marts, intermediate, staging, reference
grant select on tables to linekeeper_loader;
alter default privileges for role linekeeper_transformer
in schema marts
grant select on tables to linekeeper_reader;
alter default privileges for role linekeeper_transformer
in schema marts
grant execute on routines to linekeeper_loader, linekeeper_reader;

-- What everybody may do in a PostgreSQL as it comes, and a reader need not: hold
-- the locks by which runners keep out of each other's way, and keep large
-- objects. Only a superuser can take it away.
do $everybody$
declare
    item record;
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        return;
    end if;
    for item in
        select
            format(
                'revoke execute on function %1$s from public; '
                'grant execute on function %1$s to linekeeper_loader, linekeeper_transformer',
                oid::regprocedure
            ) as statement
        from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            and (
                proname ~ '^pg_(try_)?advisory_'
                or proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'pg_logical_emit_message')
            )
    loop
        execute item.statement;
    end loop;
end
$everybody$;
