"""The ledger: what it says of runs that work, fail, are killed, or meet each other."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from extract.records import ApiRequest, AuthenticationError, BadPayload, DeadLetter, UnreachableHost
from ops.clock import Clock
from ops.errors import SettingsError, TaskLockedError, TransformError, WarehouseError
from ops.ledger import LONG, Ledger, describe
from ops.pace import SharedPace
from ops.paths import ROOT
from ops.warehouse import Connection

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def ledger(warehouse: Connection) -> Iterator[Ledger]:
    with Ledger(warehouse, Clock(NOON)) as ledger:
        yield ledger


@pytest.fixture
def other(warehouse: Connection) -> Iterator[Ledger]:
    """The ledger of another runner."""
    with Ledger(warehouse, Clock(NOON)) as ledger:
        yield ledger


def _runs(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.query("select task, state, attempt, row_count, error_class from ops.task_runs order by queued_at")


def _request(**changes: Any) -> ApiRequest:
    request = ApiRequest(
        request_id=str(uuid.uuid4()), source="odds_api", endpoint="odds", url_path="/v4/sports/x/odds",
        params={"markets": "h2h"}, requested_at=datetime.now(UTC), captured_at=NOON, status=200, error_code=None,
        error_message=None, attempts=1, latency_ms=12.34, row_count=3, byte_count=99, credits_last=3, credits_used=3,
        credits_remaining=497,
    )  # fmt: skip
    return replace(request, **changes)


def _letter(**changes: Any) -> DeadLetter:
    return replace(
        DeadLetter("element", "odds_api", "odds", "odds/abc", "missing_id", "id is None", {"a": 1}), **changes
    )


# -- runs


def test_a_run_that_works_is_recorded_with_its_rows_and_times(ledger: Ledger, other: Ledger) -> None:
    with ledger.run("run_ingest") as run:
        assert _runs(other) == [("run_ingest", "running", 1, None, None)]
        run.row_count = 12
    assert _runs(other) == [("run_ingest", "succeeded", 1, 12, None)]
    [last] = ledger.last_runs()
    assert last.as_of == NOON
    assert last.queued_at <= (last.started_at or NOON) <= (last.finished_at or NOON)
    assert ledger.last_success("run_ingest") == NOON
    assert ledger.last_success("run_grading") is None


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (TransformError("model games: division by zero"), "failed"),
        (UnreachableHost("no answer"), "failed"),
        (ExceptionGroup("", [AuthenticationError("refused"), UnreachableHost("no answer")]), "failed"),
        (RuntimeError("anything"), "failed"),
        (KeyboardInterrupt(), "failed"),
        (AuthenticationError("the key is refused"), "dead"),
        (ExceptionGroup("", [AuthenticationError("the key is refused")]), "dead"),
        (SettingsError("ODDS_API_KEY is not set"), "dead"),
    ],
)
def test_a_run_that_fails_says_whether_the_same_again_can_help(
    ledger: Ledger, error: BaseException, state: str
) -> None:
    with pytest.raises(type(error)), ledger.run("run_ingest"):
        raise error
    assert _runs(ledger) == [("run_ingest", state, 1, None, type(error).__name__)]
    assert ledger.query("select error_message from ops.task_runs") == [(describe(error),)]


def test_attempts_are_counted_until_one_works(ledger: Ledger) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), ledger.run("run_ingest"):
            raise RuntimeError("no")
    for _ in range(2):
        with ledger.run("run_ingest"):
            pass
    assert [row[2] for row in _runs(ledger)] == [1, 2, 3, 1]


def test_a_second_runner_is_told_who_is_at_it_and_leaves_no_run(ledger: Ledger, other: Ledger) -> None:
    elsewhere = r"run_ingest is already running elsewhere \(.+, since "
    with ledger.run("run_ingest"):
        with pytest.raises(TaskLockedError, match=elsewhere), other.run("run_ingest"):
            pytest.fail("two runners at once")
        with other.run("run_grading"):
            pass
    assert [(row[0], row[1]) for row in _runs(ledger)] == [("run_ingest", "succeeded"), ("run_grading", "succeeded")]
    with other.run("run_ingest"):
        pass


def test_a_second_runner_that_waits_is_queued_and_then_runs(ledger: Ledger, other: Ledger) -> None:
    order = []

    def second() -> None:
        with other.run("run_ingest", wait_seconds=20):
            order.append("second")

    with ledger.run("run_ingest"):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 10
        while ("run_ingest", "queued") not in [(row[0], row[1]) for row in _runs(ledger)]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert [row[1] for row in _runs(ledger)] == ["succeeded", "succeeded"]


def test_waiting_ends(ledger: Ledger, other: Ledger) -> None:
    with ledger.run("run_ingest"), pytest.raises(TaskLockedError), other.run("run_ingest", wait_seconds=0.3):
        pytest.fail("two runners at once")
    assert [row[1] for row in _runs(ledger)] == ["succeeded"]


def test_a_killed_runner_leaves_a_run_that_the_next_one_marks_abandoned(ledger: Ledger, warehouse: Connection) -> None:
    program = (
        "import time; from ops.ledger import Ledger; from ops.warehouse import external; "
        "from ops.settings import load_settings; ledger = Ledger(external(load_settings())); "
        "run = ledger.run('run_ingest'); run.__enter__(); print('running', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, **warehouse.environment()}
    killed = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert killed.stdout is not None
    while line := killed.stdout.readline():
        if line.strip() == b"running":
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    with ledger.run("run_ingest", wait_seconds=10) as run:
        assert run.attempt == 2
    assert [(row[1], row[2]) for row in _runs(ledger)] == [("abandoned", 1), ("succeeded", 2)]


def test_a_run_under_way_elsewhere_is_not_taken_for_abandoned(ledger: Ledger, other: Ledger) -> None:
    """Recorded under one name with the lock of another, as a backfill is beside a cycle."""
    with ledger.run("backfill build", "one"), other.run("backfill build", "another"):
        assert [row[1] for row in _runs(ledger)] == ["running", "running"]


def test_what_failed_work_did_before_stays_on_record(ledger: Ledger, other: Ledger) -> None:
    def work() -> None:
        with ledger.run("run_ingest"):
            ledger.record_request(_request())
            ledger.dead_letter(_letter())
            raise RuntimeError("after all that")

    with pytest.raises(RuntimeError):
        work()
    assert other.query("select count(*) from ops.api_requests join ops.task_runs using (run_id)") == [(1,)]
    assert other.query("select count(*) from ops.dead_letters") == [(1,)]


def test_a_lost_connection_is_one_line(ledger: Ledger, other: Ledger) -> None:
    def work() -> None:
        with ledger.run("run_ingest"):
            other.query(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where pid <> pg_backend_pid() and datname = current_database()"
            )
            ledger.query("select 1")

    with pytest.raises(WarehouseError, match=r"the connection to PostgreSQL at .* was lost"):
        work()
    with other.run("run_ingest"):
        pass
    assert [row[1] for row in _runs(other)] == ["abandoned", "succeeded"]


def test_a_full_disk_is_not_told_as_a_lost_connection(ledger: Ledger) -> None:
    full = "errcode = '53100', message = 'could not extend file', hint = 'Check free disk space.'"
    with pytest.raises(WarehouseError, match="cannot do it: could not extend file; Check free disk space"):
        ledger.query(f"do $$ begin raise exception using {full}; end $$")
    assert ledger.query("select 1") == [(1,)]


def test_several_locks_are_all_or_none(ledger: Ledger, other: Ledger) -> None:
    with other.lock("b"):
        with pytest.raises(TaskLockedError), ledger.lock("c", "b", "a"):
            pytest.fail("b is taken")
        with other.lock("a", "c"):
            pass


@pytest.mark.parametrize("long", LONG)
def test_who_would_not_wait_waits_for_a_step_of_a_long_run_and_goes_before_the_next(
    ledger: Ledger, other: Ledger, long: str
) -> None:
    """Steps follow each other without a pause; a cycle that comes in the first is let in before the second."""
    order = []
    in_step = threading.Event()

    def cycle() -> None:
        in_step.wait()
        with other.lock("cycle"), other.lock("run_ingest"):
            order.append("cycle")
            time.sleep(0.5)

    thread = threading.Thread(target=cycle)
    thread.start()
    with ledger.lock(long):
        for step in range(3):
            with ledger.lock("cycle", "run_ingest", wait_seconds=20, gives_way=True):
                in_step.set()
                order.append(f"step {step}")
                time.sleep(0.5)
    thread.join()
    assert order == ["step 0", "cycle", "step 1", "step 2"]


def test_nobody_waits_for_the_end_of_a_backfill_or_for_what_is_no_step(ledger: Ledger, other: Ledger) -> None:
    began = time.monotonic()
    with ledger.lock("backfill"), pytest.raises(TaskLockedError), other.lock("backfill"):
        pytest.fail("two backfills at once")
    with ledger.lock("cycle"), pytest.raises(TaskLockedError), other.lock("cycle"):
        pytest.fail("two cycles at once")
    with ledger.lock("cycle"), pytest.raises(TaskLockedError), other.lock("cycle", wait_seconds=0.3, gives_way=True):
        pytest.fail("a backfill beside a cycle")
    assert time.monotonic() - began < 5


# -- requests


def test_a_pace_is_kept_by_all_runners_together(ledger: Ledger, other: Ledger) -> None:
    """Two requests in 10 s are allowed to the one, three to the other; who was asked 4 s ago leaves the window in 6."""
    ago = [timedelta(seconds=seconds) for seconds in (12, 4, 1)]
    for age in ago:
        other.record_request(_request(source="balldontlie", requested_at=datetime.now(UTC) - age))
    assert ledger.pause("balldontlie", 3, 10) == 0
    assert 5 < ledger.pause("balldontlie", 2, 10) <= 6
    assert 8 < ledger.pause("balldontlie", 1, 10) <= 9
    assert ledger.pause("odds_api", 1, 10) == 0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        ledger.query("update ops.api_requests set requested_at = requested_at - %s * interval '1 second'", (seconds,))

    SharedPace(ledger, "balldontlie", 2, 10, sleep=sleep).wait()
    assert 5 < sum(slept) <= 6


def test_a_request_is_kept_with_all_it_says(ledger: Ledger) -> None:
    request = _request(error_message="cut \x00 off", error_code="bad_payload", status=None, row_count=None)
    heard: list[ApiRequest] = []
    ledger.on_request = heard.append
    ledger.record_request(request)
    ledger.record_request(request)
    [row] = ledger.query(
        "select source, endpoint, params, status, error_message, latency_ms::float, credits_last from ops.api_requests"
    )
    assert row == ("odds_api", "odds", {"markets": "h2h"}, None, "cut \ufffd off", 12.3, 3)
    assert heard == [request, request]


def test_credits_are_counted_by_month_and_by_last_word(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    ledger.record_request(_request(requested_at=now - timedelta(days=40), credits_last=100, credits_remaining=400))
    ledger.record_request(_request(requested_at=now, credits_last=7, credits_remaining=393))
    ledger.record_request(_request(source="balldontlie", credits_last=None, credits_remaining=None))
    assert ledger.credits_since(now - timedelta(days=1)) == 7
    assert ledger.credits_spent == 107
    remaining = ledger.credits_remaining()
    assert remaining is not None
    assert remaining[0] == 393


# -- messages


def test_the_errors_of_a_group_are_told_once_each_and_not_without_end() -> None:
    errors = [UnreachableHost("a is down"), UnreachableHost("a is down"), BadPayload("cut\n off")]
    assert describe(ExceptionGroup("", errors)) == "a is down; cut off"
    many = [UnreachableHost(f"{letter} is down") for letter in "abcde"]
    assert describe(ExceptionGroup("", many)) == "a is down; b is down; c is down; and 2 more"


def test_only_tables_that_are_not_what_they_were_are_analyzed(ledger: Ledger, warehouse: Connection) -> None:
    """1,000 rows are new to an empty table, and 5 % of one with 20,000; one that is not logged is a model's own."""

    def grow(table: str, count: int, kind: str = "") -> None:
        # PostgreSQL counts what a session changed once a second, or when it is told to; its own looks are kept away.
        made = f"create {kind} table if not exists public.{table} (number integer) with (autovacuum_enabled = false)"
        with warehouse.session() as session, session.cursor() as cursor:
            cursor.execute(made)
            cursor.execute(f"insert into public.{table} select generate_series(1, {count})")
            cursor.execute("select pg_stat_force_next_flush()")

    grow("long", 20_000)
    ledger.analyze()
    grow("long", 1_000)
    grow("short", 1_000)
    grow("few", 499)
    grow("passing", 1_000, "unlogged")
    ledger.analyze()
    known = "select relname, reltuples from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    assert {name: int(rows) for name, rows in ledger.query(known) if name in ("long", "short", "few", "passing")} == {
        "long": 20_000,
        "short": 1_000,
        "few": -1,
        "passing": -1,
    }
