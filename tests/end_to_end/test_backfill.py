"""Backfills that are stopped, begun again, widened, or have cycles beside them, against one that nothing disturbed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ops.paths import ROOT
from ops.warehouse import Connection
from simulator import League, LeagueSettings, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.arrivals import Content, content_of, differences
from tests.end_to_end.crashing import OF_THE_RUN
from tests.end_to_end.warehouses import TOOK, Warehouse, simulated, warehouse

LEAGUE = LeagueSettings(
    first_day=date(2026, 11, 8), days=6, games_per_day=8, seed=4, postponed_share=0.0, relisted_share=0.0
)
END = datetime(2026, 11, 11, 4, 15, tzinfo=UTC)
"""When the served world stands still: the source has no later snapshot."""

SPAN = ("--from", "2026-11-10T06:00:00Z", "--to", "2026-11-12T06:00:00Z", "--step", "6h")
ASKED = 5
"""Of the nine dates of that range: four before the end of the source, and the first after it."""

BACKFILL = ("backfill", *SPAN, "--yes", "--as-of", "2026-11-20T12:00:00Z")
"""As of a day on which the schedule of those days is settled."""

KILLED = {
    "while it asks": ("extract.client.ApiClient._exchange", 5),
    "before a load of odds commits": ("dlt.destinations.impl.postgres.postgres.PostgresClient.complete_load", 3),
    "before a chunk is built": ("ops.transform.Project.build", 1),
    "in the middle of a step, when some of its models are built": ("dbt.task.build.BuildTask._handle_result", 12),
    "between two steps": ("ops.transform.Project.build", 2),
    "when the last step has built its models": ("ops.dead_letters.collect", 2),
}
"""Where a backfill is killed: on which call of which function."""

PROGRAM = """
import sys
from functools import partial
import orchestrate
from ops import backfill
from tests.killing import die_on_call
function, number, rows, size, *sys.argv[1:] = sys.argv[1:]
die_on_call(function, int(number))
backfill.CHUNK_ROWS = int(rows)
backfill.odds_api.odds_api_historical = partial(backfill.odds_api.odds_api_historical, size=int(size))
sys.exit(orchestrate.main())
"""
"""A command in chunks of so many rows and loads of so many responses, killed on a call of a function; 0 is never."""


@pytest.fixture(scope="module")
def league() -> Iterator[Simulator]:
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(END))) as simulator:
        yield simulator


@dataclass(frozen=True)
class Made:
    """A warehouse after a backfill, and what the source counted for it."""

    warehouse: Warehouse
    content: Content
    requests: int
    credits: int


def content(made: Warehouse) -> Content:
    return content_of(made.connection, without=OF_THE_RUN)


def asked(simulator: Simulator) -> int:
    """Requests for odds of the past that the source has received."""
    return sum("/historical/" in request.path for request in simulator.requests)


def spent(made: Warehouse) -> tuple[int, int]:
    """Requests for odds of the past and what they cost, by the ledger."""
    [found] = made.rows(
        "select count(distinct request_id), sum(credits_last) from ops.api_requests where endpoint = 'historical_odds'"
    )
    return found


@pytest.fixture(scope="module")
def undisturbed(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Made]:
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        before = asked(league)
        done = made.succeed(*BACKFILL)
        TOOK["a backfill of 5 boards"] = done.seconds
        yield Made(made, content(made), asked(league) - before, spent(made)[1])


def test_a_backfill_costs_ten_times_markets_times_regions_times_snapshots(undisturbed: Made) -> None:
    # 10 x 3 markets x 1 region x 5 snapshots
    assert spent(undisturbed.warehouse) == (ASKED, 150)
    assert (undisturbed.requests, undisturbed.credits) == (ASKED, 150)
    assert len(undisturbed.content["market_scores"][1]) > 100
    assert len(undisturbed.content["picks"][1]) > 0


@pytest.mark.long
def test_the_same_again_asks_nobody_anything_and_changes_no_row(undisturbed: Made, league: Simulator) -> None:
    """The range goes on for a day beyond the last snapshot of the source."""
    made, before = undisturbed.warehouse, len(league.requests)
    rows, held = made.content(versions=True), made.content()
    done = made.succeed(*BACKFILL)
    assert "0 snapshots are missing of 9" in done.out
    assert "up to 0 credits" in done.out
    assert len(league.requests) == before
    after = made.content(versions=True)
    # It is a table that each grading makes anew.
    assert {mart for mart in rows if after[mart] != rows[mart]} <= {"track_record"}
    assert made.content() == held


def test_another_market_is_asked_alone_and_ends_in_the_same_tables(
    undisturbed: Made, server: Connection, deployed: Connection, targets: Path, league: Simulator
) -> None:
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        made.succeed(*BACKFILL, ODDS_API_MARKETS="h2h,spreads")
        # 10 x 2 x 1 x 5
        assert spent(made) == (ASKED, 100)
        done = made.succeed(*BACKFILL)
        assert f"{ASKED + 4} snapshots are missing of 9" in done.out
        # and 10 x 1 x 1 x 5 for the totals
        assert spent(made) == (2 * ASKED, 150)
        assert differences(content(made), undisturbed.content) == []


@pytest.mark.long
@pytest.mark.parametrize("where", KILLED)
def test_a_backfill_that_is_killed_goes_on_where_it_was(
    undisturbed: Made, server: Connection, deployed: Connection, targets: Path, league: Simulator, where: str
) -> None:
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        before = asked(league)
        function, number = KILLED[where]
        killed = subprocess.run(
            [sys.executable, "-c", PROGRAM, function, str(number), "20", "2", *BACKFILL],
            cwd=ROOT, env={**os.environ, **made.environment()}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        made.succeed(*BACKFILL, "--wait", "20")
        assert spent(made) == (ASKED, undisturbed.credits)
        assert asked(league) - before == undisturbed.requests
        assert differences(content(made), undisturbed.content) == []


CYCLES, QUARTER = 4, timedelta(minutes=15)
LIVE_FROM = END + timedelta(minutes=15)
SLACK_SECONDS = 3.0
"""A cycle beside a backfill asks later than alone by one step of it at most; and a busy machine by so much."""


@pytest.mark.long
def test_cycles_keep_their_cadence_beside_a_backfill(
    server: Connection, deployed: Connection, targets: Path, league: Simulator
) -> None:
    """Ten hours of boards every twenty minutes are landed and built in chunks while cycles come, one every few seconds.

    None is skipped, none asks late, and all tables end as where the backfill comes first and the cycles then.
    """
    past = ("backfill", "--from", "2026-11-10T12:00:00Z", "--to", "2026-11-10T22:00:00Z", "--step", "20m", "--yes",
            "--as-of", END.isoformat(), "--wait", "60")  # fmt: skip
    settings = simulated(league.base_url)

    def cycle(made: Warehouse, number: int) -> float:
        """Run a cycle; returns the seconds until it had asked for the odds."""
        began = datetime.now(UTC)
        made.succeed("cycle", "--as-of", (LIVE_FROM + number * QUARTER).isoformat())
        asked_at = made.value("select max(requested_at) from ops.api_requests where endpoint = 'odds'")
        return float((asked_at - began).total_seconds())

    with (
        warehouse(server, targets, deployed, **settings) as one,
        warehouse(server, targets, deployed, **settings) as two,
    ):
        one.succeed(*past)
        alone = [cycle(one, number) for number in range(CYCLES)]

        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "ops.tasks.run_task", "0", "80", "6", *past],
            cwd=ROOT, env={**os.environ, **two.environment()}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        said = list[str]()
        reader = threading.Thread(target=lambda: said.extend(process.communicate()))
        reader.start()
        while two.value("select count(*) from ops.task_runs where task = 'backfill build'") == 0:
            assert reader.is_alive(), said
            time.sleep(0.1)
        beside, at_work = [], 0
        for number in range(CYCLES):
            at_work += reader.is_alive()
            beside.append(cycle(two, number))
        reader.join()
        assert process.returncode == 0, said
        longest = float(
            two.value(
                "select extract(epoch from max(finished_at - started_at)) from ops.task_runs where task ~ '^backfill .'"
            )
        )
        sys.stdout.write(
            f"seconds until a cycle asked: alone {alone}, with a backfill begun before {beside}, {at_work} of them "
            f"while it was at work; its longest step took {longest}\n"
        )
        assert at_work >= 2
        states = "select count(*) from ops.task_runs where task like 'run%%' and state = 'succeeded'"
        assert two.value(states) == one.value(states)
        assert two.value("select count(*) from ops.task_runs where state <> 'succeeded'") == 0
        assert max(beside) - max(alone) < longest + SLACK_SECONDS
        last = ("cycle", "--all", "--as-of", (LIVE_FROM + CYCLES * QUARTER).isoformat())
        one.succeed(*last)
        two.succeed(*last)
        assert spent(one) == spent(two)
        assert differences(content(two), content(one)) == []
