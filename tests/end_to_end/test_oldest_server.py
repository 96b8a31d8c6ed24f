"""PostgreSQL 15, the oldest that is supported: a past and a cycle there, by a user who is no superuser, with roles."""

import dataclasses
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from psycopg2 import sql

from ops.roles import LOADER, READER, TRANSFORMER, make
from ops.warehouse import Connection
from simulator import League, LeagueSettings, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.rights import (
    AS_LOADER,
    AS_READER,
    AS_READER_OF_A_SUPERUSERS,
    AS_TRANSFORMER,
    wrongly_allowed,
)
from tests.end_to_end.warehouses import Warehouse, simulated, warehouse

NOW = datetime(2026, 11, 12, 5, 0, tzinfo=UTC)
READS = "the-password-of-a-dashboard"


@pytest.fixture(scope="module")
def operator(server15: Connection) -> Connection:
    """A user who may make databases and roles, and is no superuser."""
    operator = dataclasses.replace(server15, user=f"operator_{uuid.uuid4().hex[:8]}", password="operating")
    name = sql.Identifier(operator.user)
    with server15.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute(sql.SQL("create role {} login createdb createrole password 'operating'").format(name))
        cursor.execute(sql.SQL("grant pg_signal_backend to {}").format(name))
    return operator


@pytest.fixture(scope="module")
def kept(operator: Connection, targets: Path) -> Iterator[Warehouse]:
    """A warehouse in which that user made the roles before anything was built, and then built and ran it."""
    app = SimulatorApp(
        League(LeagueSettings(first_day=date(2026, 11, 9), days=5, games_per_day=3, seed=3)), SimulatorClock(NOW)
    )
    with serve(app) as simulator, warehouse(operator, targets, None, **simulated(simulator.base_url)) as made:
        said = made.succeed("db", "roles", LINEKEEPER_READER_PASSWORD=READS)
        assert f"{operator.user} loads and transforms, {READER} reads" in said.out
        assert "is no superuser: a reader may still hold advisory locks" in said.out
        as_of = ("--as-of", NOW.isoformat())
        made.succeed("backfill", "--from", "2026-11-10", "--to", "2026-11-12", "--step", "6h", "--yes", *as_of)
        made.succeed("cycle", *as_of)
        yield made


def _as(kept: Warehouse, role: str) -> Connection:
    return kept.connection.acting_as(role)


def _reader(kept: Warehouse) -> Connection:
    return dataclasses.replace(kept.connection, user=READER, password=READS)


def _allowed(kept: Warehouse, server15: Connection, who: Connection, statements: tuple[str, ...]) -> list[str]:
    with server15.in_database(kept.connection.database).session() as session:
        return wrongly_allowed(who, statements, pid=session.info.backend_pid, owner=server15.user)


def test_a_backfill_and_a_cycle_work_on_postgresql_15(kept: Warehouse) -> None:
    assert kept.value("show server_version").startswith("15.")
    assert kept.value("select count(*) from marts.odds_snapshots") > 500
    assert kept.value("select count(*) from marts.game_results") >= 6
    assert kept.value("select count(*) from marts.team_stats where possessions is not null") >= 12
    graded = "select count(*) from marts.grades where is_latest and outcome in ('win', 'loss', 'push')"
    assert kept.value(graded) > 0


def test_each_part_did_its_work_in_its_role(kept: Warehouse) -> None:
    """dbt made everything as the transformer, dlt its own tables as the loader; the payloads are the operator's."""
    owners = kept.rows(
        """
        select distinct
            nspname in ('marts', 'intermediate', 'staging', 'reference') as is_made_by_dbt,
            nspname like 'staging\\_%' and relname in ('_dlt_version', '_dlt_pipeline_state') as is_of_dlt,
            pg_get_userbyid(relowner)
        from pg_class
        inner join pg_namespace on relnamespace = pg_namespace.oid
        where relkind in ('r', 'v') and nspname ~ '^(marts|intermediate|staging|reference|ops)'
        order by 1, 2
        """
    )
    assert owners == [
        (False, False, kept.connection.user), (False, True, LOADER), (True, False, TRANSFORMER),
    ]  # fmt: skip


def test_the_reader_reads_every_mart(kept: Warehouse) -> None:
    with _reader(kept).session() as session, session.cursor() as cursor:
        cursor.execute("select table_name from information_schema.tables where table_schema = 'marts'")
        marts = [name for (name,) in cursor.fetchall()]
        assert len(marts) >= 28
        for mart in marts:
            # Found without the name of the schema, too.
            cursor.execute(sql.SQL("select * from {} limit 1").format(sql.Identifier(mart)))
        cursor.execute("select count(*) from board_at(%s)", (datetime(2026, 11, 11, tzinfo=UTC),))
        assert cursor.fetchone() != (0,)
        cursor.execute("select count(*) from pipeline_health where state = 'succeeded'")
        assert cursor.fetchone() != (0,)


def test_the_reader_can_do_nothing_else(kept: Warehouse, server15: Connection) -> None:
    assert _allowed(kept, server15, _reader(kept), AS_READER) == []


def test_the_catalog_says_so_too(kept: Warehouse) -> None:
    """What the list of statements may have forgotten: no right at all beyond reading the marts."""
    relations = """
        select nspname, relname, privilege
        from pg_class
        inner join pg_namespace on relnamespace = pg_namespace.oid
        cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'])
            as privilege
        where nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_(toast|temp)'
            and relkind in ('r', 'v', 'm', 'p') and has_table_privilege(%s, pg_class.oid, privilege)
        """
    found = kept.rows(relations, [READER])
    assert {(schema, privilege) for schema, _, privilege in found} == {("marts", "select")}
    routines = """
        select proname from pg_proc inner join pg_namespace on pronamespace = pg_namespace.oid
        where nspname not in ('pg_catalog', 'information_schema') and has_function_privilege(%s, pg_proc.oid, 'execute')
            and has_schema_privilege(%s, nspname, 'usage')
        """
    assert kept.rows(routines, [READER, READER]) == [("board_at",)]
    schemas = "select nspname from pg_namespace where has_schema_privilege(%s, oid, 'create')"
    assert kept.rows(schemas, [READER]) == []
    assert kept.rows("select has_database_privilege(%s, current_database(), 'create, temporary')", [READER]) == [
        (False,)
    ]


def test_other_peoples_statements_are_hidden_from_the_reader(kept: Warehouse) -> None:
    with kept.connection.session() as session, session.cursor() as cursor:
        cursor.execute("select 'a secret of the pipeline'")
        with _reader(kept).session() as reading, reading.cursor() as reader:
            reader.execute("select query from pg_stat_activity where pid = %s", (session.info.backend_pid,))
            assert reader.fetchone() == ("<insufficient privilege>",)


def test_what_only_a_superuser_forbids_is_forbidden_once_one_did(kept: Warehouse, server15: Connection) -> None:
    assert len(wrongly_allowed(_reader(kept), AS_READER_OF_A_SUPERUSERS, pid=0, owner="")) == len(
        AS_READER_OF_A_SUPERUSERS
    )
    assert make(server15.in_database(kept.connection.database), kept.connection.user, {}) is True
    assert wrongly_allowed(_reader(kept), AS_READER_OF_A_SUPERUSERS, pid=0, owner="") == []
    kept.succeed("run_ingest", "--as-of", NOW.isoformat())


def test_the_loader_changes_no_payload_and_no_mart(kept: Warehouse, server15: Connection) -> None:
    assert _allowed(kept, server15, _as(kept, LOADER), AS_LOADER) == []


def test_the_transformer_changes_no_payload_and_no_record(kept: Warehouse, server15: Connection) -> None:
    assert _allowed(kept, server15, _as(kept, TRANSFORMER), AS_TRANSFORMER) == []
