"""What each role must not be able to do, tried one by one; and what it must be able to do."""

from collections.abc import Iterable

import psycopg2

from ops.warehouse import Connection

NOT_IN_A_TRANSACTION = ("create database", "alter system", "create tablespace", "create subscription")

DENIED = "42501"
"""SQLSTATE insufficient_privilege: what no right has been given for, and what belongs to somebody else."""

AS_ANYBODY = (
    # Beyond the database.
    "create role mine",
    "create database mine",
    "alter role current_user superuser",
    "alter role current_user createrole",
    "alter system set log_statement = 'all'",
    "set log_statement = 'none'",
    "set session_replication_role = 'replica'",
    "set role postgres_owner",
    "set session authorization postgres_owner",
    "create extension one_that_is_available",
    "alter extension plpgsql update",
    "drop extension plpgsql",
    "create tablespace mine location '/var/mine'",
    "create publication mine for all tables",
    "create subscription mine connection 'host=127.0.0.1' publication mine with (connect = false)",
    "create event trigger mine on ddl_command_end execute function suppress_redundant_updates_trigger()",
    "create foreign data wrapper mine",
    "create language mine handler plpgsql_call_handler",
    "create cast (marts.games as integer) without function",
    "alter role postgres_owner password 'mine'",
    "alter role all set search_path = 'mine'",
    "drop role linekeeper_reader",
    "grant pg_read_all_data to current_user",
    "grant pg_write_all_data to current_user",
    "reassign owned by postgres_owner to current_user",
    "drop owned by postgres_owner",
    "load 'mine'",
    "set log_min_messages = 'panic'",
    "set track_activities = off",
    "create schema mine",
    "create table public.mine (one integer)",
    "copy (select 1) to program 'true'",
    "copy (select 1) to '/dev/null'",
    "checkpoint",
    "select pg_read_file('PG_VERSION')",
    "select pg_read_binary_file('PG_VERSION')",
    "select * from pg_ls_dir('.')",
    "select * from pg_stat_file('PG_VERSION')",
    "select lo_import('/etc/passwd')",
    "select lo_export(0, '/dev/null')",
    "select pg_reload_conf()",
    "select pg_rotate_logfile()",
    "select pg_switch_wal()",
    "select pg_promote()",
    "select pg_backup_start('mine')",
    "select pg_create_restore_point('mine')",
    "select pg_create_physical_replication_slot('mine')",
    "select pg_create_logical_replication_slot('mine', 'test_decoding')",
    "select pg_replication_origin_create('mine')",
    "select pg_stat_reset()",
    "select pg_log_backend_memory_contexts({pid})",
    "select pg_ls_logdir()",
    "select pg_ls_waldir()",
    "select pg_current_logfile()",
    "select * from pg_file_settings",
    "select * from pg_user_mapping",
    "select * from pg_statistic",
    "select * from pg_subscription",
    "select * from pg_authid",
    "select * from pg_hba_file_rules",
    "select pg_terminate_backend({pid})",
    "select pg_cancel_backend({pid})",
)
"""What neither part of the pipeline nor a reader may do.

`postgres_owner` stands for the server's owner, `one_that_is_available` for an extension that is there to be installed.
"""

AS_READER = (
    *AS_ANYBODY,
    # Changing rows.
    "insert into marts.games select * from marts.games",
    "insert into marts.teams default values",
    "update marts.games set status = 'final'",
    "delete from marts.picks",
    "truncate marts.odds_snapshots",
    "merge into marts.games using marts.teams on false when matched then delete",
    "with gone as (delete from marts.grades returning *) select * from gone",
    "explain analyze delete from marts.picks",
    "do $$ begin delete from marts.picks; end $$",
    "copy marts.games from program 'true'",
    "copy marts.games from '/dev/null'",
    "select * from marts.games for update",
    "select * from marts.games for key share",
    "lock table marts.games in access exclusive mode",
    "lock table marts.games in row share mode",
    "insert into marts.teams select * from marts.teams on conflict do nothing",
    "update marts.grades set is_latest = not is_latest",
    "copy marts.games to '/var/mine'",
    "copy (select * from marts.games) to program 'true'",
    "select * from marts.games for share",
    # Changing what is there.
    "drop table marts.games",
    "drop view marts.price_offers",
    "drop function marts.board_at(timestamptz)",
    "drop schema marts cascade",
    "drop schema ops cascade",
    "alter table marts.games add column mine integer",
    "alter table marts.games owner to current_user",
    "alter table marts.games disable trigger all",
    "alter table marts.games enable row level security",
    "alter table marts.games rename to mine",
    "alter table marts.games set unlogged",
    "alter table marts.games drop constraint games_pkey",
    "alter table marts.games inherit marts.teams",
    "alter view marts.price_offers rename to mine",
    "alter function marts.board_at(timestamptz) security definer",
    "alter schema marts rename to mine",
    "alter schema marts owner to current_user",
    "alter default privileges for role linekeeper_transformer grant all on tables to public",
    "reindex table marts.games",
    "cluster marts.games using games_pkey",
    "create statistics marts.mine on status, season from marts.games",
    "create policy mine on marts.games",
    "create index on marts.games (status)",
    "create trigger mine before insert on marts.games execute function suppress_redundant_updates_trigger()",
    "create rule mine as on insert to marts.games do instead nothing",
    "comment on table marts.games is 'mine'",
    "grant linekeeper_loader to current_user",
    "create table marts.mine (one integer)",
    "create table marts.mine as select * from marts.games",
    "create view marts.mine as select 1 as one",
    "create materialized view marts.mine as select 1 as one",
    "create sequence marts.mine",
    "create type marts.mine as (one integer)",
    "create function marts.mine() returns integer language sql as 'select 1'",
    "create or replace function marts.board_at(asked_at timestamptz) returns integer language sql as 'select 1'",
    "create temporary table mine (one integer)",
    "create temporary view mine as select 1 as one",
    "create function pg_temp.mine() returns integer language sql as 'select 1'",
    # Looking further.
    "select * from ops.task_runs",
    "select * from ops.api_requests",
    "select * from ops.dead_letters",
    "select * from ops.model_loads",
    "insert into ops.deployments default values",
    "select * from staging_odds_api.odds",
    "select * from staging_odds_api._dlt_loads",
    "select payload from staging_balldontlie.games",
    "delete from staging_balldontlie.games",
    "select * from staging.stg_odds_api__quotes",
    "select * from intermediate.int_games_scheduled",
    "select * from reference.leagues",
    "select * from public._yoyo_migration",
    # Being somebody else.
    "set role linekeeper_loader",
    "set role linekeeper_transformer",
)

AS_READER_OF_A_SUPERUSERS = (
    "select pg_advisory_lock(4722531097461153025)",
    "select pg_try_advisory_lock(47001, hashtext('cycle'))",
    "select pg_try_advisory_lock(47001, hashtext('run_ingest'))",
    "select pg_advisory_xact_lock(47002, 1)",
    "select pg_advisory_lock_shared(47001, 1)",
    "select pg_try_advisory_xact_lock_shared(47001, 1)",
    "select pg_advisory_unlock_all()",
    "select lo_create(0)",
    "select lo_creat(-1)",
    "select lo_from_bytea(0, 'mine')",
    "select pg_logical_emit_message(false, 'mine', 'mine')",
)
"""What only a superuser can forbid a reader."""

AS_LOADER = (
    *AS_ANYBODY,
    "update staging_odds_api.odds set payload = '{{}}'",
    "delete from staging_odds_api.odds",
    "truncate staging_balldontlie.games",
    "update staging_balldontlie._dlt_loads set status = 1",
    "drop table staging_odds_api.odds",
    "alter table staging_odds_api.odds drop column payload",
    "insert into marts.teams default values",
    "update marts.games set status = 'final'",
    "delete from marts.picks",
    "truncate marts.odds_snapshots",
    "drop table marts.games",
    "create table marts.mine (one integer)",
    "delete from intermediate.int_events_identified",
    "drop view staging.stg_odds_api__quotes",
    "update reference.leagues set league = 'mine'",
    "delete from ops.model_loads",
    "drop table ops.task_runs",
    "truncate ops.task_runs",
    "create temporary table mine (one integer)",
)

AS_TRANSFORMER = (
    *AS_ANYBODY,
    "insert into staging_odds_api.odds default values",
    "update staging_odds_api.odds set payload = '{{}}'",
    "delete from staging_balldontlie.games",
    "truncate staging_balldontlie.games",
    "delete from staging_odds_api._dlt_loads",
    "drop table staging_odds_api.odds",
    "create table staging_odds_api.mine (one integer)",
    "create view staging_balldontlie.mine as select 1 as one",
    "insert into ops.task_runs default values",
    "update ops.task_runs set state = 'succeeded'",
    "delete from ops.dead_letters",
    "update ops.api_requests set credits_last = 0",
    "delete from ops.deployments",
    "truncate ops.model_loads",
    "drop schema ops cascade",
)


def wrongly_allowed(connection: Connection, statements: Iterable[str], *, pid: int, owner: str) -> list[str]:
    """Try statements, each in a transaction that is rolled back; returns those that were not refused.

    The session may write as far as its settings go: what refuses is the rights alone.

    Args:
        pid: the process of somebody else's session.
        owner: the server's owner.
    """
    found = []
    session = connection.connect()
    try:
        with session.cursor() as cursor:
            cursor.execute("set default_transaction_read_only = off")
            cursor.execute("set statement_timeout = '10s'")
            cursor.execute("select min(name) from pg_available_extensions where installed_version is null")
            [(extension,)] = cursor.fetchall()
        names = {"postgres_owner": f'"{owner}"', "one_that_is_available": f'"{extension}"'}
        for statement in statements:
            session.autocommit = statement.startswith(NOT_IN_A_TRANSACTION)
            try:
                with session.cursor() as cursor:
                    text = statement.format(pid=pid)
                    for name, stands_for in names.items():
                        text = text.replace(name, stands_for)
                    cursor.execute(text)
                found.append(f"{statement}: allowed")
            except psycopg2.Error as error:
                if error.pgcode != DENIED:
                    found.append(f"{statement}: {error.pgcode} {error}")
            if not session.autocommit:
                session.rollback()
    finally:
        session.close()
    return found
