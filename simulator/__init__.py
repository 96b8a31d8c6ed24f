"""The Odds API and BallDontLie on loopback: a simulated league or recorded payloads, and faults on demand.

league = League(LeagueSettings(first_day=date(2026, 11, 1), days=30, games_per_day=8))
clock = SimulatorClock(datetime(2026, 11, 20, 22, tzinfo=UTC))
with serve(SimulatorApp(league, clock)) as simulator:
    requests.get(f"{simulator.base_url}/v4/sports", params={"apiKey": DEFAULT_KEY})
"""

from simulator.app import DEFAULT_KEY, Options, ReceivedRequest, SimulatorApp
from simulator.clock import SimulatorClock
from simulator.faults import FaultRule
from simulator.league import League
from simulator.recorded import Recorded
from simulator.schedule import LeagueSettings
from simulator.server import Simulator, serve

__all__ = [
    "DEFAULT_KEY",
    "FaultRule",
    "League",
    "LeagueSettings",
    "Options",
    "ReceivedRequest",
    "Recorded",
    "Simulator",
    "SimulatorApp",
    "SimulatorClock",
    "serve",
]
