"""Two runners, each a process of its own, on one warehouse at once.

    RUNNERS_SECONDS=600 python -m pytest -n 0 -s tests/end_to_end/test_two_runners.py

goes on for ten minutes; without the variable each runs one cycle after the other for 10 seconds.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from ops.clock import Clock
from ops.transform import Project
from ops.warehouse import Connection, drop_database
from simulator import League, LeagueSettings, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.arrivals import differences
from tests.end_to_end.crashing import Ground
from tests.end_to_end.warehouses import simulated, unmade, working_folder

pytestmark = pytest.mark.skipif(
    "RUNNERS_SECONDS" not in os.environ, reason="minutes of cycles side by side: RUNNERS_SECONDS=600 runs them"
)

SECONDS = float(os.environ.get("RUNNERS_SECONDS", "10"))
START, QUARTER = datetime(2026, 11, 10, 18, tzinfo=UTC), timedelta(minutes=15)

LEAGUE = LeagueSettings(
    first_day=date(2026, 11, 8), days=6, games_per_day=4, seed=4, postponed_share=0.0, relisted_share=0.0
)

OVERLAPPING = """
    select first.task, first.started_at
    from ops.task_runs as first
    inner join ops.task_runs as second
        on first.task = second.task
        and first.run_id < second.run_id
        and first.started_at < second.finished_at
        and second.started_at < first.finished_at
"""


@pytest.fixture
def ground(server: Connection, deployed: Connection, targets: Path) -> Iterator[Ground]:
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(START + timedelta(days=2)))) as simulator:
        connection = unmade(server)
        made = Ground(connection, simulated(simulator.base_url), working_folder(targets, connection))
        made.restore(deployed.database)
        yield made
        drop_database(made.connection)


def test_two_runners_at_once_double_nothing_lose_nothing_and_never_lock_each_other_out(ground: Ground) -> None:
    """Both ask for all tasks at the same instant, a quarter of an hour later in each round: each waits its turn.

    The served world stands at the end, so that the same instant is answered alike whoever asks first.
    """
    end, rounds, failures = time.monotonic() + SECONDS, 0, list[BaseException]()
    while time.monotonic() < end or rounds == 0:
        at = START + rounds * QUARTER

        def run(at: datetime = at) -> None:
            try:
                ground.succeed("cycle", "--all", "--as-of", at.isoformat(), "--wait", "120")
            except BaseException as error:  # the test's own thread raises it
                failures.append(error)

        both = [threading.Thread(target=run) for _ in range(2)]
        for runner in both:
            runner.start()
        for runner in both:
            runner.join()
        assert failures == []
        rounds += 1
    last = START + (rounds - 1) * QUARTER
    with ground.connection.session() as session, session.cursor() as cursor:
        cursor.execute(
            "select task, count(*) from ops.task_runs where state = 'succeeded' and task ~ '^run_' group by 1"
        )
        counts = dict(cursor.fetchall())
        sys.stdout.write(f"{rounds} rounds of two cycles; runs that succeeded: {counts}\n")
        assert set(counts.values()) == {2 * rounds}
        assert len(counts) == 6
        cursor.execute("select count(*) from ops.task_runs where state <> 'succeeded'")
        assert cursor.fetchone() == (0,)
        cursor.execute(OVERLAPPING)
        assert cursor.fetchall() == []
        cursor.execute("select deadlocks from pg_stat_database where datname = current_database()")
        assert cursor.fetchone() == (0,)
    ground.assert_nothing_half()
    grown = ground.content()
    with patch.dict(os.environ, ground.connection.environment()):
        Project(target=ground.target).build_all(Clock(last).now(), full_refresh=True)
    assert differences(grown, ground.content()) == []
