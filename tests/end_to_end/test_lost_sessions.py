"""A session of dlt or dbt that the server ends in the middle of its work: the task is attempted again, nothing is lost.

As where an operator ends it, or a proxy between the two loses it. The work is held up by a lock until then, so that it
is lost in the middle and not before or after.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

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


def test_a_load_whose_session_is_ended_is_asked_again_and_lands_too(made: Warehouse, undisturbed: Content) -> None:
    """The second attempt asks anew and pays anew; what the first was told was kept, and lands with the next command."""
    done, doing = _cycle_that_loses(made, "staging_odds_api.odds")
    assert done.code == 0, done.log
    assert doing.lower().startswith("copy")
    assert _runs(made, "run_ingest") == [("failed", "LandingInterrupted"), ("succeeded", None)]
    asked = "select count(*) from ops.api_requests where endpoint = 'odds'"
    landed = "select count(*) from staging_odds_api.responses where endpoint = 'odds'"
    assert (made.value(asked), made.value(landed)) == (2, 1)
    made.succeed(*CYCLE)
    assert (made.value(asked), made.value(landed)) == (3, 3)
    assert made.value("select count(*) from ops.unlanded_responses") == 0
    assert differences(content_of(made.connection, without=OF_THE_RUN), undisturbed) == []
