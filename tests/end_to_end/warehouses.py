"""Warehouses to run the whole pipeline in, and what is in them."""

import contextlib
import io
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from psycopg2 import sql

import orchestrate
from ops.paths import ROOT
from ops.warehouse import Connection, drop_database, prepare
from simulator import DEFAULT_KEY
from tests.end_to_end.recordings import Change, Poll, closes

OPERATIONS = frozenset({"api_credit_usage", "data_freshness", "pipeline_health"})
"""Marts about the runs themselves, which a further run is bound to change."""


TOOK: dict[str, float] = {}
"""What took how many seconds, shown at the end of the tests; a busy machine proves nothing, so nothing is asserted."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. `errors` are the lines it ended with on standard error, `log` all of that."""

    code: int
    out: str
    log: str
    seconds: float

    @property
    def errors(self) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith("error: ")]


@dataclass(frozen=True)
class Warehouse:
    """A database of its own, with settings for the pipeline and a working folder for dbt."""

    connection: Connection
    target: Path
    settings: dict[str, str]

    def environment(self) -> dict[str, str]:
        """The variables that make commands work in this warehouse."""
        return {**self.connection.environment(), "DBT_TARGET_PATH": str(self.target), **self.settings}

    def run(self, *arguments: str, **settings: str) -> Done:
        """Run a command of orchestrate.py in this process."""
        out, log = io.StringIO(), io.StringIO()
        began = time.monotonic()
        with (
            patch.dict(os.environ, {**self.environment(), **settings}),
            patch.object(sys, "argv", ["orchestrate.py", *arguments]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(log),
        ):
            try:
                code = orchestrate.main()
            except SystemExit as end:
                code = int(end.code or 0)
        return Done(code, out.getvalue(), log.getvalue(), time.monotonic() - began)

    def succeed(self, *arguments: str, **settings: str) -> Done:
        """Run a command in this process; it must work."""
        done = self.run(*arguments, **settings)
        assert done.code == 0, done.log
        return done

    def start(self, *program: str) -> Done:
        """Run a program in the repository's root as a process of its own."""
        began = time.monotonic()
        done = subprocess.run(
            program, cwd=ROOT, env={**os.environ, **self.environment()}, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def rows(self, query: str | sql.Composed, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.connection.session() as session, session.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall()

    def value(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The one value of a query."""
        [(value,)] = self.rows(query, values)
        return value

    def marts(self) -> list[str]:
        """The marts that are about bets, games and teams, not about runs."""
        found = self.rows("select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind = 'r'")
        return sorted({name for (name,) in found} - OPERATIONS)

    def content(self, without: dict[str, set[str]] | None = None, *, versions: bool = False) -> dict[str, str]:
        """What each mart holds: its number of rows and a hash of them, sorted.

        Args:
            without: by mart, columns to leave out.
            versions: whether the version of each row counts too, so that one rewritten as it was is another.
        """
        return {mart: self._hash(mart, (without or {}).get(mart, set()), versions) for mart in self.marts()}

    def _hash(self, mart: str, without: set[str], versions: bool) -> str:
        columns = self.rows(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            [f"marts.{mart}"],
        )
        kept = sorted({name for (name,) in columns} - without)
        named = sql.SQL(", ").join([sql.Identifier(name) for name in kept] + [sql.SQL("xmin")] * versions)
        [(count, digest)] = self.rows(
            sql.SQL(
                "select count(*), md5(string_agg(digest, '' order by digest)) "
                "from (select md5(row({})::text) as digest from marts.{}) as digests"
            ).format(named, sql.Identifier(mart))
        )
        return f"{count} rows, {digest}"


def kept_changes(kept: Warehouse) -> list[Change]:
    """What odds_snapshots holds."""
    return [
        Change(*row)
        for row in kept.rows(
            """
            select
                event_id, bookmaker_key, market_key, outcome_name, captured_at, change_kind,
                price_american, line_points::float
            from marts.odds_snapshots
            """
        )
    ]


def assert_closes(kept: Warehouse, polls: list[Poll], *, at_least: int) -> None:
    """Hold the closing lines against the boards they come from; a measured one is less than half an hour old."""
    found = kept.rows(
        """
        select
            event_id, bookmaker_key, market_key, outcome_name,
            price_american, line_points::float, close_age_seconds
        from marts.closing_lines
        where close_status = 'measured'
        """
    )
    expected = closes(polls)
    assert len(found) >= at_least
    for event_id, bookmaker_key, market_key, name, *close in found:
        assert expected[event_id, bookmaker_key, market_key, name] == tuple(close)
        assert close[2] < 1800


@contextlib.contextmanager
def warehouse(
    server: Connection, folder: Path, template: Connection | None = None, **settings: str
) -> Iterator[Warehouse]:
    """A warehouse of its own, dropped at the end.

    Args:
        folder: where dbt works, see `working_folder`.
        template: a warehouse to copy; without one it has its migrations and nothing else.
        settings: variables that commands in it shall see.
    """
    connection = unmade(server)
    if template is None:
        prepare(connection)
    else:
        with server.in_database("postgres").session() as session, session.cursor() as cursor:
            names = [sql.Identifier(name) for name in (connection.database, template.database)]
            cursor.execute(sql.SQL("create database {} template {}").format(*names))
    yield Warehouse(connection, working_folder(folder, connection), settings)
    drop_database(connection)


def unmade(server: Connection) -> Connection:
    """A connection to a database that is not there yet.

    It has the first name that no database has: dbt parses the project anew for each name that it has not seen yet.
    """
    with server.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute("select datname from pg_database")
        taken = {name for (name,) in cursor.fetchall()}
    return server.in_database(next(name for number in itertools.count() if (name := f"made_{number}") not in taken))


def working_folder(targets: Path, connection: Connection) -> Path:
    """Where dbt works for databases of this name."""
    return targets / f"{connection.port}_{connection.database}"


def simulated(base_url: str) -> dict[str, str]:
    """Settings that reach a simulator."""
    return {
        "ODDS_API_KEY": DEFAULT_KEY,
        "ODDS_API_URL": base_url,
        "BALLDONTLIE_API_KEY": DEFAULT_KEY,
        "BALLDONTLIE_URL": base_url,
        "BALLDONTLIE_REQUESTS_PER_MINUTE": "100000",
    }
