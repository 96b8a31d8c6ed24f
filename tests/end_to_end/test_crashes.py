"""kill -9 of the runner, and of PostgreSQL, at any moment: the same command again ends as if nothing had happened.

    CRASHES=50,10 python -m pytest -n 0 -s tests/end_to_end/test_crashes.py -k killed

kills the runner at 50 random moments of a cycle and PostgreSQL at 10; without the variable at 2 and 1.
"""

import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.embedded import EmbeddedServer
from ops.warehouse import Connection, drop_database
from simulator import Simulator
from tests.conftest import QUICK
from tests.end_to_end.arrivals import Content, differences
from tests.end_to_end.crashing import Ground
from tests.end_to_end.warehouses import simulated

pytestmark = pytest.mark.skipif("CRASHES" not in os.environ, reason="minutes of killed cycles: CRASHES=50,10 runs them")

SEED = 20240214
RUNNER_KILLS, SERVER_KILLS = (int(part) for part in os.environ.get("CRASHES", "1,1").split(","))

BEFORE, AFTER = datetime(2024, 2, 14, 18, 5, tzinfo=UTC), datetime(2024, 2, 15, 18, 5, tzinfo=UTC)
"""A board with the ten games of an evening, and a day later, when they have results and every task is due again."""


class Undisturbed:
    """What two cycles make that nothing disturbs: how long each takes, and what there is after it."""

    def __init__(self, ground: Ground, simulator: Simulator, template: str) -> None:
        self.ground, self.simulator = ground, simulator
        self.templates = [template]
        self.lengths: list[float] = []
        self.contents: list[Content] = []
        ground.restore(template)
        for number, at in enumerate((BEFORE, AFTER)):
            simulator.set_clock(at)
            self.lengths.append(ground.succeed(*command(at)))
            self.contents.append(ground.content())
            self.templates.append(f"{ground.connection.database}_{number}")
            ground.keep(self.templates[-1])

    def drop(self) -> None:
        for name in (*self.templates[1:], self.ground.connection.database):
            drop_database(self.ground.connection.in_database(name))


def command(at: datetime) -> tuple[str, ...]:
    """A cycle as `schedule` runs it: killed and begun again it runs what has not succeeded."""
    return ("cycle", "--as-of", at.isoformat(), "--wait", "60")


@pytest.fixture(scope="module")
def undisturbed(server: Connection, deployed: Connection, targets: Path, season: Simulator) -> Iterator[Undisturbed]:
    now = season.app.clock.now()
    made = Undisturbed(
        Ground(server.in_database("crashing"), simulated(season.base_url), targets / "crashing"),
        season,
        deployed.database,
    )
    assert made.contents[0]["odds_snapshots"]
    assert made.contents[1]["game_results"]
    yield made
    made.drop()
    season.set_clock(now)


def moments(count: int, lengths: list[float], seed: int) -> list[tuple[int, float]]:
    """Random moments of each of the two cycles in turn: which one, and seconds after its first task began."""
    draw = random.Random(seed)
    return [(number % 2, draw.uniform(0, lengths[number % 2])) for number in range(count)]


def test_a_runner_that_is_killed_at_any_moment_leaves_nothing_undone(undisturbed: Undisturbed) -> None:
    ground = undisturbed.ground
    for number, (cycle, seconds) in enumerate(moments(RUNNER_KILLS, undisturbed.lengths, SEED)):
        at = (BEFORE, AFTER)[cycle]
        undisturbed.simulator.set_clock(at)
        ground.restore(undisturbed.templates[cycle])
        phase = ground.kill_at(seconds, None, *command(at))
        sys.stdout.write(f"runner {number + 1}: cycle {cycle + 1}, {seconds:.2f} s, {phase}\n")
        ground.succeed(*command(at))
        assert differences(ground.content(), undisturbed.contents[cycle]) == []
        ground.assert_nothing_half()


def test_a_server_that_is_killed_at_any_moment_starts_again_and_has_lost_nothing(
    undisturbed: Undisturbed, folder_for_servers: Path
) -> None:
    """The command that finds it dead starts it: it is the embedded one, and nobody else does."""
    ground, home = undisturbed.ground, folder_for_servers / "embedded"
    ours = {"PGHOST": "", "LINEKEEPER_WAREHOUSE_DIR": str(home)}
    try:
        for number, (cycle, seconds) in enumerate(moments(SERVER_KILLS, undisturbed.lengths, SEED + 1)):
            at = (BEFORE, AFTER)[cycle]
            undisturbed.simulator.set_clock(at)
            ground.restore(undisturbed.templates[cycle])
            phase = ground.kill_at(seconds, EmbeddedServer(home).status().pid, *command(at), **ours)
            sys.stdout.write(f"server {number + 1}: cycle {cycle + 1}, {seconds:.2f} s, {phase}\n")
            ground.succeed(*command(at), **ours)
            assert differences(ground.content(), undisturbed.contents[cycle]) == []
            ground.assert_nothing_half()
    finally:
        EmbeddedServer(home).stop()
        EmbeddedServer(home, options=QUICK).start()
