"""Linekeeper's runner: the tasks, what each asks and builds, and the command line.

    python orchestrate.py run_ingest run_snapshot    runs tasks now
    python orchestrate.py cycle                      runs what is due, in order
    python orchestrate.py schedule                   keeps doing so

What the tasks do stands in ops/tasks.py, what they ask in extract/, what they build
in dbt_project/ under the tags of the third column.
"""

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from extract.records import ExtractError
from ops import logs, report
from ops import tasks as work
from ops.clock import parse_instant
from ops.commands import letters_app, server_app
from ops.errors import LinekeeperError, SettingsError
from ops.ledger import Ledger, describe, leaves
from ops.roles import open_warehouse
from ops.settings import Settings, load_settings, silence_usage_statistics
from ops.tasks import Outcome, Task

DAILY, QUARTER_HOUR, HALF_HOUR = timedelta(days=1), timedelta(minutes=15), timedelta(minutes=30)
BOTH, SCHEDULE = ("odds_api", "balldontlie"), ("balldontlie",)

# name, what it does, what it asks, the dbt tags it builds, cadence, keys, what must have been built before
TASKS = (
    Task(
        "run_team_stats", "Teams, the schedule ahead, box scores; team ratings.",
        work.extract_team_stats, ("team_stats",), DAILY, SCHEDULE,
    ),
    Task(
        "run_ingest", "Events, odds and the games around today; games, matches, markets.",
        work.extract_ingest, ("ingest",), QUARTER_HOUR, BOTH,
    ),
    Task(
        "run_snapshot", "Every change of a market, and closing lines.",
        None, ("snapshot",), QUARTER_HOUR, (), ("run_ingest",),
    ),
    Task(
        "run_scoring", "Fair probabilities, edges and picks.",
        None, ("scoring",), QUARTER_HOUR, (), ("run_snapshot",),
    ),
    Task(
        "run_results_sync", "Games that should have ended; results.",
        work.extract_results, ("results",), HALF_HOUR, BOTH,
    ),
    Task(
        "run_grading", "Grades of picks, closing line value, track record.",
        None, ("grading",), HALF_HOUR, (), ("run_scoring", "run_results_sync"),
    ),
)  # fmt: skip
INGEST = TASKS[1]
PAST = (*TASKS[1:], TASKS[0])  # of the past, ratings come after the results they are made of
PRICES = TASKS[1:4]  # what a chunk of a backfill builds: results and grades come when all is here
BY_NAME = {task.name: task for task in TASKS}

app = typer.Typer(
    help="Runs Linekeeper: lands the payloads of The Odds API and BallDontLie, builds the warehouse with dbt.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(letters_app, name="dead-letters")
app.add_typer(server_app, name="db")
out = report.console()

AsOf = Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Run as if it were this time (ISO 8601).")]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for another runner of a task.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log each model and test too.")]


@app.callback()
def _settle(verbose: Verbose = False) -> None:
    silence_usage_statistics()
    logs.configure(load_settings().linekeeper_log_format, is_verbose=verbose)


# -- tasks


def _run(names: Sequence[str], as_of: str | None, wait: float) -> None:
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise SettingsError(f"there is no task {', '.join(unknown)}: choose from {', '.join(BY_NAME)}")
    chosen = [task for task in TASKS if task.name in names]
    settings = load_settings()
    work.check_keys(settings, chosen)
    with work.open_pipeline(settings, as_of, wait) as opened:
        _report(work.run_tasks(opened, chosen))


def _report(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.state == "succeeded":
            out.print(f"{outcome.task} succeeded")
    work.raise_failures(outcomes)


def _command_of(task: Task) -> Callable[..., None]:
    def command(
        also: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="More tasks to run.")] = None,
        as_of: AsOf = None,
        wait: Wait = 0,
    ) -> None:
        _run([task.name, *(also or [])], as_of, wait)

    command.__doc__ = task.summary
    return command


for _task in TASKS:
    app.command(_task.name)(_command_of(_task))


def run_cycle(
    settings: Settings, as_of: str | None, wait: float, is_all: bool, is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Run the tasks that are due, in order. Two cycles never run beside each other."""
    with work.open_pipeline(settings, as_of, wait) as opened, opened.ledger.lock("cycle", wait_seconds=wait):
        due = [task for task in TASKS if is_all or work.is_due(opened, task)]
        if not due:
            out.print("nothing is due")
        _report(work.run_tasks(opened, due, is_stopping=is_stopping))


@app.command()
def cycle(
    as_of: AsOf = None,
    wait: Wait = 0,
    everything: Annotated[bool, typer.Option("--all", help="Run every task, due or not.")] = False,
) -> None:
    """Run all tasks that are due, in order."""
    settings = load_settings()
    work.check_keys(settings, TASKS)
    run_cycle(settings, as_of, wait, everything)


@app.command()
def schedule() -> None:
    """Run cycles for ever, every 15 minutes; Ctrl-C or SIGTERM ends it after the running task."""
    from ops.schedule import run_for_ever

    settings = load_settings()
    work.check_keys(settings, TASKS)
    credits = work.live_cost(settings, settings.odds_api_sports)
    out.print(f"up to {credits * 96:,} credits of The Odds API a day, {credits:,} every 15 minutes, plus scores")
    run_for_ever(lambda is_stopping: run_cycle(settings, None, 60, False, is_stopping), minutes=15)


@app.command()
def backfill(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="With --files: what to read.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="First snapshot, e.g. 2026-11-01.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Last snapshot; now if not given.")] = None,
    sport: Annotated[list[str] | None, typer.Option("--sport", help="Sport key; may be repeated.")] = None,
    step: Annotated[str, typer.Option("--step", metavar="DISTANCE", help="Between snapshots: 1d, 12h, 60m.")] = "1d",
    files: Annotated[bool, typer.Option("--files", help="Land recorded responses instead of asking.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked and what it would cost, and end.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Spend the credits without asking.")] = False,
    as_of: AsOf = None,
    wait: Wait = 0,
) -> None:
    """Fetch the odds and games of the past, or recorded files, and build every model.

    It shows what is missing and what it costs before it asks; what is here is not asked again, and the same command
    goes on where one was stopped.
    """
    from ops import backfill as past
    from ops.ahead import built_ahead

    if files != bool(paths) or files == bool(begin) or (files and dry_run):
        raise SettingsError("give either --from (and --to), or --files with paths: see `backfill --help`")
    settings = load_settings()
    sports = tuple(sport or settings.odds_api_sports)
    if not files:
        settings.odds_key()
        if work.sports_from("balldontlie", sports):
            settings.balldontlie_key()
    with work.open_pipeline(settings, as_of, wait) as present, contextlib.ExitStack() as held:
        opened = replace(present, is_past=True)
        if not dry_run:
            held.enter_context(opened.ledger.lock("backfill", wait_seconds=wait))
        if files:
            fetched = past.fetch_files(
                opened,
                paths or [],
                build=lambda: past.build(opened, PRICES),
                ahead=lambda: built_ahead(opened, INGEST),
            )
        else:
            until = parse_instant(end) if end else opened.clock.now()
            plan = past.plan(opened, sports, parse_instant(str(begin)), until, past.parse_step(step))
            report.show_plan(out, plan)
            if dry_run:
                return
            _confirm(plan.credits, yes)
            fetched = past.fetch(opened, plan, build=lambda: past.build(opened, PRICES), tell=out.print)
        outcomes = [fetched, *([past.build(opened, PAST)] if fetched.is_built else [])]
        report.show_counts(out, opened.ledger)
        _report(outcomes)


def _confirm(credits: int, yes: bool) -> None:
    if yes or credits == 0:
        return
    if not sys.stdin.isatty():
        raise SettingsError(f"this costs up to {credits:,} credits and nobody can be asked: add --yes to spend them")
    typer.confirm("Spend them?", abort=True)


@app.command()
def rebuild(
    rows: Annotated[int, typer.Option(min=0, help="Differing rows to show of each table.")] = 5,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="PATH", help="Write all differing rows there, one JSON a line.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the schemas rebuilt_*; the next rebuild drops them.")
    ] = False,
    as_of: AsOf = None,
) -> None:
    """Build every table anew from the landed payloads, beside the old ones, and compare them. Nothing is asked."""
    from ops import rebuild as anew

    with work.open_pipeline(load_settings(), as_of) as opened, anew.written_to(file) as on_row:
        found = anew.rebuild(opened, PAST, shown=rows, keep=keep, on_row=on_row)
    report.show_rebuilt(out, found, keep=keep)
    found.raise_differences()


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=14, help="How many days back.")] = 7,
    games_per_day: Annotated[int, typer.Option(min=1, max=15, help="Games a day.")] = 8,
    seed: Annotated[int, typer.Option(help="Another seed is another league.")] = 7,
) -> None:
    """Build a warehouse from a simulated league, without keys, in a database of its own."""
    from ops import demo as simulated

    simulated.run(out, load_settings(), TASKS, PAST, days=days, games_per_day=games_per_day, seed=seed)


# -- looking at it


@app.command()
def docs(
    static: Annotated[bool, typer.Option("--static", help="One file that needs no server.")] = False,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the pages on loopback.")] = True,
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 8080,
    as_of: AsOf = None,
) -> None:
    """Generate the dbt documentation with its lineage, and serve it."""
    from ops.docs import server

    with work.open_pipeline(load_settings(), as_of) as opened:
        page = opened.project.docs(opened.clock.now(), static=static)
    out.print(f"written to {page}")
    if serve and not static:
        with server(page.parent, port) as web:
            out.print(f"open http://127.0.0.1:{web.server_address[1]} (Ctrl-C ends it)")
            with contextlib.suppress(KeyboardInterrupt):
                web.serve_forever()


@app.command()
def status() -> None:
    """Show the last run of each task, how fresh the data is, and open dead letters."""
    with Ledger(open_warehouse(load_settings())) as ledger:
        report.show_status(out, ledger, {task.name: task.every for task in TASKS})


def main() -> int:
    """Run the command line. An expected error is one line on standard error and exit code 1."""
    try:
        app()
    except (LinekeeperError, ExtractError, ExceptionGroup) as error:
        if not all(isinstance(leaf, (LinekeeperError, ExtractError)) for leaf in leaves(error)):
            raise
        typer.echo(f"error: {describe(error)}", err=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
