"""Fixtures for everything that needs a database."""

import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from psycopg2 import sql

from ops.embedded import EmbeddedServer
from ops.warehouse import Connection, create_database, drop_database, prepare

LogStates = dict[str, tuple[int, bool, bool, list[logging.Handler]]]

SETTINGS = ("ODDS_API_", "BALLDONTLIE_", "LINEKEEPER_", "PG")
POSTGRESQL_15 = Path("/usr/lib/postgresql/15/bin")

# A test's data may go with the machine: without fsync a fresh database takes 40 ms instead of 200.
QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "'64MB'"}


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user() -> Iterator[None]:
    """Keep the user's own settings, and so their server and keys, out of every test."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    for name in kept:
        del os.environ[name]
    os.environ["LINEKEEPER_ENV_FILE"] = os.devnull
    # Nobody waits for a second attempt but the tests that are about it.
    os.environ["LINEKEEPER_TASK_ATTEMPTS"] = "1"
    yield
    del os.environ["LINEKEEPER_ENV_FILE"], os.environ["LINEKEEPER_TASK_ATTEMPTS"]
    os.environ.update(kept)


@pytest.fixture(autouse=True)
def _environment_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what code under test sets in the environment, such as libpq's variables for dbt."""
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGOPTIONS", "PGAPPNAME"):
        # Set first: only so does monkeypatch remember that the variable was absent.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _logs_at_first() -> LogStates:
    """The loggers before any test or fixture ran the command line or dbt, which set up logs for the whole process."""
    return _log_states()


@pytest.fixture(autouse=True)
def _logs_restored(_logs_at_first: LogStates) -> Iterator[None]:
    """Undo what a test or a fixture of the session did to the logs."""
    _restore_logs(_logs_at_first)
    yield
    _restore_logs(_logs_at_first)


def _log_states() -> LogStates:
    loggers = [logging.getLogger(name) for name in (None, *logging.root.manager.loggerDict)]
    return {each.name: (each.level, each.propagate, each.disabled, list(each.handlers)) for each in loggers}


def _restore_logs(states: LogStates) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    logging.disable(logging.NOTSET)
    for name in _log_states():
        logger = logging.getLogger(None if name == "root" else name)
        level, logger.propagate, logger.disabled, handlers = states.get(name, (logging.NOTSET, True, False, []))
        # pytest hangs handlers of its own on the root logger while a test runs.
        if name != "root":
            logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.fixture(scope="session")
def folder_for_servers() -> Iterator[Path]:
    """A folder that the server's user can reach, unlike pytest's own temporary folders."""
    folder = Path(tempfile.mkdtemp(prefix="linekeeper-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(folder_for_servers: Path) -> Iterator[Connection]:
    """The embedded PostgreSQL, running, with nothing in it."""
    embedded = EmbeddedServer(folder_for_servers / "embedded", options=QUICK)
    yield embedded.start()
    embedded.stop()


@pytest.fixture(scope="session")
def server15(folder_for_servers: Path) -> Iterator[Connection]:
    """PostgreSQL 15, the oldest supported, where this machine has it."""
    if not (POSTGRESQL_15 / "initdb").exists():
        pytest.skip(f"no PostgreSQL 15 in {POSTGRESQL_15}")
    embedded = EmbeddedServer(folder_for_servers / "fifteen", binaries=POSTGRESQL_15, options=QUICK)
    yield embedded.start()
    embedded.stop()


@pytest.fixture(scope="session")
def _migrated(server: Connection) -> Connection:
    """A database with all migrations, copied for each test."""
    template = server.in_database("linekeeper_template")
    prepare(template)
    return template


@pytest.fixture
def warehouse(server: Connection, _migrated: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A fresh warehouse with all migrations; libpq's variables name it, so that dbt and the settings find it."""
    connection = server.in_database(f"test_{uuid.uuid4().hex[:12]}")
    with server.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(connection.database), sql.Identifier(_migrated.database)
            )
        )
    for name, value in connection.environment().items():
        monkeypatch.setenv(name, value)
    yield connection
    drop_database(connection)


@pytest.fixture
def warehouse15(server15: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A fresh warehouse on PostgreSQL 15."""
    connection = server15.in_database(f"test_{uuid.uuid4().hex[:12]}")
    prepare(connection)
    for name, value in connection.environment().items():
        monkeypatch.setenv(name, value)
    yield connection
    drop_database(connection)


@pytest.fixture
def empty_database(server: Connection) -> Iterator[Connection]:
    """A fresh database with nothing in it."""
    connection = server.in_database(f"test_{uuid.uuid4().hex[:12]}")
    create_database(connection)
    yield connection
    drop_database(connection)
