"""The runner's memory in the warehouse: task runs, requests, dead letters, locks.

A ledger has a session of its own that commits each statement, so that what it
says of failed work survives the failure. The same session holds the advisory
locks: they end with it, whatever ends it.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import psycopg2
import psycopg2.extras
import structlog

from extract.circuit import Outage
from extract.payloads import Response, pack
from extract.records import ApiRequest, DeadLetter, FatalError
from ops.clock import Clock
from ops.errors import BudgetError, SettingsError, TaskLockedError, WarehouseError
from ops.warehouse import Connection

# The first of the two keys of an advisory lock says what the second one names.
TASK_LOCK, RUN_LOCK, WAIT_LOCK = 47_001, 47_002, 47_003

AHEAD = "backfill ahead"
"""The lock of the thread of a backfill that builds while the backfill lands."""

LONG = ("backfill", AHEAD, "rebuild")
"""Runs that go on for longer than a cadence. They hold what a cycle needs for a short step at a time."""

LONGEST_STEP = 600.0
"""Seconds for which a runner that would not wait at all waits for a step of a long run: less than a cadence."""

POLL_SECONDS = 0.25

CHANGED_ROWS, CHANGED_SHARE = 500, 0.1
"""How much of a table must be other than when PostgreSQL last looked at it, before it is told to look again."""

logger = structlog.get_logger(__name__)


@dataclass
class TaskRun:
    """An attempt of a task that is under way.

    Attributes:
        row_count: what it will be recorded with.
        failed_requests: the dead letters of the requests that failed in it.
    """

    run_id: str
    task: str
    attempt: int
    row_count: int | None = None
    failed_requests: list[DeadLetter] = field(default_factory=list)


@dataclass(frozen=True)
class LastRun:
    """The latest attempt of a task."""

    task: str
    state: str
    attempt: int
    as_of: datetime | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    row_count: int | None
    error_class: str | None
    error_message: str | None


@dataclass
class Ledger:
    """Where runs, requests and dead letters are written down; implements `extract.records.Ledger`.

    Use it as a context manager: it holds a session. `on_request` is called with each finished request.
    """

    connection: Connection
    clock: Clock = field(default_factory=Clock)
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    on_request: Callable[[ApiRequest], None] | None = None

    def __post_init__(self) -> None:
        self._session = self.connection.connect()
        self._run: TaskRun | None = None
        self._own: list[str] = []
        self._kept: set[str] = set()
        self._spent = 0

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    # -- task runs

    @contextmanager
    def run(self, task: str, *locks: str, wait_seconds: float = 0) -> Iterator[TaskRun]:
        """Record an attempt of a task and hold its lock while it is under way.

        An error that the same run would meet again, such as a wrong key, leaves the run `dead`; any other
        leaves it `failed`. Runs whose runner was killed are marked `abandoned` on the way in.

        Args:
            locks: the tasks whose locks to hold, if not this one's.
            wait_seconds: how long to wait for another runner of the task.

        Raises:
            TaskLockedError: another runner still has it after that.
        """
        # Of two attempts at once, each has its own lock: held as long as its runner lives.
        run = TaskRun(str(uuid.uuid4()), task, self._next_attempt(task))
        self._execute("select pg_advisory_lock(%s, hashtext(%s))", (RUN_LOCK, run.run_id))
        self._own.append(run.run_id)
        try:
            if wait_seconds > 0:
                self._insert_run(run)
            try:
                with self.lock(*(locks or (task,)), wait_seconds=wait_seconds):
                    if wait_seconds == 0:
                        self._insert_run(run)
                    self.abandon_killed()
                    yield from self._under_way(run)
            except TaskLockedError:
                self._execute("delete from ops.task_runs where run_id = %s and state = 'queued'", (run.run_id,))
                raise
        finally:
            self._own.remove(run.run_id)
            if not self._session.closed:
                self._execute("select pg_advisory_unlock(%s, hashtext(%s))", (RUN_LOCK, run.run_id))

    def _under_way(self, run: TaskRun) -> Iterator[TaskRun]:
        self._execute(
            "update ops.task_runs set state = 'running', started_at = %s where run_id = %s",
            (datetime.now(UTC), run.run_id),
        )
        self._run = run
        log = logger.bind(task=run.task, run_id=run.run_id)
        log.info("task started", attempt=run.attempt)
        began = time.monotonic()
        try:
            with structlog.contextvars.bound_contextvars(task=run.task, run_id=run.run_id), _named(run):
                yield run
        except BaseException as error:
            state = "dead" if _is_fatal(error) else "failed"
            self._finish(run, state, error)
            log.error("task failed", seconds=round(time.monotonic() - began, 1), error=describe(error))
            raise
        self._finish(run, "succeeded")
        log.info("task succeeded", seconds=round(time.monotonic() - began, 1), rows=run.row_count)

    def _insert_run(self, run: TaskRun) -> None:
        self._execute(
            """
            insert into ops.task_runs
                (run_id, correlation_id, task, attempt, state, as_of, runner, queued_at)
            values (%s, %s, %s, %s, 'queued', %s, %s, %s)
            """,
            (
                run.run_id, self.correlation_id, run.task, run.attempt, self.clock.as_of,
                f"{socket.gethostname()}:{os.getpid()}", datetime.now(UTC),
            ),
        )  # fmt: skip

    def _next_attempt(self, task: str) -> int:
        """Return 1 after a success, else one more than the last attempt."""
        rows = self._execute(
            "select state, attempt from ops.task_runs where task = %s order by queued_at desc limit 1", (task,)
        )
        return 1 if not rows or rows[0][0] == "succeeded" else int(rows[0][1]) + 1

    def abandon_killed(self) -> None:
        """Mark the runs whose runner is gone, and end what they left behind in the server.

        A statement outlives its client until the server notices; with it end the locks it holds.
        """
        rows = self._execute(
            """
            update ops.task_runs
            set state = 'abandoned', finished_at = %s, error_message = 'its runner ended without a word'
            where finished_at is null and run_id <> all(%s::uuid[])
                and pg_try_advisory_xact_lock(%s, hashtext(run_id::text))
            returning run_id, task, runner
            """,
            (datetime.now(UTC), self._own, RUN_LOCK),
        )
        for run_id, task, runner in rows:
            logger.warning("found an abandoned run", task=task, abandoned_run_id=str(run_id), runner=runner)
        ended = self._execute(
            """
            with of_runs as materialized (
                select pid, usesysid, substr(application_name, %(prefix)s)::uuid as run_id
                from pg_stat_activity
                where datname = current_database() and application_name ~ '^linekeeper [0-9a-f-]{36}$'
            )
            select pg_terminate_backend(pid, 5000)
            from of_runs
            inner join ops.task_runs using (run_id)
            where task_runs.state = 'abandoned' and pg_has_role(of_runs.usesysid, 'member')
            """,
            {"prefix": len(_session_name("")) + 1},
        )
        if ended:
            logger.warning("ended what an abandoned run left behind in the server", sessions=len(ended))

    def _finish(self, run: TaskRun, state: str, error: BaseException | None = None) -> None:
        self._run = None
        try:
            self._execute(
                """
                update ops.task_runs
                set state = %s, finished_at = %s, row_count = %s, error_class = %s, error_message = %s
                where run_id = %s
                """,
                (
                    state, datetime.now(UTC), run.row_count, None if error is None else type(error).__name__,
                    None if error is None else describe(error), run.run_id,
                ),
            )  # fmt: skip
        except WarehouseError:
            # Of two errors the first is the news; the next runner marks the run abandoned.
            if error is None:
                raise

    def give_up(self, run: TaskRun) -> None:
        """Mark a failed attempt `dead`: it was the last of its cycle."""
        self._execute("update ops.task_runs set state = 'dead' where run_id = %s and state = 'failed'", (run.run_id,))
        logger.error("task given up", task=run.task, run_id=run.run_id, attempt=run.attempt)

    def last_runs(self) -> list[LastRun]:
        """Return the latest attempt of each task, by name."""
        rows = self._execute(
            """
            select distinct on (task)
                task, state, attempt, as_of, queued_at, started_at, finished_at,
                row_count, error_class, error_message
            from ops.task_runs
            order by task, queued_at desc
            """
        )
        return [LastRun(*row) for row in rows]

    def last_success(self, task: str) -> datetime | None:
        """Return when the last success of a task began, by the pipeline's clock; None if there is none."""
        rows = self._execute(
            "select max(coalesce(as_of, started_at)) from ops.task_runs where task = %s and state = 'succeeded'",
            (task,),
        )
        return _instant(rows[0][0])

    # -- locks

    @contextmanager
    def lock(self, *tasks: str, wait_seconds: float = 0, gives_way: bool = False) -> Iterator[None]:
        """Hold the locks of tasks, against runners on any machine.

        A lock that a long run holds for a step is waited for in any case.

        Args:
            gives_way: let everybody pass who waits for one of them.

        Raises:
            TaskLockedError: another runner holds one of them after `wait_seconds`.
        """
        held: list[str] = []
        deadline = time.monotonic() + wait_seconds
        try:
            # Always in the same order, so that two runners never wait for each other.
            for task in sorted(tasks):
                if gives_way or not self._try_lock(task):
                    self._wait_for(task, deadline, gives_way)
                held.append(task)
            yield
        finally:
            if not self._session.closed:
                for task in held:
                    self._execute("select pg_advisory_unlock(%s, hashtext(%s))", (TASK_LOCK, task))

    def _wait_for(self, task: str, deadline: float, gives_way: bool) -> None:
        """Take a lock as soon as it is free.

        Asking again and again instead of waiting in the database lets Ctrl-C through; that somebody waits is
        told by a lock too, so that a long run which holds one step after the other lets him in between.
        """
        longest = time.monotonic() + LONGEST_STEP
        if not gives_way:
            self._execute("select pg_advisory_lock_shared(%s, hashtext(%s))", (WAIT_LOCK, task))
        try:
            while (gives_way and self._is_waited_for(task)) or not self._try_lock(task):
                now, is_step = time.monotonic(), task not in LONG and self._is_held_for_a_step(task)
                if now >= (longest if is_step or is_step is None else deadline):
                    raise TaskLockedError(
                        f"{task} is already running elsewhere ({self._holder(task)}): wait for it to end"
                    )
                time.sleep(POLL_SECONDS)
        finally:
            if not gives_way and not self._session.closed:
                self._execute("select pg_advisory_unlock_shared(%s, hashtext(%s))", (WAIT_LOCK, task))

    def _is_waited_for(self, task: str) -> bool:
        return bool(self._holders(WAIT_LOCK, task))

    def _is_held_for_a_step(self, task: str) -> bool | None:
        """Whether a lock is held by a long run; None if nobody holds it any more."""
        holders = self._holders(TASK_LOCK, task)
        return holders <= self._holders(TASK_LOCK, *LONG) if holders else None

    def _holders(self, kind: int, *tasks: str) -> set[int]:
        """The server processes that hold one of some locks."""
        rows = self._execute(
            """
            select pid
            from pg_locks
            where
                locktype = 'advisory' and granted
                and database = (select oid from pg_database where datname = current_database())
                and classid = %s::oid
                and objid in (select (hashtext(task)::bigint & 4294967295)::oid from unnest(%s::text[]) as task)
            """,
            (kind, list(tasks)),
        )
        return {int(pid) for (pid,) in rows}

    def _try_lock(self, task: str) -> bool:
        return bool(self._execute("select pg_try_advisory_lock(%s, hashtext(%s))", (TASK_LOCK, task))[0][0])

    def _holder(self, task: str) -> str:
        rows = self._execute(
            "select runner, started_at from ops.task_runs where task = %s and state = 'running' "
            "order by started_at desc limit 1",
            (task,),
        )
        return f"{rows[0][0]}, since {rows[0][1]:%Y-%m-%d %H:%M:%S} UTC" if rows else "by a runner without a record"

    # -- requests

    def record_request(self, request: ApiRequest) -> None:
        """Keep one finished request under the run that is under way."""
        self._spent += request.credits_last or 0
        if self.on_request is not None:
            self.on_request(request)
        self._execute(
            """
            insert into ops.api_requests (
                request_id, run_id, source, endpoint, url_path, params, requested_at, captured_at, status,
                error_code, error_message, attempts, latency_ms, row_count, byte_count,
                credits_last, credits_used, credits_remaining
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (request_id) do nothing
            """,
            (
                request.request_id, self._run.run_id if self._run else None, request.source, request.endpoint,
                request.url_path, _json(request.params), request.requested_at, request.captured_at, request.status,
                request.error_code, _text(request.error_message), request.attempts, request.latency_ms,
                request.row_count, request.byte_count, request.credits_last, request.credits_used,
                request.credits_remaining,
            ),
        )  # fmt: skip

    def pause(self, source: str, calls: int, seconds: float) -> float:
        """Return for how long to wait before a source may be asked again, if it is asked so often by all runners."""
        now = datetime.now(UTC)
        rows = self._execute(
            """
            select requested_at
            from ops.api_requests
            where requested_at > %s and source = %s
            order by requested_at desc
            offset %s limit 1
            """,
            (now - timedelta(seconds=seconds), source, calls - 1),
        )
        return max(0.0, (rows[0][0] - now).total_seconds() + seconds) if rows else 0.0

    def outage(self, source: str) -> Outage | None:
        """Return the latest requests of a source in a row that no runner got an answer to, of the last day.

        No answer is silence, 429, 408, 5xx, or a 200 whose body is not what it says; None if the last was answered.
        """
        rows = self._execute(
            """
            with latest as (
                select
                    requested_at,
                    error_message,
                    error_code is not null
                    and (status is null or status >= 500 or status in (200, 408, 429)) as is_failure
                from ops.api_requests
                where source = %s and requested_at > now() - interval '1 day'
                order by requested_at desc
                limit 100
            )

            select
                count(*), min(requested_at), max(requested_at),
                (array_agg(error_message order by requested_at desc))[1]
            from latest
            where requested_at > coalesce((select max(requested_at) from latest where not is_failure), '-infinity')
            """,
            (source,),
        )
        failures, since, last_at, last_error = rows[0]
        return Outage(int(failures), since, last_at, str(last_error)) if failures else None

    def has_landed(self, request_id: str) -> bool:
        """Whether a response that was kept through this ledger is no longer there, and so is nobody's to land.

        If it is still there, the run that is under way lands it: to others it is that of a run which has not ended.
        """
        if request_id not in self._kept:
            return False
        waiting = self._execute(
            "update ops.unlanded_responses set run_id = %s where request_id = %s returning request_id",
            (self._run.run_id if self._run else None, request_id),
        )
        return not waiting

    def keep_response(self, source: str, response: Response) -> bool:
        """Keep a response until the load that lands it takes it out. One that was kept before is not kept anew."""
        if response.request_id in self._kept:
            return True
        kept = self._execute(
            """
            insert into ops.unlanded_responses (request_id, run_id, source, response, received_at)
            values (%s, %s, %s, %s, %s)
            on conflict (request_id) do nothing
            returning request_id
            """,
            (
                response.request_id, self._run.run_id if self._run else None, source,
                psycopg2.Binary(pack(response)), datetime.now(UTC),
            ),
        )  # fmt: skip
        self._kept.update(request_id for (request_id,) in kept)
        return bool(kept)

    @property
    def credits_spent(self) -> int:
        """Credits of The Odds API spent through this ledger."""
        return self._spent

    def credits_since(self, instant: datetime, *, of_the_past: bool = True) -> int:
        """Return the credits of The Odds API spent since an instant, those for odds of the past counted or not."""
        rows = self._execute(
            "select coalesce(sum(credits_last), 0) from ops.api_requests "
            "where source = 'odds_api' and requested_at >= %s and (%s or not starts_with(endpoint, 'historical'))",
            (instant, of_the_past),
        )
        return int(rows[0][0])

    def credits_remaining(self) -> tuple[int, datetime] | None:
        """Return the credits left as The Odds API last told, and when it did."""
        rows = self._execute(
            "select credits_remaining, requested_at from ops.api_requests "
            "where source = 'odds_api' and credits_remaining is not null order by requested_at desc limit 1"
        )
        return (int(rows[0][0]), rows[0][1]) if rows else None

    # -- dead letters

    def dead_letter(self, letter: DeadLetter) -> None:
        """Keep a dead letter. The same one again counts as an attempt and opens it anew, unless it was discarded."""
        now = self.clock.now()
        if self._run is not None and letter.kind == "request":
            self._run.failed_requests.append(letter)
        self._execute(
            """
            insert into ops.dead_letters as kept (
                dead_letter_id, kind, source, endpoint, natural_key, reason, detail, payload, raw_body, replay,
                first_seen_at, last_seen_at
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (kind, source, natural_key, reason) do update set
                endpoint = excluded.endpoint,
                detail = excluded.detail,
                payload = excluded.payload,
                raw_body = excluded.raw_body,
                replay = excluded.replay,
                attempts = kept.attempts + 1,
                first_seen_at = least(kept.first_seen_at, excluded.first_seen_at),
                last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at),
                state = case when kept.state = 'discarded' then 'discarded' else 'open' end,
                closed_at = case when kept.state = 'discarded' then kept.closed_at end,
                closed_reason = case when kept.state = 'discarded' then kept.closed_reason end
            """,
            (
                str(uuid.uuid4()), letter.kind, letter.source, letter.endpoint, _text(letter.natural_key),
                letter.reason, _text(letter.detail), _json(letter.payload),
                None if letter.raw_body is None else psycopg2.Binary(letter.raw_body), _json(letter.replay), now, now,
            ),
        )  # fmt: skip
        logger.warning(
            "dead letter",
            kind=letter.kind, source=letter.source, natural_key=letter.natural_key, reason=letter.reason,
        )  # fmt: skip

    # -- the database

    def query(self, statement: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows, none if it has none."""
        return self._execute(statement, parameters)

    def analyze(self) -> None:
        """Have PostgreSQL look at the tables that are not what it remembers, so that it plans for what they hold.

        It does so by itself, but only minutes after rows came. A statement planned for the empty table that it
        remembers took 536 s on a week of odds, and 4 s afterwards. A long table that grew by a little is left alone,
        and so is an unlogged one: a model fills and empties it, and has it looked at itself when it has grown.
        """
        began = time.monotonic()
        changed = self._execute(
            """
            select format('%%I.%%I', schemaname, pg_stat_user_tables.relname)
            from pg_stat_user_tables
            inner join pg_class on relid = oid
            where
                relpersistence <> 'u'
                and n_mod_since_analyze >= %s
                and n_mod_since_analyze > n_live_tup * %s::float8
            order by 1
            """,
            (CHANGED_ROWS, CHANGED_SHARE),
        )
        if changed:
            # Only who owns a table may have it looked at, and the tables belong to three roles.
            with self.connection.owner.session() as session, session.cursor() as cursor:
                for (table,) in changed:
                    cursor.execute(f"analyze {table}")
        logger.debug("analyzed", tables=len(changed), seconds=round(time.monotonic() - began, 1))

    def exists(self, relation: str) -> bool:
        """Whether a table or view such as `marts.games` is there."""
        return bool(self._execute("select to_regclass(%s) is not null", (relation,))[0][0])

    def _execute(self, statement: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._session.cursor() as cursor:
                cursor.execute(statement, parameters or None)
                return cursor.fetchall() if cursor.description else []
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            where = f"PostgreSQL at {self.connection.host}:{self.connection.port}"
            if self._session.closed:
                problem = f"the connection to {where} was lost: {reason}; {self.connection.remedy}"
            else:
                # Such as a full disk: the server is there, and says what it lacks.
                problem = f"{where} cannot do it: {reason}; {error.diag.message_hint or self.connection.remedy}"
            raise WarehouseError(problem) from None


def _session_name(run_id: str) -> str:
    """How the sessions of a run are called in pg_stat_activity."""
    return f"linekeeper {run_id}"


@contextmanager
def _named(run: TaskRun) -> Iterator[None]:
    """Have libpq name the sessions that dlt and dbt open by the run, so that the next runner knows whose they are."""
    before = os.environ.get("PGAPPNAME")
    os.environ["PGAPPNAME"] = _session_name(run.run_id)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PGAPPNAME"]
        else:
            os.environ["PGAPPNAME"] = before


def describe(error: BaseException) -> str:
    """Return an error as one line; of a group, the first three different ones and how many more there are."""
    if isinstance(error, BaseExceptionGroup):
        messages = list(dict.fromkeys(describe(leaf) for leaf in leaves(error)))
        more = f"; and {len(messages) - 3} more" if len(messages) > 3 else ""
        return "; ".join(messages[:3]) + more
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = " ".join(str(error).split())
    return (text or type(error).__name__).replace("\x00", "")[:2000]


def leaves(error: BaseException) -> Iterable[BaseException]:
    """Yield the single errors of a group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def _is_fatal(error: BaseException) -> bool:
    return all(isinstance(leaf, (FatalError, SettingsError, BudgetError)) for leaf in leaves(error))


def _text(text: str | None) -> str | None:
    """Return text that PostgreSQL can keep: it has no NUL and no half of a surrogate pair."""
    return None if text is None else text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _json(value: object) -> object:
    return None if value is None else psycopg2.extras.Json(_storable(value), dumps=_dumps)


def _storable(value: object) -> object:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    return value


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _instant(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
