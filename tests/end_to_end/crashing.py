"""Cycles that are killed, as processes of their own, and what a warehouse holds afterwards."""

import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from psycopg2 import sql

import orchestrate
from ops.warehouse import Connection, drop_database
from orchestrate import BY_NAME
from tests.end_to_end.arrivals import Content, content_of

OF_THE_RUN = ["request_id", "load_id"]
"""Columns whose values are drawn anew by each run, in whatever table."""

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["orchestrate", "extract.landing", "dbt.cli.main", "dbt.adapters.postgres", __name__])
"""A command is forked from a process that has imported everything: it begins at once, and is killed like any other."""

NO_TASK = "no task"
"""What a command is at before its first task and between two."""

PHASES = ("asking", "landing", "building", "testing", "in Python")
"""What a task is at: a request or its answer; the transaction of a load; a model; a data test; none of these."""

TRIES = 8
"""How often a kill is dealt at most: its moment was measured, and a command may be over sooner than when it was."""

UNDER_WAY = """
    select
        (select task from ops.task_runs where state = 'running'),
        array_agg(substring(query from '"node_id": "([^"]+)"')),
        count(*)
    from pg_stat_activity
    where datname = current_database() and application_name ~ '^linekeeper .' and state <> 'idle'
"""


@dataclass(frozen=True)
class Cell:
    """A phase of a task: what kills are dealt to."""

    task: str
    phase: str


@dataclass(frozen=True)
class Moment:
    """What a command was at when it was looked at.

    Attributes:
        nodes: models and tests of dbt that were under way in the server.
    """

    cell: Cell
    nodes: tuple[str, ...] = ()

    def __str__(self) -> str:
        nodes = " and ".join(self.nodes)
        return f"{self.cell.task}, {self.cell.phase}{nodes and ' '}{nodes}"


@dataclass(frozen=True)
class Aim:
    """A kill that is planned: in which cycle, in which phase of a task, and at which of the times it is seen there."""

    cycle: int
    cell: Cell
    sight: int

    def __str__(self) -> str:
        return f"cycle {self.cycle + 1}, {self.cell.task}, {self.cell.phase}, seen {self.sight} times"

    def earlier(self) -> "Aim":
        """The same phase, seen half as often."""
        return replace(self, sight=(self.sight + 1) // 2)


class Command:
    """A command of orchestrate.py in a process of its own.

    Attributes:
        log: the lines it wrote to standard error.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        reader, writer = FORKING.Pipe(duplex=False)
        self.log: list[bytes] = []
        self._steps: dict[str, int] = {}
        # Its log is verbose: that is how it tells that all has landed.
        self._process = FORKING.Process(target=_run, args=(("-v", *arguments), dict(environment), writer), daemon=True)
        self._process.start()
        writer.close()
        self._listening = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        self._listening.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return b"".join(self.log).decode()[-3000:]

    def has_landed(self, task: str) -> bool:
        """Whether a task of it has landed all that it asked, and begun to build."""
        return self._steps.get(task, 0) > 0

    def has_ended(self, timeout: float) -> bool:
        """Wait for its end, for so many seconds at most; returns whether it came."""
        self._process.join(timeout)
        return not self.is_alive

    def end(self, timeout: float) -> int:
        """Wait for its end; returns its exit code, negative where a signal ended it."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"still running after {timeout} s"
        self._listening.join(10)
        return self._process.exitcode

    def kill(self) -> None:
        """End it, if it runs."""
        self._process.kill()
        self._process.join()

    def _listen(self, reader: Pipe) -> None:
        task = ""
        with reader, os.fdopen(os.dup(reader.fileno()), "rb") as lines:
            for line in lines:
                self.log.append(line)
                said = json.loads(line) if line.startswith(b"{") else {}
                event = said.get("event")
                if event == "task started":
                    task = said["task"]
                elif event == "analyzed":
                    self._steps[task] = self._steps.get(task, 0) + 1


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: Pipe) -> None:
    """What a command's process does."""
    os.environ.clear()
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(log.fileno(), 2)
    log.close()
    sys.argv = ["orchestrate.py", *arguments]
    sys.exit(orchestrate.main())


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
    def begin(self, *arguments: str, **settings: str) -> Iterator[Command]:
        """A command of orchestrate.py as a process, which does not outlive the block."""
        environment = {
            **os.environ, **self.connection.environment(), "DBT_TARGET_PATH": str(self.target),
            "LINEKEEPER_LOG_FORMAT": "json", **self.settings, **settings,
        }  # fmt: skip
        command = Command(arguments, {name: value for name, value in environment.items() if value})
        try:
            yield command
        finally:
            command.kill()

    def succeed(self, *arguments: str, **settings: str) -> float:
        """Run a command to its end, and return its seconds."""
        began = time.monotonic()
        with self.begin(*arguments, **settings) as command:
            self._must_succeed(command)
        return time.monotonic() - began

    def sights(self, *arguments: str, **settings: str) -> tuple[Counter[Cell], float]:
        """Run a command to its end; returns how often it was seen in each phase of each task, and its seconds."""
        began = time.monotonic()
        with self.begin(*arguments, **settings) as command:
            seen = Counter(moment.cell for moment in self._watch(command))
            self._must_succeed(command)
        return seen, time.monotonic() - began

    def kill(self, aim: Aim, pid: int | None, *arguments: str, **settings: str) -> Moment | None:
        """Run a command, kill a process at the moment that is aimed at, and wait for the command's end.

        Args:
            pid: whom to kill; the command itself if None.

        Returns:
            What was under way; None if the command succeeded, because that moment or the kill came too late.
        """
        left = aim.sight
        with self.begin(*arguments, **settings) as command:
            for moment in self._watch(command):
                left -= moment.cell == aim.cell
                if left == 0:
                    return moment if self._kill(command, pid) else None
            self._must_succeed(command)
            return None

    def kill_after(self, seconds: float, *arguments: str, **settings: str) -> Moment | None:
        """Run a command and kill it a time after its begin; returns what it was at, None if it succeeded before."""
        deadline = time.monotonic() + seconds
        with self.begin(*arguments, **settings) as command:
            for moment in self._watch(command):
                if time.monotonic() >= deadline:
                    return moment if self._kill(command, None) else None
            self._must_succeed(command)
            return None

    @staticmethod
    def _kill(command: Command, pid: int | None) -> bool:
        """Kill a command, or the process that it needs; returns whether it ended by that, not with success before."""
        if pid is None:
            command.kill()
        else:
            os.kill(pid, signal.SIGKILL)
        code = command.end(120)
        assert pid or code in (0, -signal.SIGKILL), command.last_words
        return code != 0

    def _watch(self, command: Command) -> Iterator[Moment]:
        """What a command is at, looked at every few milliseconds until it ends."""
        with self.connection.session() as watching, watching.cursor() as cursor:
            while command.is_alive:
                cursor.execute(UNDER_WAY)
                row = cursor.fetchone()
                assert row is not None
                task, nodes, sessions = row
                nodes = sorted(node for node in nodes or [] if node)
                yield Moment(_cell(command, task, nodes, sessions), tuple(nodes))
                time.sleep(0.002)

    @staticmethod
    def _must_succeed(command: Command) -> None:
        code = command.end(300)
        assert code == 0, command.last_words

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


def _cell(command: Command, task: str | None, nodes: Sequence[str], sessions: int) -> Cell:
    if task is None:
        return Cell(NO_TASK, "in Python")
    asks = task in BY_NAME and BY_NAME[task].extract is not None
    if not command.has_landed(task) and (asks or sessions):
        return Cell(task, "landing" if sessions else "asking")
    kinds = {node.split(".")[0] for node in nodes}
    return Cell(task, "building" if kinds & {"model", "seed"} else "testing" if "test" in kinds else "in Python")


def aims(sights: Sequence[Counter[Cell]], tasks: Sequence[str], count: int, seed: int) -> list[Aim]:
    """Deal kills out: to one task after the other, and of each to its phases in the cycles, at random moments of these.

    Every phase of every task has had one before any has two. With as many kills as tasks each task has one.

    Args:
        sights: by cycle, how often each phase of each task was seen where nothing was disturbed.
    """
    draw = random.Random(seed)
    dealt: list[Aim] = []
    while len(dealt) < count:
        piles = []
        for task in (*tasks, NO_TASK):
            pile = [
                Aim(cycle, cell, draw.randint(1, times))
                for cycle, seen in enumerate(sights)
                for cell, times in sorted(seen.items(), key=lambda one: PHASES.index(one[0].phase))
                if cell.task == task
            ]
            draw.shuffle(pile)
            piles.append(pile)
        dealt += [aim for layer in zip_longest(*piles) for aim in layer if aim is not None]
    return dealt[:count]


def hit(aim: Aim, strike: Callable[[Aim], Sequence[Moment]]) -> Sequence[Moment]:
    """Strike until every kill has fallen, each time earlier than what was missed.

    Args:
        strike: begins from the state before, and kills; returns what was under way at each kill, nothing where one
            came too late.

    Raises:
        AssertionError: all of the tries missed; says which they were.
    """
    tried: list[Aim] = []
    while len(tried) < TRIES:
        if moments := strike(aim):
            return moments
        tried.append(aim)
        aim = aim.earlier()
    raise AssertionError(
        f"each of {TRIES} kills came too late: {'; '.join(map(str, tried))}. "
        "Run it again where the machine is as busy at its end as at its begin"
    )


def table(counts: Counter[Cell], tasks: Sequence[str]) -> str:
    """Numbers by task and phase, to be printed."""
    rows = [f"{'':18}" + "".join(f"{phase:>10}" for phase in PHASES)]
    for task in (*tasks, *sorted({cell.task for cell in counts} - {*tasks})):
        rows.append(f"{task:18}" + "".join(f"{counts[Cell(task, phase)]:>10}" for phase in PHASES))
    return "\n".join(rows) + "\n"
