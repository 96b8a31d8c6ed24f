"""Cycles that are killed, as processes of their own, and what a warehouse holds afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg2 import sql

from ops.paths import ROOT
from ops.warehouse import Connection, drop_database
from tests.end_to_end.arrivals import Content, content_of

OF_THE_RUN = ["request_id", "load_id"]
"""Columns whose values are drawn anew by each run, in whatever table."""

UNDER_WAY = """
    select
        (select string_agg(task, ' ') from ops.task_runs where state = 'running'),
        string_agg(coalesce(substring(query from '"node_id": "([^"]+)"'), left(query, 30)), ' and '
            order by query) filter (where state <> 'idle')
    from pg_stat_activity
    where datname = current_database() and application_name ~ '^linekeeper .'
"""


@dataclass
class Ground:
    """A database, always of the same name, in which cycles run and are killed; it is made anew from a template.

    Args:
        connection: the database.
        settings: variables that commands see beside it.
        target: where dbt works.
    """

    connection: Connection
    settings: dict[str, str]
    target: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def restore(self, template: str) -> None:
        """Make the database anew as a copy of another."""
        drop_database(self.connection)
        self._copy(template, self.connection.database)

    def keep(self, template: str) -> None:
        """Keep the database as it is as a template."""
        self._copy(self.connection.database, template)

    def _copy(self, source: str, copy: str) -> None:
        with self.connection.in_database("postgres").session() as session, session.cursor() as cursor:
            cursor.execute(
                sql.SQL("create database {} template {}").format(sql.Identifier(copy), sql.Identifier(source))
            )
            # A crash before the next checkpoint would set the copy's sequences back to where they were copied.
            cursor.execute("checkpoint")

    @contextmanager
    def begin(self, *arguments: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A command of orchestrate.py as a process, which does not outlive the block."""
        environment = {
            **os.environ, **self.connection.environment(), "DBT_TARGET_PATH": str(self.target),
            "LINEKEEPER_LOG_FORMAT": "json", **self.settings, **settings,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "orchestrate.py", *arguments], cwd=ROOT,
            env={name: value for name, value in environment.items() if value},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()

    def succeed(self, *arguments: str, **settings: str) -> float:
        """Run a command to its end; returns the seconds from its first task on."""
        with self.begin(*arguments, **settings) as process:
            began = self.started(process)
            _, log = process.communicate(timeout=300)
            assert process.returncode == 0, log.decode()[-3000:]
            return time.monotonic() - began

    def started(self, process: "subprocess.Popen[bytes]") -> float:
        """Wait for the first task of a command, or its end if nothing is due; returns when that was."""
        assert process.stderr is not None
        for line in process.stderr:
            if b'"task started"' in line:
                break
        return time.monotonic()

    def kill_at(self, seconds: float, pid: int | None, *arguments: str, **settings: str) -> str:
        """Run a command, kill a process at a time after its first task began, and wait for its end.

        Args:
            pid: whom to kill; the command itself if None.

        Returns:
            What was under way: the task and what its sessions in the server did.
        """
        with self.begin(*arguments, **settings) as process:
            began = self.started(process)
            with self.connection.session() as watching, watching.cursor() as cursor:
                time.sleep(max(0.0, began + seconds - time.monotonic()))
                cursor.execute(UNDER_WAY)
                row = cursor.fetchone()
                os.kill(pid or process.pid, signal.SIGKILL)
            process.communicate(timeout=120)
        assert row is not None
        task, doing = row
        return f"{task or 'between tasks'}: {doing or 'asking, or in Python'}"

    def content(self) -> Content:
        """What each table of marts and intermediate models holds, the marts about the runs left out."""
        return content_of(self.connection, without=OF_THE_RUN)

    def assert_nothing_half(self) -> None:
        """No response without its landing, no row without its load, no run under way, no load landed twice."""
        with self.connection.session() as session, session.cursor() as cursor:
            cursor.execute(
                """
                select
                    (select count(*) from ops.unlanded_responses),
                    (select count(*) from ops.task_runs where finished_at is null),
                    (
                        select count(*)
                        from ops.api_requests
                        full join (
                            select request_id::uuid, count(*) as times
                            from (
                                select request_id from staging_odds_api.responses
                                union all
                                select request_id from staging_balldontlie.responses
                            ) as responses
                            group by request_id
                        ) as landed using (request_id)
                        where times > 1
                    )
                """
            )
            assert cursor.fetchone() == (0, 0, 0)
