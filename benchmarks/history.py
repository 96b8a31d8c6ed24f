"""Whether a cycle costs what is new or what is kept: the same board on 0.5, 5 and 50 million kept changes.

    python -m benchmarks.history                     all three; 70 GB of disk and an hour
    python -m benchmarks.history --sizes 0.5 5       the first two; ten minutes
    python -m benchmarks.history --keep              leaves the databases, and measures those that an earlier one left

Three simulated days of an NBA season, a board every quarter of an hour, are landed and built by the real code. They are
then multiplied further and further into the past (see benchmarks/kept.py): events, games, their versions, markets,
changes, closes, landed rows, loads and claims, so that keys and widths are those of real history. Only `market_scores`,
which has a row for each quote of each board and not for each change, is multiplied a tenth as often.

Each size is a database of its own on one server. Cycles a quarter of an hour apart land and build a board of some 7,000
quotes and the games of it, in turns on each size, so that what else the machine does falls on all of them. The first
warm up. Shown are the median seconds of each task, landing, tests and all, and the ratio to the smallest size.
"""

import argparse
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import typer

from benchmarks.bench import MEGABYTE, Timings, bytes_of, machine, quiet_settings, value, warehouse
from benchmarks.feed import CYCLE, QUARTER, Feed, cycle, fill
from benchmarks.kept import History
from ops.clock import Clock
from ops.paths import ROOT
from ops.roles import transforming
from ops.tasks import Pipeline, deploy
from ops.transform import Project
from simulator import League, LeagueSettings

SEED = LeagueSettings(date(2026, 10, 26), days=5, games_per_day=12, seed=3, lookahead_hours=36, relisted_share=0.0)
SEED_BEGIN = datetime(2026, 10, 26, 15, tzinfo=UTC)
SEED_BOARDS = 3 * 96 + 40
PERIOD = timedelta(days=5)

BOARD = LeagueSettings(
    date(2026, 11, 5), days=24, games_per_day=15, seed=5, lookahead_hours=200, postponed_share=0.0, relisted_share=0.0
)
EVENING = datetime(2026, 11, 12, 22, tzinfo=UTC)
"""Some 7,000 quotes: all games of the nine days from here on, at 11 books."""

WARM_UP, COUNTED = 1, 5
BYTES_A_CHANGE = 1_300
"""What a kept change takes with all that belongs to it: 62 GB for 50 million."""

KEPT = {
    "changes": "marts.odds_snapshots",
    "markets": "marts.markets",
    "scores": "marts.market_scores",
    "events": "marts.event_versions where superseded_at is null",
    "boards": "staging_odds_api.responses where endpoint = 'odds'",
    "loads": "staging_odds_api._dlt_loads",
}


def _kept(pipeline: Pipeline) -> str:
    counts = {what: value(pipeline, f"select count(*) from {where}") for what, where in KEPT.items()}
    size = bytes_of(pipeline, "marts.odds_snapshots")
    whole = value(pipeline, "select pg_database_size(current_database())")
    return (
        ", ".join(f"{count:,} {what}" for what, count in counts.items())
        + f"; odds_snapshots with its indexes {size / counts['changes']:.0f} bytes a change"
        + f"; the database {whole / MEGABYTE:,.0f} MB"
    )


def _check_room(size: float) -> None:
    """Leave before the disk is full, not after.

    Raises:
        SystemExit: so many millions of changes are more than there is room for.
    """
    needed, free = size * 1e6 * BYTES_A_CHANGE, shutil.disk_usage(".").free
    if needed > 0.9 * free:
        raise SystemExit(
            f"that takes about {needed / 1e9:.0f} GB and {free / 1e9:.0f} GB are free: give smaller --sizes"
        )


def _prepared(opened: Pipeline, size: float) -> Pipeline:
    """A warehouse with so many millions of changes, as it is or made now."""
    pipeline = replace(opened, clock=Clock(SEED_BEGIN), project=Project(target=ROOT / "target" / f"history_{size:g}"))
    began = time.perf_counter()
    deploy(pipeline)
    if value(pipeline, "select count(*) from staging_odds_api.responses") == 0:
        _check_room(size)
        fill(pipeline, Feed(League(SEED)), SEED_BEGIN, SEED_BOARDS)
        changes = value(pipeline, "select count(*) from marts.odds_snapshots")
        copies = round(size * 1e6 / changes)
        history = History(pipeline.connection, PERIOD, {"market_scores": 10})
        history.remember()
        history.grow(copies)
    typer.echo(f"\n{size:g} million, in {time.perf_counter() - began:.0f} s: {_kept(pipeline)}")
    return pipeline


def _next_instant(pipeline: Pipeline) -> datetime:
    last: datetime = value(pipeline, "select max(captured_at) from staging_odds_api.responses where endpoint = 'odds'")
    return max(EVENING, last + QUARTER)


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", type=float, nargs="+", default=[0.5, 5, 50], help="millions of kept changes")
    options.add_argument("--cycles", type=int, default=COUNTED, help="counted cycles on each size")
    options.add_argument("--keep", action="store_true", help="leave the databases, and measure those that are there")
    chosen = options.parse_args()
    settings = quiet_settings()
    typer.echo(machine())
    measured: dict[float, Timings] = {size: Timings() for size in sorted(chosen.sizes)}
    with ExitStack() as opened:
        pipelines = {
            size: _prepared(
                opened.enter_context(
                    warehouse(settings, f"linekeeper_benchmark_history_{size:g}", is_kept=chosen.keep)
                ),
                size,
            )
            for size in measured
        }
        feed, instant = Feed(League(BOARD)), max(_next_instant(pipeline) for pipeline in pipelines.values())
        typer.echo(f"\na board of {feed.quote_count(instant):,} quotes, load {os.getloadavg()[0]:.1f}")
        for number in range(WARM_UP + chosen.cycles):
            for size, pipeline in pipelines.items():
                transforming(pipeline.connection).activate()
                seconds = cycle(pipeline, feed, instant)
                if number >= WARM_UP:
                    for name, taken in seconds.items():
                        measured[size].seconds.setdefault(name, []).append(taken)
            instant += QUARTER
    _show(measured, chosen.cycles)


def _show(measured: dict[float, Timings], cycles: int) -> None:
    sizes = [f"{size:g} M" for size in measured]
    head = "".join(f"{size:>9}" for size in (*sizes, *sizes[1:]))
    typer.echo(f"\n{'':18}{head}   median seconds of {cycles} cycles, and times those of {sizes[0]}")
    for name in [task.name for task in CYCLE] + ["cycle"]:
        taken = [timings.total() if name == "cycle" else timings.median(name) for timings in measured.values()]
        ratios = [each / taken[0] for each in taken[1:]]
        typer.echo(f"{name:18}" + "".join(f"{each:9.2f}" for each in (*taken, *ratios)))


if __name__ == "__main__":
    main()
