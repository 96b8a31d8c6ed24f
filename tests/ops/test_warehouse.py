"""The warehouse: reached, checked, created and migrated, on every server that is supported."""

import dataclasses
import socket
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql

from extract.extraction import Problems, extraction
from extract.landing import land
from extract.payloads import Response
from ops.clock import Clock
from ops.errors import WarehouseError
from ops.ledger import Ledger
from ops.paths import MIGRATIONS
from ops.roles import open_warehouse
from ops.settings import load_settings
from ops.warehouse import Connection, check_version, create_database, drop_database, migrate, prepare, roll_back


def _tables(connection: Connection) -> set[str]:
    with connection.session() as session, session.cursor() as cursor:
        cursor.execute("select schemaname || '.' || tablename from pg_tables")
        return {row[0] for row in cursor.fetchall()}


def test_preparing_creates_the_database_and_its_tables_and_again_changes_nothing(server: Connection) -> None:
    connection = server.in_database(f"test_{uuid.uuid4().hex[:12]}")
    prepare(connection)
    tables = _tables(connection)
    assert {"ops.task_runs", "ops.dead_letters", "staging_odds_api.odds", "staging_balldontlie.games"} <= tables
    assert migrate(connection) == []
    prepare(connection)
    assert _tables(connection) == tables
    drop_database(connection)


def test_the_oldest_supported_server_is_prepared_too(warehouse15: Connection) -> None:
    assert check_version(warehouse15) == 15
    assert "ops.task_runs" in _tables(warehouse15)


def test_migrations_go_back_and_forth(empty_database: Connection) -> None:
    from yoyo import get_backend, read_migrations  # type: ignore[import-untyped]

    migrate(empty_database)
    there = _tables(empty_database)
    backend = get_backend(empty_database.url)
    migrations = read_migrations(str(MIGRATIONS))
    backend.rollback_migrations(backend.to_rollback(migrations))
    backend.connection.close()
    assert not any(table.startswith(("ops.", "staging_")) for table in _tables(empty_database))
    assert migrate(empty_database)
    assert _tables(empty_database) == there


def test_what_was_refused_before_it_was_written_down_is_known_by_its_dead_letters(warehouse: Connection) -> None:
    """The migration finds what landing writes, and has the models that read absence take those loads in again."""
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    elements: dict[str, list[Any]] = {
        "broken": [{"id": "a" * 32, "sport_key": "basketball_nba"}, {"id": None}, {"id": "b" * 32}],
        "whole": [],
    }
    told = "select request_id, refused_event_ids from staging_odds_api.responses order by request_id"
    with Ledger(warehouse, Clock(at)) as ledger:
        for name, listed in elements.items():
            response = Response(name, "odds", at, {}, listed, name, sport_key="basketball_nba")
            land(warehouse.url, extraction("odds_api", {"odds": iter([response])}, Problems(), ledger))
        ledger.query(
            "insert into ops.model_loads (model_name, source_schema, load_id, is_done) "
            "select model_name, 'staging_odds_api', load_id, true from staging_odds_api._dlt_loads "
            "cross join (values ('markets'), ('market_scores')) as models (model_name)"
        )
        before = dict(ledger.query(told))
        assert before == {"broken": ["a" * 32, None, "b" * 32], "whole": None}
        assert roll_back(warehouse) == ["0009.refused_elements"]
        assert migrate(warehouse) == ["0009.refused_elements"]
        after = dict(ledger.query(told))
        assert after["whole"] is None
        assert Counter(after["broken"]) == Counter(before["broken"])
        assert ledger.query(
            "select model_name, request_id from ops.model_loads "
            "inner join staging_odds_api.responses on load_id = _dlt_load_id where not is_done"
        ) == [("markets", "broken")]


def test_runners_that_migrate_at_once_wait_for_each_other(empty_database: Connection) -> None:
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(migrate(empty_database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied))[:2] == [0, 0]
    assert len(applied) == 3


def test_a_migration_that_fails_is_named_and_leaves_nothing(empty_database: Connection, tmp_path: Path) -> None:
    (tmp_path / "0001.bad.sql").write_text("create table half (a int);\nselect broken from nowhere;\n")
    with pytest.raises(WarehouseError, match=r'a migration of .* failed: relation "nowhere" does not exist'):
        migrate(empty_database, tmp_path)
    assert "public.half" not in _tables(empty_database)


def test_an_unreachable_server_is_one_line_with_host_port_and_remedy() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    connection = Connection("127.0.0.1", port, "somebody", "a-password-nobody-sees", "linekeeper")
    with pytest.raises(WarehouseError) as error:
        prepare(connection)
    message = str(error.value)
    assert message.startswith(f"cannot use PostgreSQL at 127.0.0.1:{port}: Connection refused; ")
    assert "PGHOST" in message
    assert "\n" not in message
    assert "nobody-sees" not in message
    assert error.value.__suppress_context__


def test_a_refused_password_says_so_without_telling_it(server: Connection) -> None:
    wrong = dataclasses.replace(server, password="a-password-nobody-sees")
    with pytest.raises(WarehouseError, match="password authentication failed") as error:
        prepare(wrong)
    assert "nobody-sees" not in str(error.value)


def test_a_user_who_may_not_create_databases_is_told_what_to_ask_for(server: Connection) -> None:
    role = f"poor_{uuid.uuid4().hex[:8]}"
    with server.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute(sql.SQL("create role {} login password 'poor'").format(sql.Identifier(role)))
    poor = dataclasses.replace(server, user=role, password="poor", database="not_there")
    try:
        with pytest.raises(WarehouseError, match=f'create database "not_there" owner "{role}"'):
            prepare(poor)
    finally:
        with server.in_database("postgres").session() as session, session.cursor() as cursor:
            cursor.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@pytest.mark.parametrize("version", [140012, 190000])
def test_a_server_too_old_or_too_new_is_refused(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        server_version = version

        def close(self) -> None: ...

    monkeypatch.setattr(Connection, "connect", lambda self: Session())
    with pytest.raises(WarehouseError, match=f"is version {version // 10000}: Linekeeper needs 15 to 18"):
        check_version(Connection("db.example", 5432, "u", "p", "d"))


def test_names_and_passwords_with_any_characters_survive_the_address(server: Connection) -> None:
    role, password = 'o\'dd "user"', "p@ss/w:rd%?#& '\""
    with server.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute(
            sql.SQL("create role {} login createdb password {}").format(sql.Identifier(role), sql.Literal(password))
        )
    odd = dataclasses.replace(server, user=role, password=password, database="odd-name")
    try:
        assert create_database(odd) is True
        assert create_database(odd) is False
        psycopg2.connect(odd.url).close()
        assert migrate(odd)
        drop_database(odd)
    finally:
        with server.in_database("postgres").session() as session, session.cursor() as cursor:
            cursor.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_a_server_of_your_own_is_used_when_pghost_is_set(
    server: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"test_{uuid.uuid4().hex[:12]}"
    for variable, value in server.in_database(name).environment().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("LINEKEEPER_WAREHOUSE_DIR", str(tmp_path / "never-made"))
    connection = open_warehouse(load_settings())
    assert connection.database == name
    assert "ops.task_runs" in _tables(connection)
    assert not (tmp_path / "never-made").exists()
    drop_database(connection)


def test_sessions_are_in_utc(warehouse: Connection) -> None:
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("show timezone")
        assert cursor.fetchone() == ("UTC",)
