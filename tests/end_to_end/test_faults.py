"""Every fault of a source by its name: what is said of it, what is recorded, and that nothing is lost that came again.

Over real HTTP, into a real warehouse. What is promised for each stands in docs/reliability.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.warehouse import Connection
from simulator import League, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.arrivals import differences
from tests.end_to_end.storms import END, LEAGUE, START, Episode, Night, instants, only_the_schedule
from tests.end_to_end.warehouses import simulated, warehouse

Json = dict[str, Any]

ODDS, EVENTS, GAMES = "/v4/sports/*/odds", "/v4/sports/*/events", "/v1/games"
(
    FIRST, RETRIED, PAGES, ATTEMPTED_TWICE, REPLAYED, PROPS, WRONG_KEY, NO_CREDITS, DOWN, STILL_DOWN, NOT_ASKED, BACK
) = instants(12)  # fmt: skip
LOST = (DOWN, STILL_DOWN, NOT_ASKED)
"""Cycles in which The Odds API did not answer and that nobody can repeat later."""

WITH_PROPS = {"ODDS_API_MARKETS": "h2h,spreads,totals,player_points"}
WRONG = "a-wrong-key-0123456789"
KEY = "key-of-the-fault-suite-7f3a9c5e"


@pytest.fixture(scope="module")
def league() -> Iterator[Simulator]:
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(START))) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def calm(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Night]:
    """The night as it would have been; where The Odds API was down in the other, it was not asked here."""
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        night = Night(made, league)
        for at in instants(12):
            if at in LOST:
                night.watch(at, only_the_schedule)
            else:
                night.cycle(at, **(WITH_PROPS if at == PROPS else {}))
        night.build(END)
        yield night


@dataclass
class Stormy:
    """The night in which requests fail, and its episodes by their instant."""

    night: Night
    episodes: dict[Any, Episode]
    again: dict[Any, Episode]


@pytest.fixture(scope="module")
def stormy(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Stormy]:
    """One trouble after the other; each is over before the next begins."""
    plant = league.inject_fault
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        night = Night(made, league)
        episodes, again = {FIRST: night.cycle(FIRST)}, {}

        plant("truncate", path=ODDS)
        plant("status", path=ODDS, status=429, retry_after=7)
        plant("status", path=ODDS, status=503)
        plant("html", path=EVENTS)
        plant("delay", path=EVENTS, delay_seconds=1.0)
        plant("status", path=EVENTS, status=500)
        plant("reset", path=GAMES)
        plant("status", path=GAMES, status=429)
        plant("status", path=GAMES, status=500)
        episodes[RETRIED] = night.cycle(RETRIED)

        plant("no_quota_headers", path=ODDS)
        plant("repeat_page", path=GAMES, times=None)
        episodes[PAGES] = night.replay(night.cycle(PAGES))

        plant("status", path=ODDS, status=503, times=4)
        plant("endless_cursor", path=GAMES, times=4)
        episodes[ATTEMPTED_TWICE] = night.cycle(ATTEMPTED_TWICE, LINEKEEPER_TASK_ATTEMPTS="2")
        night.replay(episodes[ATTEMPTED_TWICE])

        plant("html", path=ODDS, times=None)
        episodes[REPLAYED] = night.replay(night.cycle(REPLAYED))

        plant("status", path="/v4/sports/*/events/*/odds", status=500, times=4)
        episodes[PROPS] = night.replay(night.cycle(PROPS, **WITH_PROPS))

        episodes[WRONG_KEY] = night.cycle(WRONG_KEY, ODDS_API_KEY=WRONG, LINEKEEPER_TASK_ATTEMPTS="3")
        again[WRONG_KEY] = night.again(episodes[WRONG_KEY])

        plant("quota_exhausted", path="/v4/*", times=None)
        episodes[NO_CREDITS] = night.cycle(NO_CREDITS, LINEKEEPER_TASK_ATTEMPTS="3")
        again[NO_CREDITS] = night.again(episodes[NO_CREDITS])

        for at in LOST:
            plant("drop", path="/v4/*", times=None)
            episodes[at] = night.cycle(at)
        made.rows("update ops.api_requests set requested_at = requested_at - interval '10 minutes' returning 1")
        episodes[BACK] = night.cycle(BACK)
        night.settle(episodes[DOWN])
        night.build(END)
        yield Stormy(night, episodes, again)


def test_after_every_fault_the_landing_tables_are_those_of_the_undisturbed_night(calm: Night, stormy: Stormy) -> None:
    landed = calm.landed()
    assert sum(landed["staging_odds_api.odds"].values()) > 50
    found = stormy.night.landed()
    for table in landed:
        print(
            table,
            sum((landed[table] - found[table]).values()),
            sum((found[table] - landed[table]).values()),
            sum(landed[table].values()),
        )
    print(differences(stormy.night.marts(), calm.marts()))
