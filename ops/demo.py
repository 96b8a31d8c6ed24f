"""The demo: a simulated league, its last week and its present, through the whole pipeline, without a key."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from rich.console import Console

from ops import backfill, report
from ops.clock import Clock
from ops.ledger import Ledger
from ops.progress import bar
from ops.roles import open_warehouse
from ops.settings import Settings
from ops.tasks import Pipeline, Task, deploy, raise_failures, run_tasks
from ops.transform import Project
from ops.warehouse import drop_database
from simulator.app import DEFAULT_KEY, SimulatorApp
from simulator.clock import SimulatorClock
from simulator.league import League, window_around
from simulator.schedule import LeagueSettings
from simulator.server import serve

DATABASE = "linekeeper_demo"
SPORT = "basketball_nba"
LEAGUE_DAYS = 30
STEP = timedelta(hours=1)

NEXT = """\
[bold]These are simulated games[/bold]: a league of 30 teams that exists only here, served on loopback by the same wire
contracts as The Odds API and BallDontLie. No real odds, no real results. The warehouse is the database
[bold]{database}[/bold]; your own, [bold]{own}[/bold], was not touched.

Next:
  look at the lineage       python orchestrate.py docs
  ask it in SQL             PGDATABASE={database} python orchestrate.py db psql -- -c "select * from marts.track_record"
  see how the tasks did     PGDATABASE={database} python orchestrate.py status
  use your own keys         put ODDS_API_KEY and BALLDONTLIE_API_KEY in .env (see .env.example), then
                            python orchestrate.py cycle
  stop the server           python orchestrate.py db stop"""


def run(
    console: Console,
    settings: Settings,
    tasks: Sequence[Task],
    past: Sequence[Task],
    *,
    days: int,
    games_per_day: int,
    seed: int,
) -> None:
    """Build a warehouse from nothing, from a simulated league, and show what is in it.

    Args:
        tasks, past: the tasks in the order of a cycle and of a backfill.
        days: how far back the odds are fetched, hour by hour.

    Raises:
        TasksFailed: one of the tasks failed.
    """
    began = time.monotonic()
    now = datetime.now(UTC)
    first_day = window_around(int(now.timestamp()), LEAGUE_DAYS)
    league = League(LeagueSettings(first_day=first_day, days=LEAGUE_DAYS, games_per_day=games_per_day, seed=seed))
    console.print(f"A simulated league of 30 teams, {games_per_day} games a day, seed {seed}; no key is needed.")
    with serve(SimulatorApp(league, SimulatorClock())) as simulator:
        simulated = settings.model_copy(
            update={
                "odds_api_key": SecretStr(DEFAULT_KEY),
                "odds_api_url": simulator.base_url,
                "odds_api_sports": (SPORT,),
                "odds_api_regions": ("us",),
                "odds_api_bookmakers": (),
                "odds_api_markets": ("h2h", "spreads", "totals"),
                "odds_api_monthly_credits": None,
                "balldontlie_api_key": SecretStr(DEFAULT_KEY),
                "balldontlie_url": simulator.base_url,
                "balldontlie_requests_per_minute": 100_000,
            }
        )
        # The same warehouse each time: a league begins with nothing.
        drop_database(open_warehouse(simulated, DATABASE))
        connection = open_warehouse(simulated, DATABASE)
        console.print(f"PostgreSQL runs at {connection.host}:{connection.port}.")
        clock = Clock()
        with Ledger(connection, clock) as ledger:
            pipeline = Pipeline(simulated, connection, clock, ledger, Project())
            with bar("building the empty warehouse") as progress:
                pipeline.on_node = progress.tick
                deploy(pipeline)
            console.print("The empty warehouse is built.")
            wanted = backfill.plan(pipeline, [SPORT], now - timedelta(days=days), now, STEP)
            fetched = backfill.fetch(pipeline, wanted)
            console.print(f"The last {days} days have landed, {ledger.credits_spent:,} simulated credits.")
            outcomes = [fetched]
            with bar("building the models of the past") as progress:
                pipeline.on_node = progress.tick
                outcomes.append(backfill.build(pipeline, past))
            raise_failures(outcomes)
            console.print("Every model is built; now a cycle as `schedule` runs it every 15 minutes.")
            cycle_began = time.monotonic()
            with bar("running a cycle") as progress:
                pipeline.on_node = progress.tick
                raise_failures(run_tasks(pipeline, tasks))
            console.print(f"The cycle took {time.monotonic() - cycle_began:.1f} s.\n")
            console.print(f"What is in the warehouse after {time.monotonic() - began:.0f} s:")
            report.show_counts(console, ledger)
            console.print()
            console.print(NEXT.format(database=DATABASE, own=settings.pgdatabase))
