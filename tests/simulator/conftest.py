"""A simulated league and the recorded season, each served once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator import League, Recorded, SimulatorApp, SimulatorClock, serve
from tests.simulator.callers import EVENING, LEAGUE, Caller

RECORDINGS = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def league() -> League:
    """The league that is served to the tests of this folder."""
    return League(LEAGUE)


@pytest.fixture(scope="session")
def served_league(league: League) -> Iterator[Caller]:
    """The league behind HTTP; use `caller`, which sets the clock back."""
    with serve(SimulatorApp(league, SimulatorClock(EVENING))) as simulator:
        yield Caller(simulator)


@pytest.fixture
def caller(served_league: Caller) -> Iterator[Caller]:
    """The league on its evening, without faults."""
    served_league.simulator.set_clock(EVENING)
    yield served_league
    served_league.simulator.clear_faults()


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Path]:
    """The path of a recording; skips the test where it is absent."""

    def path(name: str) -> Path:
        found = RECORDINGS / name
        if not found.exists():
            pytest.skip(f"the recording {name} is not beside this checkout")
        return found

    return path


@pytest.fixture(scope="session")
def season(recording: Callable[[str], Path]) -> Iterator[Caller]:
    """The recorded season 2023-24 behind HTTP."""
    recorded = Recorded(
        [recording("odds_api/odds_api_nba_historical_2023-24.tar.xz"), recording("balldontlie/games_2023.json.xz")]
    )
    with serve(SimulatorApp(recorded, SimulatorClock(recorded.last_instant()))) as simulator:
        yield Caller(simulator)
