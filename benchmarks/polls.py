"""What a backfill of recorded polls takes, against the least that any program would need for it.

    python -m benchmarks.polls                 all 1,852 polls
    python -m benchmarks.polls --polls 400     the first of them

The recorded WNBA polls, one file each, are landed and built by one backfill into an empty warehouse: raw payloads,
games, matches, markets, every change, closes, scores, picks and grades. The floor, in the same run and on the same
server: read and parse the same files, COPY their quotes into a plain table, and find the changes with one window
query. It is measured before the backfill and after it, on a machine that may be doing other things, and the mean taken;
Python's garbage collector is left out of it, as it is of landing.

The start of the process, and building the empty models of a new warehouse, are shown apart: both happen once.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import typer

from benchmarks.bench import MEGABYTE, Memory, Timings, bytes_of, machine, quiet_settings, recording, value, warehouse
from extract.payloads import garbage_kept
from ops import backfill
from ops.ahead import built_ahead
from ops.paths import ROOT
from ops.tasks import Pipeline, deploy, raise_failures
from orchestrate import INGEST, PAST, PRICES
from tests.end_to_end.recordings import POLLS, extract, names_of

FLOOR_TABLE = """
drop table if exists public.quotes, public.changes;
create table public.quotes (
    event_id text, bookmaker_key text, market_key text, outcome_name text,
    price integer, point double precision, captured_at timestamptz
)
"""

FLOOR_CHANGES = """
create table public.changes as
select event_id, bookmaker_key, market_key, outcome_name, price, point, captured_at
from (
    select
        *,
        row_number() over market_in_time as number,
        lag(price) over market_in_time as previous_price,
        lag(point) over market_in_time as previous_point
    from public.quotes
    window market_in_time as (
        partition by event_id, bookmaker_key, market_key, outcome_name order by captured_at
    )
) as in_time
where number = 1 or price <> previous_price or point is distinct from previous_point
"""


def _backfill(pipeline: Pipeline, folder: Path) -> tuple[Timings, dict[str, int]]:
    """Seconds by step, and the peak of this process's memory by step, in bytes."""
    timings, peaks = Timings(), dict[str, int]()
    with Memory() as memory, timings.measure("landing"):
        landed = backfill.fetch_files(
            pipeline,
            [folder],
            build=lambda: backfill.build(pipeline, PRICES),
            ahead=lambda: built_ahead(pipeline, INGEST),
        )
        raise_failures([landed])
    peaks["landing"] = memory.peak_bytes
    with Memory() as memory, timings.measure("building"):
        raise_failures([backfill.build(pipeline, PAST)])
    return timings, peaks | {"building": memory.peak_bytes}


def _floor(pipeline: Pipeline, folder: Path, timings: Timings) -> None:
    with pipeline.connection.owner.session() as session, session.cursor() as cursor:
        cursor.execute(FLOOR_TABLE)
        text = io.StringIO()
        with garbage_kept(), timings.measure("parse"):
            for file in sorted(folder.glob("*.json")):
                text.writelines(_lines(file))
        text.seek(0)
        with timings.measure("copy"):
            cursor.copy_expert("copy public.quotes from stdin", text)
        with timings.measure("window query"):
            cursor.execute(FLOOR_CHANGES)


def _lines(file: Path) -> Iterator[str]:
    """The quotes of a poll as COPY's text."""
    captured_at = file.stem
    for event in orjson.loads(file.read_bytes()):
        for bookmaker in event["bookmakers"]:
            for market in bookmaker["markets"]:
                head = f"{event['id']}\t{bookmaker['key']}\t{market['key']}\t"
                for outcome in market["outcomes"]:
                    point = outcome.get("point", "\\N")
                    yield f"{head}{outcome['name']}\t{outcome['price']}\t{point}\t{captured_at}\n"


def _process_start() -> float:
    """Seconds until a new process has read the project and could begin a task."""
    program = "from ops.transform import Project; import orchestrate; Project().parse()"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Run the benchmark and print its tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--polls", type=int, default=1852, help="how many, from the first")
    chosen = options.parse_args()
    archive = recording(POLLS)
    settings = quiet_settings()
    typer.echo(machine())
    with tempfile.TemporaryDirectory() as directory, warehouse(settings, "linekeeper_benchmark_polls") as pipeline:
        folder = Path(directory)
        extract(archive, folder, set(names_of(archive)[: chosen.polls]))
        began = time.perf_counter()
        deploy(pipeline)
        deployed = time.perf_counter() - began
        floor = Timings()
        _floor(pipeline, folder, floor)
        timings, peaks = _backfill(pipeline, folder)
        _floor(pipeline, folder, floor)
        quotes = value(pipeline, "select count(*) from public.quotes")
        changes = value(pipeline, "select count(*) from marts.odds_snapshots")
        typer.echo(f"{chosen.polls:,} polls, {quotes:,} quotes, {changes:,} changes kept")
        typer.echo(f"apart: process start {_process_start():.1f} s, empty models {deployed:.1f} s\n")
        for name in timings.seconds:
            seconds, peak = timings.median(name), peaks[name] / MEGABYTE
            typer.echo(f"{name:20}{seconds:8.2f} s{seconds / floor.total():8.2f} floors{peak:8.0f} MB at most")
        typer.echo(f"{'backfill':20}{timings.total():8.2f} s{timings.total() / floor.total():8.2f} floors")
        steps = ", ".join(f"{name} {floor.median(name):.2f}" for name in floor.seconds)
        typer.echo(f"{'floor':20}{floor.total():8.2f} s    ({steps})\n")
        odds = bytes_of(pipeline, "marts.odds_snapshots")
        typer.echo(f"odds_snapshots with its indexes: {odds / MEGABYTE:.0f} MB, {odds / changes:.0f} bytes a change")
        raw = sum(bytes_of(pipeline, f"staging_odds_api.{table}") for table in ("odds", "responses"))
        typer.echo(f"raw payloads: {raw / MEGABYTE:.0f} MB, {raw / chosen.polls:,.0f} bytes a poll")


if __name__ == "__main__":
    main()
