"""What a run leaves behind that ends at a moment of our choosing, and that the next run puts right."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg2
import pytest

from extract.extraction import Problems, extraction
from extract.landing import land
from extract.payloads import Response
from extract.records import LandingError
from ops.clock import Clock
from ops.ledger import Ledger
from ops.paths import ROOT
from ops.recovery import MOST_ATTEMPTS, recover
from ops.settings import load_settings
from ops.tasks import Pipeline
from ops.transform import Project
from ops.warehouse import Connection

NOON = datetime(2024, 1, 17, 12, tzinfo=UTC)
EVENT = {"id": "a" * 32, "sport_key": "basketball_nba", "commence_time": "2024-01-18T00:10:00Z"}

KILLED = {
    "while asking": "extract.payloads.orjson.dumps",
    "before the first table is copied": "extract.destination._Client._copy",
    "before the load is said to be complete": "dlt.destinations.impl.postgres.postgres.PostgresClient.complete_load",
    "before the transaction commits": "extract.destination._Session.commit_transaction",
}
"""Where a runner is killed: on entry of which function."""

LAND = """
import os, signal, sys
from unittest.mock import patch
from extract.extraction import Problems, extraction
from extract.landing import land
from ops.ledger import Ledger
from ops.settings import load_settings
from ops.warehouse import external
from tests.end_to_end.test_left_behind import responses
connection = external(load_settings())
with Ledger(connection) as ledger, ledger.run("run_ingest"):
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)
    one, two = responses()
    def arriving():
        yield one
        if sys.argv[1] == "extract.payloads.orjson.dumps":
            die()
        yield two
    with patch(sys.argv[1], die) if "orjson" not in sys.argv[1] else patch("os.environ", os.environ):
        land(connection.url, extraction("odds_api", {"odds": arriving()}, Problems(), ledger))
"""


def responses() -> tuple[Response, Response]:
    first = Response("11111111-1111-4111-8111-111111111111", "odds", NOON, {"markets": "h2h"}, [EVENT], "hash")
    second = Response("22222222-2222-4222-8222-222222222222", "odds", NOON, {}, [EVENT, {"no": "\udce9"}], "hash")
    return first, second


@pytest.fixture
def pipeline(warehouse: Connection) -> Iterator[Pipeline]:
    with Ledger(warehouse, Clock(NOON)) as ledger:
        yield Pipeline(load_settings(), warehouse, Clock(NOON), ledger, Project())


def _landed(pipeline: Pipeline) -> list[str]:
    rows = pipeline.ledger.query("select request_id from staging_odds_api.responses order by 1")
    return [str(row[0]) for row in rows]


@pytest.mark.parametrize("where", KILLED)
def test_what_was_captured_lands_once_wherever_its_runner_was_killed(
    pipeline: Pipeline, warehouse: Connection, where: str
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", LAND, KILLED[where]], cwd=ROOT, env={**os.environ, **warehouse.environment()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    for table in ("responses", "odds", "_dlt_loads"):
        assert pipeline.ledger.query(f"select count(*) from staging_odds_api.{table}") == [(0,)]

    captured = [response.request_id for response in responses()[: 1 if where == "while asking" else 2]]
    _abandon(pipeline)
    for _ in range(2):
        recover(pipeline)
        assert _landed(pipeline) == captured
    assert pipeline.ledger.query(
        "select count(*), count(distinct load_id) from staging_odds_api.odds "
        "join staging_odds_api._dlt_loads on load_id = _dlt_load_id"
    ) == [(len(captured), 1)]
    assert pipeline.ledger.query("select count(*) from ops.unlanded_responses") == [(0,)]
    states = "select task, state from ops.task_runs order by queued_at"
    assert pipeline.ledger.query(states) == [("run_ingest", "abandoned"), ("recover", "succeeded")]


def _abandon(pipeline: Pipeline) -> None:
    """Mark the killed run, as soon as the server has noticed that its sessions are gone."""
    deadline = time.monotonic() + 20
    while pipeline.ledger.query("select 1 from ops.task_runs where finished_at is null"):
        assert time.monotonic() < deadline
        pipeline.ledger.abandon_killed()
        time.sleep(0.05)


def _land(pipeline: Pipeline) -> None:
    land(
        pipeline.connection.url,
        extraction("odds_api", {"odds": iter(responses())}, Problems(), pipeline.ledger),
    )


def test_what_was_captured_with_a_full_disk_lands_when_there_is_room(pipeline: Pipeline) -> None:
    """A limit on the size of files stands for the disk: writing dlt's working files fails, as it would there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = replace(responses()[0], elements=[{**EVENT, "name": "x" * 2_000_000}])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(LandingError, match="File too large"), pipeline.ledger.run("one"):
            land(
                pipeline.connection.url,
                extraction("odds_api", {"odds": iter([large])}, Problems(), pipeline.ledger),
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _landed(pipeline) == []
    recover(pipeline)
    assert _landed(pipeline) == [large.request_id]


def test_a_response_that_cannot_land_is_a_dead_letter_in_the_end_and_holds_up_no_other(pipeline: Pipeline) -> None:
    first, second = responses()
    refuse = f"alter table staging_odds_api.responses add constraint refused check (request_id <> '{first.request_id}')"
    pipeline.ledger.query(refuse)
    with pytest.raises(LandingError), pipeline.ledger.run("one"):
        _land(pipeline)
    for _ in range(MOST_ATTEMPTS):
        recover(pipeline)
    assert _landed(pipeline) == [second.request_id]
    assert pipeline.ledger.query("select natural_key, reason, state from ops.dead_letters where kind = 'request'") == [
        (f"response/{first.request_id}", "landing_failed", "open")
    ]
    assert pipeline.ledger.query("select count(*) from ops.unlanded_responses") == [(0,)]


def test_a_run_that_was_taken_for_killed_lands_nothing_twice(pipeline: Pipeline) -> None:
    """Its session ended, so that another runner landed what it had captured; then it goes on."""
    one = extraction("odds_api", {"odds": iter(responses())}, Problems(), pipeline.ledger)
    with pipeline.ledger.run("one"):
        rows = pipeline.ledger
        for response in responses():
            assert rows.keep_response("odds_api", response)
        one.kept.extend(response.request_id for response in responses())
        pipeline.ledger.query("delete from ops.unlanded_responses")
        with pytest.raises(LandingError, match="landed by another run"):
            land(pipeline.connection.url, one)
    assert _landed(pipeline) == []


def test_a_statement_that_a_killed_runner_left_ends_with_it(pipeline: Pipeline, warehouse: Connection) -> None:
    """It holds a lock that the next run needs; left alone it would hold it for a minute."""
    pipeline.ledger.query("create table public.needed (number integer)")
    with Ledger(warehouse) as other:
        run = other.run("run_snapshot")
        run_id = run.__enter__().run_id
        name = os.environ["PGAPPNAME"]
        assert name == f"linekeeper {run_id}"
        working = psycopg2.connect(warehouse.url)

        def work() -> None:
            with pytest.raises(psycopg2.Error), working.cursor() as cursor:
                cursor.execute("lock table public.needed; select pg_sleep(60)")

        thread = threading.Thread(target=work)
        thread.start()
        # Its session is gone, as with a machine that is gone; the server has not noticed the other one yet.
        other._session.close()
    began = time.monotonic()
    with pipeline.ledger.run("run_ingest"):
        pipeline.ledger.query("drop table public.needed")
    thread.join()
    assert time.monotonic() - began < 10
    assert pipeline.ledger.query("select task, state from ops.task_runs order by queued_at") == [
        ("run_snapshot", "abandoned"),
        ("run_ingest", "succeeded"),
    ]


@pytest.mark.parametrize(
    ("state", "then"),
    [
        ("succeeded", "running"),
        ("succeeded", "failed"),
        ("abandoned", "running"),
        ("failed", "succeeded"),
        ("running", "queued"),
        ("queued", "succeeded"),
    ],
)
def test_a_run_goes_no_way_back(pipeline: Pipeline, state: str, then: str) -> None:
    ledger, now = pipeline.ledger, datetime.now(UTC)
    ledger.query(
        "insert into ops.task_runs (run_id, correlation_id, task, state, runner, queued_at) "
        "values (gen_random_uuid(), gen_random_uuid(), 'one', 'queued', 'here', %s)",
        (now,),
    )
    change = "update ops.task_runs set state = %s, started_at = %s, finished_at = %s, error_message = 'why'"
    ended = None if then in ("queued", "running") else now
    path = {"queued": [], "running": ["running"], "abandoned": ["abandoned"]}.get(state, ["running", state])
    for step in path:
        ledger.query(change, (step, now, None if step == "running" else now))
    with pytest.raises(psycopg2.errors.CheckViolation, match=f"is {state}: it cannot become {then}"):
        ledger.query(change, (then, None if then == "queued" else now, ended))
