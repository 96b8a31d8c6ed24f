"""``python -m simulator league`` and ``python -m simulator recorded PATH...``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import typer

from simulator.app import DEFAULT_KEY, Options, SimulatorApp
from simulator.balldontlie_routes import TIERS
from simulator.clock import SimulatorClock, parse_instant
from simulator.league import League, window_around
from simulator.recorded import Recorded
from simulator.schedule import LeagueSettings
from simulator.server import serve_forever


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; 0 after an interrupt, 1 with one line on stderr if something was wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        fixed_at = None if given.clock in (None, "real") else parse_instant(given.clock)
        app = _recorded(given, fixed_at) if given.command == "recorded" else _league(given, fixed_at)
        serve_forever(app, given.port, typer.echo)
    except KeyboardInterrupt:
        return 0
    except (ValueError, OSError) as error:
        typer.echo(f"simulator: {error}", err=True)
        return 1
    return 0


def _league(given: argparse.Namespace, fixed_at: datetime | None) -> SimulatorApp:
    clock = SimulatorClock(fixed_at)
    first_day = date.fromisoformat(given.first_day) if given.first_day else window_around(clock.epoch(), given.days)
    settings = LeagueSettings(first_day=first_day, days=given.days, games_per_day=given.games_per_day, seed=given.seed)
    return SimulatorApp(League(settings), clock, _options(given))


def _recorded(given: argparse.Namespace, fixed_at: datetime | None) -> SimulatorApp:
    recorded = Recorded(given.paths)
    if given.clock is None:
        fixed_at = recorded.last_instant()
    return SimulatorApp(recorded, SimulatorClock(fixed_at), _options(given))


def _options(given: argparse.Namespace) -> Options:
    return Options(
        key=given.key,
        monthly_credits=given.credits,
        requests_per_second=given.requests_per_second,
        has_historical=given.plan == "paid",
        tier=given.tier,
        requests_per_minute=given.requests_per_minute,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Serve The Odds API (/v4) and BallDontLie (/v1, /nba/v1) on loopback. Prints the base URL.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    league = commands.add_parser("league", help="serve a simulated NBA that follows the clock")
    league.add_argument("--seed", type=int, default=7, help="another seed, another league (default 7)")
    league.add_argument("--days", type=int, default=60, help="days of the league (default 60)")
    league.add_argument("--games-per-day", type=int, default=8, help="games a day, 1 to 15 (default 8)")
    league.add_argument("--lookahead-hours", type=int, default=36, help="how early games are listed (default 36)")
    league.add_argument("--first-day", metavar="DATE", help="first day (default: the clock is in the middle)")
    recorded = commands.add_parser("recorded", help="play recorded payloads back")
    recorded.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="folder, archive or file")
    for command, clock in ((league, "the real time"), (recorded, "after everything recorded")):
        command.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
        command.add_argument("--clock", metavar="TIME", help=f"'real' or an ISO instant (default: {clock})")
        command.add_argument("--key", default=DEFAULT_KEY, help="the key that is accepted (default %(default)s)")
        command.add_argument("--credits", type=int, default=5_000_000, help="The Odds API's monthly credits")
        command.add_argument("--plan", choices=("free", "paid"), default="paid", help="free has no history")
        command.add_argument("--requests-per-second", type=int, help="The Odds API's rate limit (default: none)")
        command.add_argument("--tier", choices=TIERS, default="goat", help="BallDontLie's tier (default %(default)s)")
        command.add_argument("--requests-per-minute", type=int, help="BallDontLie's rate limit (default: none)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
