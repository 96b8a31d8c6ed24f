"""A session of dlt or dbt that the server ends in the middle of its work: the task is attempted again, nothing is lost.

As where an operator ends it, or a proxy between the two loses it. The work is held up by a lock until then, so that it
is lost in the middle and not before or after.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from tenacity import RetryCallState

from ops.warehouse import Connection
from simulator import League, LeagueSettings, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.arrivals import Content, content_of, differences
from tests.end_to_end.crashing import OF_THE_RUN
from tests.end_to_end.warehouses import Done, Warehouse, simulated, warehouse

AT = datetime(2026, 11, 10, 18, tzinfo=UTC)
LEAGUE = LeagueSettings(first_day=date(2026, 11, 9), days=3, games_per_day=4, seed=4)
CYCLE = ("run_ingest", "run_snapshot", "--as-of", AT.isoformat())


@pytest.fixture(scope="module")
def league() -> Iterator[Simulator]:
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(AT))) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def undisturbed(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Content:
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        made.succeed(*CYCLE)
        return content_of(made.connection, without=OF_THE_RUN)


@pytest.fixture
def made(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Warehouse]:
    with warehouse(server, targets, deployed, LINEKEEPER_TASK_ATTEMPTS="2", **simulated(league.base_url)) as made:
        yield made


@contextmanager
def losing(made: Warehouse, table: str) -> Iterator[list[str]]:
    """End the first session of a run that wants to write to a table; yields what it was at."""
    ended: list[str] = []
    over = threading.Event()

    def lose() -> None:
        with made.connection.session() as holding, holding.cursor() as holder, made.connection.session() as watching:
            holder.execute("begin")
            holder.execute(f"lock table {table} in share mode")
            while not (ended or over.wait(0.02)):
                # In a session of its own: within a transaction pg_stat_activity stays as it was at first.
                with watching.cursor() as cursor:
                    cursor.execute(
                        "select query, pg_terminate_backend(pid, 5000) from pg_stat_activity "
                        "where datname = current_database() and application_name ~ '^linekeeper .' "
                        "and %s = any(pg_blocking_pids(pid)) limit 1",
                        [holding.info.backend_pid],
                    )
                    ended.extend(query for query, _ in cursor.fetchall())

    losing = threading.Thread(target=lose)
    losing.start()
    try:
        yield ended
    finally:
        over.set()
        losing.join()


def _cycle_that_loses(made: Warehouse, table: str) -> tuple[Done, str]:
    with patch("ops.tasks.FIRST_TASK_WAIT", 0.1), losing(made, table) as ended:
        done = made.run(*CYCLE)
    [doing] = ended
    return done, doing


def _runs(made: Warehouse, task: str) -> list[tuple[str, str | None]]:
    return made.rows("select state, error_class from ops.task_runs where task = %s order by queued_at", [task])


@pytest.mark.parametrize(("task", "table"), [("run_ingest", "marts.markets"), ("run_snapshot", "marts.odds_snapshots")])
def test_a_model_whose_session_is_ended_is_built_by_the_next_attempt(
    made: Warehouse, undisturbed: Content, task: str, table: str
) -> None:
    """Nothing is asked again: what the first attempt asked has landed."""
    done, doing = _cycle_that_loses(made, table)
    assert done.code == 0, done.log
    assert f'"node_id": "model.linekeeper.{table.partition(".")[2]}"' in doing
    assert _runs(made, task) == [("failed", "TransformInterrupted"), ("succeeded", None)]
    assert made.rows("select distinct count(*) from ops.api_requests group by endpoint") == [(1,)]
    assert differences(content_of(made.connection, without=OF_THE_RUN), undisturbed) == []


@pytest.mark.parametrize("table", ["staging_odds_api.odds", "staging_balldontlie.games"])
def test_what_was_answered_before_a_load_whose_session_is_ended_is_landed_by_the_next_attempt(
    made: Warehouse, undisturbed: Content, table: str
) -> None:
    """Nothing is asked twice, be it of the load that failed or of the one that had landed before it."""
    done, doing = _cycle_that_loses(made, table)
    assert done.code == 0, done.log
    assert doing.lower().startswith("copy")
    assert _runs(made, "run_ingest") == [("failed", "LandingInterrupted"), ("succeeded", None)]
    _assert_each_is_asked_and_landed_once(made)
    assert differences(content_of(made.connection, without=OF_THE_RUN), undisturbed) == []


def test_what_failed_beside_a_lost_load_is_asked_by_the_next_attempt(
    made: Warehouse, undisturbed: Content, league: Simulator
) -> None:
    """The answered odds are not asked again, the refused events are, and their dead letter is closed."""
    refused = league.inject_fault("status", path="/v4/sports/*/events", status=400, times=1)
    done, _ = _cycle_that_loses(made, "staging_odds_api.odds")
    league.clear_faults()
    assert refused.struck == 1
    assert done.code == 0, done.log
    assert _runs(made, "run_ingest") == [("failed", "LandingInterrupted"), ("succeeded", None)]
    _assert_each_is_asked_and_landed_once(made, events=2)
    assert made.rows("select endpoint, state from ops.dead_letters where kind = 'request'") == [("events", "replayed")]
    assert differences(content_of(made.connection, without=OF_THE_RUN), undisturbed) == []


def test_what_another_runner_has_landed_since_is_not_landed_by_the_next_attempt(
    made: Warehouse, undisturbed: Content
) -> None:
    """Between the two attempts a command of somebody else lands what it finds, as of a run that has ended."""
    others: list[Done] = []

    def meanwhile(state: RetryCallState) -> float:
        command = ("orchestrate.py", "run_snapshot", "--as-of", AT.isoformat())
        others.append(made.start(sys.executable, *command))
        return 0

    with (
        patch("ops.tasks.tenacity.wait_random_exponential", lambda **_: meanwhile),
        losing(made, "staging_odds_api.odds"),
    ):
        done = made.run(*CYCLE)
    assert done.code == 0, done.log
    assert [other.code for other in others] == [0], others
    recovered = "select count(*) from ops.task_runs where task = 'recover' and state = 'succeeded'"
    assert made.value(recovered) == 1
    _assert_each_is_asked_and_landed_once(made)
    assert differences(content_of(made.connection, without=OF_THE_RUN), undisturbed) == []


def _assert_each_is_asked_and_landed_once(made: Warehouse, *, events: int = 1) -> None:
    """Events and odds of The Odds API, games of BallDontLie; events may have been asked more often."""
    asked = made.rows("select endpoint, count(*) from ops.api_requests group by endpoint")
    landed = made.rows(
        "select endpoint, count(*) from (select endpoint from staging_odds_api.responses "
        "union all select endpoint from staging_balldontlie.responses) as responses group by endpoint"
    )
    once = {"events": 1, "odds": 1, "games": 1}
    assert dict(asked) == {**once, "events": events}
    assert dict(landed) == once
    assert made.value("select count(*) from ops.unlanded_responses") == 0
