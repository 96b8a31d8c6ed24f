"""kill -9 of the runner, and of PostgreSQL, at any moment: the same command again ends as if nothing had happened.

    CRASHES=50,10 python -m pytest -n 0 -s tests/end_to_end/test_crashes.py -k killed

kills the runner at 50 random moments of a cycle and PostgreSQL at 10. They are dealt out to the phases of the tasks, so
that one that takes a tenth of a second is hit as often as one of seconds; a table of what was hit ends each test.
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.embedded import EmbeddedServer
from ops.warehouse import Connection, drop_database
from orchestrate import BY_NAME
from simulator import Simulator
from tests.conftest import QUICK
from tests.end_to_end.arrivals import Content, differences
from tests.end_to_end.crashing import Aim, Cell, Ground, Moment, aims, table
from tests.end_to_end.warehouses import simulated, unmade, working_folder

pytestmark = pytest.mark.skipif("CRASHES" not in os.environ, reason="minutes of killed cycles: CRASHES=50,10 runs them")

SEED = 20240214
RUNNER_KILLS, SERVER_KILLS = (int(part) for part in os.environ.get("CRASHES", "1,1").split(","))

BEFORE, AFTER = datetime(2024, 2, 14, 18, 5, tzinfo=UTC), datetime(2024, 2, 15, 18, 5, tzinfo=UTC)
"""A board with the ten games of an evening, and a day later, when they have results and every task is due again."""

TASKS = tuple(BY_NAME)


class Undisturbed:
    """What two cycles make that nothing disturbs: how often each phase is seen, and what there is after each."""

    def __init__(self, ground: Ground, simulator: Simulator, template: str) -> None:
        self.ground, self.simulator = ground, simulator
        self.templates = [template]
        self.sights: list[Counter[Cell]] = []
        self.lengths: list[float] = []
        self.contents: list[Content] = []
        # Once for nothing: what a process does for the first time, such as dbt's parse, takes longer.
        for number, at in enumerate((BEFORE, BEFORE, AFTER)):
            simulator.set_clock(at)
            ground.restore(self.templates[-1])
            seen, seconds = ground.sights(*command(at))
            if number:
                self.sights.append(seen)
                self.lengths.append(seconds)
                self.contents.append(ground.content())
                self.templates.append(f"{ground.connection.database}_{number}")
                ground.keep(self.templates[-1])

    def prepare(self, cycle: int) -> tuple[str, ...]:
        """Go back to before a cycle; returns its command."""
        at = (BEFORE, AFTER)[cycle]
        self.simulator.set_clock(at)
        self.ground.restore(self.templates[cycle])
        return command(at)

    def drop(self) -> None:
        for name in (*self.templates[1:], self.ground.connection.database):
            drop_database(self.ground.connection.in_database(name))


def command(at: datetime) -> tuple[str, ...]:
    """A cycle as `schedule` runs it: killed and begun again it runs what has not succeeded."""
    return ("cycle", "--as-of", at.isoformat(), "--wait", "60")


@pytest.fixture(scope="module")
def undisturbed(server: Connection, deployed: Connection, targets: Path, season: Simulator) -> Iterator[Undisturbed]:
    now = season.app.clock.now()
    connection = unmade(server)
    ground = Ground(connection, simulated(season.base_url), working_folder(targets, connection))
    made = Undisturbed(ground, season, deployed.database)
    for seen, seconds in zip(made.sights, made.lengths, strict=True):
        sys.stdout.write(f"undisturbed: {seconds:.1f} s, seen so often:\n{table(seen, TASKS)}")
    assert made.contents[0]["odds_snapshots"]
    assert made.contents[1]["game_results"]
    yield made
    made.drop()
    season.set_clock(now)


def _assert_fair(dealt: Sequence[Aim], hits: Sequence[Moment]) -> None:
    """Whatever kills were dealt to, task or phase, has been hit."""
    sys.stdout.write(table(Counter(moment.cell for moment in hits), TASKS))
    assert {aim.cell.task for aim in dealt} - {moment.cell.task for moment in hits} == set()
    assert {aim.cell.phase for aim in dealt} - {moment.cell.phase for moment in hits} == set()
    assert len(dealt) < len(TASKS) or {aim.cell.task for aim in dealt} >= {*TASKS}


def test_a_runner_that_is_killed_at_any_moment_leaves_nothing_undone(undisturbed: Undisturbed) -> None:
    """Every third one is killed again, while it puts right what the first kill left or goes on from there."""
    ground, draw = undisturbed.ground, random.Random(SEED)
    dealt, hits = aims(undisturbed.sights, TASKS, RUNNER_KILLS, SEED), list[Moment]()
    for number, aim in enumerate(dealt, start=1):
        begun = undisturbed.prepare(aim.cycle)
        hits.append(ground.kill(aim.cell, aim.sight, None, *begun))
        sys.stdout.write(f"runner {number}: cycle {aim.cycle + 1}, {hits[-1]}\n")
        if number % 3 == 0:
            again = ground.kill_after(draw.uniform(0, undisturbed.lengths[aim.cycle] / 2), *begun)
            sys.stdout.write(f"runner {number}, again: {again or 'it had ended'}\n")
        ground.succeed(*begun)
        assert differences(ground.content(), undisturbed.contents[aim.cycle]) == []
        ground.assert_nothing_half()
    _assert_fair(dealt, hits)


def test_a_server_that_is_killed_at_any_moment_starts_again_and_has_lost_nothing(
    undisturbed: Undisturbed, folder_for_servers: Path
) -> None:
    """The command that finds it dead starts it: it is the embedded one, and nobody else does."""
    ground, home = undisturbed.ground, folder_for_servers / "embedded"
    ours = {"PGHOST": "", "LINEKEEPER_WAREHOUSE_DIR": str(home)}
    dealt, hits = aims(undisturbed.sights, TASKS, SERVER_KILLS, SEED + 1), list[Moment]()
    try:
        for number, aim in enumerate(dealt, start=1):
            begun = undisturbed.prepare(aim.cycle)
            hits.append(ground.kill(aim.cell, aim.sight, EmbeddedServer(home).status().pid, *begun, **ours))
            sys.stdout.write(f"server {number}: cycle {aim.cycle + 1}, {hits[-1]}\n")
            ground.succeed(*begun, **ours)
            assert differences(ground.content(), undisturbed.contents[aim.cycle]) == []
            ground.assert_nothing_half()
    finally:
        EmbeddedServer(home).stop()
        EmbeddedServer(home, options=QUICK).start()
    _assert_fair(dealt, hits)
