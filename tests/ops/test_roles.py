"""Roles for loading, transforming and reading: made, kept right, and taken back."""

import dataclasses
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from ops import roles
from ops.embedded import EmbeddedServer
from ops.errors import SettingsError, WarehouseError
from ops.ledger import Ledger
from ops.roles import LOADER, PIPELINE, READER, TRANSFORMER, Standing
from ops.settings import load_settings
from ops.warehouse import SESSION_OPTIONS, Connection, drop_database, prepare, roll_back
from tests.conftest import QUICK

LOGIN = "login_of_the_pipeline"


def _run(connection: Connection, *statements: str) -> list[tuple[object, ...]]:
    with connection.session() as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def login(warehouse: Connection) -> Connection:
    """A warehouse that one user made, with roles and a login of their own for the pipeline since."""
    _run(warehouse, "create schema marts", "create table marts.games as select 7 as game")
    roles.make(warehouse, LOGIN, {LOGIN: "pipe", READER: "read"})
    return dataclasses.replace(warehouse, user=LOGIN, password="pipe")


@pytest.fixture
def embedded(folder_for_servers: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """The embedded server as a user has it: nothing but its folder is set."""
    home = folder_for_servers / f"own-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("LINEKEEPER_WAREHOUSE_DIR", str(home))
    embedded = EmbeddedServer(home, options=QUICK)
    yield embedded
    embedded.stop()


def test_what_one_user_made_is_handed_over_and_again_changes_nothing(warehouse: Connection, login: Connection) -> None:
    assert roles.standing(login) == Standing(True, True, True)
    before = _run(warehouse, "select oid, relacl::text, relowner from pg_class order by 1")
    roles.make(warehouse, LOGIN, {})
    assert _run(warehouse, "select oid, relacl::text, relowner from pg_class order by 1") == before
    assert _run(warehouse, "select pg_get_userbyid(relowner) from pg_class where relname = 'games' and relkind = 'r' "
                "and relnamespace = 'marts'::regnamespace") == [(TRANSFORMER,)]  # fmt: skip


def test_a_session_begins_in_its_role_and_stays_in_it(login: Connection) -> None:
    loader = login.acting_as(LOADER)
    assert _run(loader, "select current_user") == [(LOADER,)]
    assert _run(loader, "begin", "rollback", "reset role", "select current_user") == [(LOADER,)]
    with psycopg2.connect(loader.url) as session, session.cursor() as cursor:
        cursor.execute("select current_user, session_user")
        assert cursor.fetchone() == (LOADER, LOGIN)


def test_the_pipeline_uses_the_roles_it_finds(login: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in login.environment().items():
        monkeypatch.setenv(name, value)
    connection = roles.open_warehouse(load_settings())
    assert connection.role == LOADER
    assert os.environ["PGOPTIONS"] == f"{SESSION_OPTIONS} -crole={TRANSFORMER}"
    with psycopg2.connect("") as session, session.cursor() as cursor:
        cursor.execute("select current_user")
        assert cursor.fetchone() == (TRANSFORMER,)


def test_without_roles_one_user_does_everything(warehouse: Connection) -> None:
    connection = roles.open_warehouse(load_settings())
    assert connection == warehouse
    assert connection.role is None
    assert os.environ["PGOPTIONS"] == SESSION_OPTIONS


def test_options_of_the_user_stay(login: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-cwork_mem=8MB -crole=somebody")
    login.acting_as(TRANSFORMER).activate()
    assert os.environ["PGOPTIONS"] == f"{SESSION_OPTIONS} -cwork_mem=8MB -crole={TRANSFORMER}"
    login.activate()
    assert os.environ["PGOPTIONS"] == f"{SESSION_OPTIONS} -cwork_mem=8MB"


def test_what_was_made_past_the_roles_is_put_right_by_the_owner(
    warehouse: Connection, login: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a dbt that was started without the variables of `db env`, say."""
    _run(login.acting_as(None), "create table marts.stray as select 1 as one")
    assert not roles.standing(login).is_current
    for name, value in login.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WarehouseError, match=r"run `python orchestrate.py db roles` as the user who owns its tables"):
        roles.open_warehouse(load_settings())
    for name, value in warehouse.environment().items():
        monkeypatch.setenv(name, value)
    roles.open_warehouse(load_settings())
    assert roles.standing(login).is_current


def test_a_new_table_is_readable_from_its_first_moment(warehouse: Connection, login: Connection) -> None:
    reader = dataclasses.replace(warehouse, user=READER, password="read")
    _run(login.acting_as(TRANSFORMER), "create table marts.new as select 1 as one", "drop table marts.games",
         "create view marts.games as select 8 as game")  # fmt: skip
    assert _run(reader, "select one, game from new, games") == [(1, 8)]


def test_a_new_migration_brings_its_rights(
    warehouse: Connection, login: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _run(warehouse, "create table ops.newer as select 1 as one")
    (tmp_path / "9999.newer.sql").touch()
    monkeypatch.setattr(roles, "MIGRATIONS", tmp_path)
    assert not roles.standing(login).is_current
    roles.open_warehouse(load_settings())
    assert _run(login.acting_as(LOADER), "select one from ops.newer") == [(1,)]


def test_who_is_no_member_is_told_what_to_have_done(
    warehouse: Connection, login: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSER", READER)
    monkeypatch.setenv("PGPASSWORD", "read")
    with pytest.raises(WarehouseError, match="set PGUSER and PGPASSWORD to the user of the pipeline"):
        roles.open_warehouse(load_settings())
    with pytest.raises(WarehouseError, match=f"db roles --login {READER}"):
        roles.running_warehouse(load_settings())


def test_the_way_back_leaves_one_user_who_does_everything(warehouse: Connection, login: Connection) -> None:
    roles.unmake(warehouse)
    assert not roles.standing(warehouse).is_in_force
    connection = roles.open_warehouse(load_settings())
    assert connection.role is None
    _run(connection, "insert into marts.games values (8)", "create temporary table own (one integer)")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        _run(dataclasses.replace(warehouse, user=READER, password="read"), "select * from marts.games")


def test_who_may_make_no_roles_is_told_what_to_ask_for(server: Connection, warehouse: Connection) -> None:
    name = f"poor_{uuid.uuid4().hex[:8]}"
    _run(server.in_database("postgres"), f"create role {name} login password 'poor'")
    poor = dataclasses.replace(warehouse, user=name, password="poor")
    with pytest.raises(WarehouseError, match=f'alter role "{name}" createrole|as the user who owns its tables'):
        roles.make(poor, name, {f"another_{name}": "x"})
    _run(server.in_database("postgres"), f"drop role {name}")


def test_the_password_of_readers_on_ones_own_server_comes_from_the_environment(
    warehouse: Connection, login: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="LINEKEEPER_READER_PASSWORD is not set"):
        roles.reading(load_settings())
    monkeypatch.setenv("LINEKEEPER_READER_PASSWORD", "read")
    settings = load_settings()
    assert "read" not in repr(settings.linekeeper_reader_password)
    assert _run(roles.reading(settings), "select game from games") == [(7,)]


def test_the_embedded_warehouse_has_its_roles_from_the_start(embedded: EmbeddedServer) -> None:
    settings = load_settings()
    embedded.start()
    connection = roles.open_warehouse(settings)
    assert (connection.user, connection.role) == (PIPELINE, LOADER)
    assert _run(connection.acting_as(None), "select rolsuper, rolcreaterole, rolcreatedb from pg_roles "
                f"where rolname in ('{PIPELINE}', '{READER}')") == [(False, False, False)] * 2  # fmt: skip
    passwords = {embedded.password_of(role) for role in (PIPELINE, READER)} | {embedded.start().password}
    assert len(passwords) == 3
    for role in (PIPELINE, READER):
        file = embedded.home / f"password.{role}"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(file.read_text()) >= 20
    assert not any(password in repr(connection) + str(connection) for password in passwords)
    with Ledger(connection) as ledger, ledger.run("run_ingest"):
        ledger.analyze()

    # `db env` names the embedded server, which is no other for that.
    named = load_settings()
    assert (named.pghost, named.pguser) == (connection.host, PIPELINE)
    assert roles.open_warehouse(named) == roles.running_warehouse(named) == connection
    assert roles.reading(named) == roles.reading(settings)

    reader = roles.reading(settings)
    assert _run(reader, "select current_user, current_setting('default_transaction_read_only')") == [(READER, "on")]
    # Nothing forbids a user to change their own password; the next command puts it back.
    _run(reader, "set default_transaction_read_only = off", "alter role current_user password 'mine'")
    with pytest.raises(WarehouseError, match="password authentication failed"):
        reader.connect()
    roles.open_warehouse(settings)
    assert _run(reader, "select current_user") == [(READER,)]
    for database in ("postgres", "template1"):
        with pytest.raises(WarehouseError, match=f'permission denied for database "{database}"'):
            reader.in_database(database).connect()
    drop_database(connection)


def test_who_is_no_superuser_makes_the_roles_on_the_newest_server_too(embedded: EmbeddedServer) -> None:
    """From PostgreSQL 16 on, who may make roles is no member of those by it, and rules over those alone."""
    admin = embedded.start()
    _run(admin.in_database("postgres"), "create role operator login createdb createrole password 'operating'",
         "create role pipe login password 'pipe'")  # fmt: skip
    operator = dataclasses.replace(admin, user="operator", password="operating", database="operated")
    prepare(operator)
    _run(operator, "create schema marts", "create table marts.games as select 7 as game")
    assert roles.make(operator, "pipe", {READER: "read"}) is False
    assert roles.make(operator, "pipe", {READER: "read anew"}) is False
    assert roles.standing(operator) == roles.standing(dataclasses.replace(operator, user="pipe", password="pipe"))
    reader = dataclasses.replace(operator, user=READER, password="read anew")
    assert _run(reader, "select game from games") == [(7,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        _run(reader, "set default_transaction_read_only = off", "delete from games")
    roles.unmake(operator)
    assert roles.standing(operator).is_in_force is False
    _run(operator, "insert into marts.games values (8)", "drop schema intermediate cascade")


def test_an_embedded_warehouse_of_before_gets_its_roles(embedded: EmbeddedServer) -> None:
    settings = load_settings()
    admin = embedded.start().in_database("linekeeper")
    prepare(admin)
    _run(admin, "create schema marts", "create table marts.games as select 7 as game")
    assert roles.running_warehouse(settings) == admin
    connection = roles.open_warehouse(settings)
    assert _run(roles.reading(settings), "select game from games") == [(7,)]
    assert roles.running_warehouse(settings) == connection


@pytest.mark.parametrize("role", [PIPELINE, READER])
def test_a_password_that_was_lost_is_made_anew(embedded: EmbeddedServer, role: str) -> None:
    settings = load_settings()
    embedded.start()
    roles.open_warehouse(settings)
    old = embedded.password_of(role)
    (embedded.home / f"password.{role}").unlink()
    roles.open_warehouse(settings)
    assert embedded.password_of(role) != old
    roles.reading(settings).connect().close()


def test_migrations_are_taken_back_one_by_one_but_never_the_payloads(warehouse: Connection) -> None:
    for latest in (
        "0009.refused_elements",
        "0008.due_rows",
        "0007.instants",
        "0006.task_run_states",
        "0005.unlanded",
        "0004.whole_loads",
        "0003.feeds",
    ):
        assert roll_back(warehouse) == [latest]
    _run(
        warehouse,
        "insert into staging_odds_api.responses (request_id, endpoint, captured_at, params, origin, element_count, "
        "response_hash, _dlt_load_id, _dlt_id) values ('a', 'odds', now(), '{}', 'live', 0, 'h', '1', 'x')",
    )
    with pytest.raises(WarehouseError, match="would drop the payloads that have landed"):
        roll_back(warehouse)
    _run(warehouse, "delete from staging_odds_api.responses")
    assert roll_back(warehouse, 5) == ["0002.landing", "0001.ops"]
    assert roll_back(warehouse) == []
