"""What a warm cycle takes, and whether it costs what is new or what is kept.

    python -m benchmarks.cycle                 about five minutes
    python -m benchmarks.cycle --days 28       more history

Builds two warehouses from the same simulated league, one without history and one with hourly boards of the last
days, in databases of their own that are dropped afterwards. In each it runs cycles 15 minutes apart on the board of
the same evening, the first to warm up, and prints the median seconds of each task and the ratio of the two. Every
cycle asks over HTTP, lands, builds and tests as `orchestrate.py cycle` does; the start of the process (about 2 s) is
not in it.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import structlog
import typer
from pydantic import SecretStr

from ops import backfill
from ops.clock import Clock
from ops.ledger import Ledger
from ops.roles import open_warehouse
from ops.settings import Settings, load_settings
from ops.tasks import Pipeline, deploy, raise_failures, run_tasks
from ops.transform import Project
from ops.warehouse import drop_database
from orchestrate import PAST, TASKS
from simulator import League, LeagueSettings, Options, Simulator, SimulatorApp, SimulatorClock, serve

SPORT = "basketball_nba"
CADENCE = timedelta(minutes=15)
WARM_UP, COUNTED = 1, 5
KEPT = {
    "changes": "select count(*) from marts.odds_snapshots",
    "scores": "select count(*) from marts.market_scores",
    "open markets": "select count(*) from marts.markets where is_open",
    "open events": "select count(distinct event_id) from marts.markets where is_open",
}
CYCLE = tuple(task for task in TASKS if task.name != "run_team_stats")  # the daily task is not of every cycle


@contextmanager
def _warehouse(settings: Settings, name: str) -> Iterator[tuple[Ledger, Pipeline]]:
    drop_database(open_warehouse(settings, name))
    connection = open_warehouse(settings, name)
    try:
        with Ledger(connection, Clock()) as ledger:
            yield ledger, Pipeline(settings, connection, Clock(), ledger, Project())
    finally:
        drop_database(connection)


def _at(pipeline: Pipeline, instant: datetime) -> Pipeline:
    return Pipeline(pipeline.settings, pipeline.connection, Clock(instant), pipeline.ledger, pipeline.project)


def _seconds_by_task(pipeline: Pipeline, simulator: Simulator, evening: datetime) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {"cycle": []}
    for number in range(WARM_UP + COUNTED):
        instant = evening + number * CADENCE
        simulator.set_clock(instant)
        now = _at(pipeline, instant)
        whole = 0.0
        for task in CYCLE:
            began = time.perf_counter()
            raise_failures(run_tasks(now, [task]))
            seconds = time.perf_counter() - began
            whole += seconds
            if number >= WARM_UP:
                taken.setdefault(task.name, []).append(seconds)
        if number >= WARM_UP:
            taken["cycle"].append(whole)
    return taken


def _count(ledger: Ledger, sql: str) -> int:
    return int(ledger.query(sql)[0][0])


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--days", type=int, default=14, help="days of hourly boards in the second warehouse")
    options.add_argument("--games-per-day", type=int, default=12)
    chosen = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    now = datetime.now(UTC).replace(hour=22, minute=0, second=0, microsecond=0) - timedelta(days=1)
    league = League(
        LeagueSettings(
            first_day=now.date() - timedelta(days=chosen.days + 5),
            days=chosen.days + 12,
            games_per_day=chosen.games_per_day,
            lookahead_hours=18,
        )
    )
    app = SimulatorApp(league, SimulatorClock(now), Options(monthly_credits=10_000_000))
    rows: dict[str, dict[str, list[float]]] = {}
    with serve(app) as simulator:
        settings = load_settings().model_copy(
            update={
                "odds_api_key": SecretStr("simulated-key"),
                "odds_api_url": simulator.base_url,
                "odds_api_sports": (SPORT,),
                "odds_api_monthly_credits": None,
                "balldontlie_api_key": SecretStr("simulated-key"),
                "balldontlie_url": simulator.base_url,
                "balldontlie_requests_per_minute": 100_000,
            }
        )
        for days in (0, chosen.days):
            with _warehouse(settings, f"linekeeper_benchmark_{days}") as (ledger, pipeline):
                deploy(pipeline)
                past = _at(pipeline, now)
                began = time.perf_counter()
                raise_failures(run_tasks(past, [TASKS[0]]))
                if days:
                    plan = backfill.plan(past, [SPORT], now - timedelta(days=days), now, timedelta(hours=1))
                    raise_failures([backfill.fetch(past, plan), backfill.build(past, PAST)])
                filled = time.perf_counter() - began
                rows[f"{days} days"] = _seconds_by_task(pipeline, simulator, now + CADENCE)
                kept = {name: _count(ledger, statement) for name, statement in KEPT.items()}
                counts = ", ".join(f"{count:,} {name}" for name, count in kept.items())
                typer.echo(f"{days} days: filled in {filled:.0f} s; {counts}")
    without, with_history = rows.values()
    typer.echo(
        f"\n{'':18}{'no history':>12}{f'{chosen.days} days':>12}{'ratio':>8}   median seconds of {COUNTED} cycles"
    )
    for name in [task.name for task in CYCLE] + ["cycle"]:
        few, many = statistics.median(without[name]), statistics.median(with_history[name])
        typer.echo(f"{name:18}{few:12.2f}{many:12.2f}{many / few:8.2f}")


if __name__ == "__main__":
    main()
