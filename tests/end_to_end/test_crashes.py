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
from tests.end_to_end.crashing import Aim, Cell, Ground, Moment, aims, hit, table
from tests.end_to_end.warehouses import simulated, unmade, working_folder

pytestmark = pytest.mark.skipif("CRASHES" not in os.environ, reason="minutes of killed cycles: CRASHES=50,10 runs them")

SEED = 20240214
RUNNER_KILLS, SERVER_KILLS = (int(part) for part in os.environ.get("CRASHES", "1,1").split(","))

INSTANTS = datetime(2024, 2, 14, 18, 5, tzinfo=UTC), datetime(2024, 2, 15, 18, 5, tzinfo=UTC)
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
        for cycle in range(len(INSTANTS)):
            # What a process does for the first time, such as dbt's parse, takes longer, and a phase of a moment is not
            # seen every time.
            seen, seconds = ground.sights(*self.prepare(cycle))
            seen_again, seconds_again = ground.sights(*self.prepare(cycle))
            self.sights.append(seen & seen_again)
            self.lengths.append(min(seconds, seconds_again))
            self.contents.append(ground.content())
            self.templates.append(f"{ground.connection.database}_{cycle + 1}")
            ground.keep(self.templates[-1])

    def prepare(self, cycle: int) -> tuple[str, ...]:
        """Go back to before a cycle; returns its command."""
        self.simulator.set_clock(INSTANTS[cycle])
        self.ground.restore(self.templates[cycle])
        return command(cycle)

    def assert_same_after(self, cycle: int, **settings: str) -> None:
        """Run a cycle that was killed again; it must leave what it leaves undisturbed."""
        self.ground.succeed(*command(cycle), **settings)
        assert differences(self.ground.content(), self.contents[cycle]) == []
        self.ground.assert_nothing_half()

    def drop(self) -> None:
        for name in (*self.templates[1:], self.ground.connection.database):
            drop_database(self.ground.connection.in_database(name))


def command(cycle: int) -> tuple[str, ...]:
    """A cycle as `schedule` runs it: killed and begun again it runs what has not succeeded."""
    return ("cycle", "--as-of", INSTANTS[cycle].isoformat(), "--wait", "60")


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
    """Every kill has hit the task and phase that it was dealt to, and every task has had one."""
    sys.stdout.write(table(Counter(moment.cell for moment in hits), TASKS))
    assert [moment.cell for moment in hits] == [aim.cell for aim in dealt]
    assert len(dealt) < len(TASKS) or {aim.cell.task for aim in dealt} >= {*TASKS}


def test_a_runner_that_is_killed_at_any_moment_leaves_nothing_undone(undisturbed: Undisturbed) -> None:
    """Every third one is killed again, while it puts right what the first kill left or goes on from there."""
    ground, draw = undisturbed.ground, random.Random(SEED)
    dealt, hits = aims(undisturbed.sights, TASKS, RUNNER_KILLS, SEED), list[Moment]()

    def kill(aim: Aim) -> list[Moment]:
        moment = ground.kill(aim, None, *undisturbed.prepare(aim.cycle))
        return [moment] if moment else []

    def kill_twice(aim: Aim) -> list[Moment]:
        moments, seconds = kill(aim), draw.uniform(0, undisturbed.lengths[aim.cycle] / 2)
        again = ground.kill_after(seconds, *command(aim.cycle)) if moments else None
        return [*moments, again] if again else []

    for number, aim in enumerate(dealt, start=1):
        moments = hit(aim, kill if number % 3 else kill_twice)
        sys.stdout.write(f"runner {number}: cycle {aim.cycle + 1}, {'; again: '.join(map(str, moments))}\n")
        undisturbed.assert_same_after(aim.cycle)
        hits.append(moments[0])
    _assert_fair(dealt, hits)


def test_a_server_that_is_killed_at_any_moment_starts_again_and_has_lost_nothing(
    undisturbed: Undisturbed, folder_for_servers: Path
) -> None:
    """The command that finds it dead starts it: it is the embedded one, and nobody else does."""
    embedded = EmbeddedServer(folder_for_servers / "embedded")
    ours = {"PGHOST": "", "LINEKEEPER_WAREHOUSE_DIR": str(embedded.home)}
    dealt, hits = aims(undisturbed.sights, TASKS, SERVER_KILLS, SEED + 1), list[Moment]()

    def kill(aim: Aim) -> list[Moment]:
        # It is down where the kill before came too late for the command to notice.
        embedded.start()
        begun, pid = undisturbed.prepare(aim.cycle), embedded.status().pid
        assert pid is not None
        moment = undisturbed.ground.kill(aim, pid, *begun, **ours)
        return [moment] if moment else []

    try:
        for number, aim in enumerate(dealt, start=1):
            hits += hit(aim, kill)
            sys.stdout.write(f"server {number}: cycle {aim.cycle + 1}, {hits[-1]}\n")
            undisturbed.assert_same_after(aim.cycle, **ours)
    finally:
        embedded.stop()
        EmbeddedServer(embedded.home, options=QUICK).start()
    _assert_fair(dealt, hits)
