"""How fast rows land, against COPY of the same rows.

    python -m benchmarks.landing               three rounds over all 1,852 polls

The recorded WNBA polls are parsed first, which is not measured. Each round then lands them twice: as a backfill does,
500 responses a load, hashed, checked and in one package each; and as the lines of one COPY into a table of the same
columns, with indexes like those of the landing table and without any. One poll by itself shows what a load costs that
is independent of its size. Medians of the rounds.
"""

import argparse
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import typer
from psycopg2.extensions import cursor as Cursor

from benchmarks.bench import Timings, machine, quiet_settings, recording, value, warehouse
from extract.extraction import Problems, extraction
from extract.history import FILES_PER_LOAD
from extract.payloads import Response, content_digest, digest
from ops.tasks import Pipeline
from tests.end_to_end.recordings import POLLS, extract, instant, names_of

LIKE = {
    "COPY, no index": "create table public.copied (like staging_odds_api.odds)",
    "COPY, same indexes": "create table public.copied (like staging_odds_api.odds including indexes)",
}
COLUMNS = "event_id, sport_key, captured_at, request_id, payload, payload_hash, _dlt_load_id, _dlt_id"


def _responses(folder: Path) -> Iterator[Response]:
    for number, file in enumerate(sorted(folder.glob("*.json"))):
        elements = orjson.loads(file.read_bytes())
        yield Response(
            request_id=f"00000000-0000-4000-8000-{number:012}",
            endpoint="odds",
            captured_at=instant(file.stem),
            params={},
            elements=elements,
            response_hash=digest(elements),
            origin=file.name,
            sport_key="basketball_wnba",
        )


def _land(pipeline: Pipeline, responses: list[Response]) -> None:
    for first in range(0, len(responses), FILES_PER_LOAD):
        part = responses[first : first + FILES_PER_LOAD]
        endpoints = {"recorded": iter(part)}
        pipeline.land(extraction("odds_api", endpoints, Problems(), pipeline.ledger, batch=FILES_PER_LOAD))


def _lines(responses: list[Response]) -> io.StringIO:
    """The rows of the landing table as COPY's text."""
    text = io.StringIO()
    for response in responses:
        for element in response.elements:
            payload = orjson.dumps(element).decode().replace("\\", "\\\\")
            at, request = response.captured_at.isoformat(), response.request_id
            text.write(f"{element['id']}\t{element['sport_key']}\t{at}\t{request}\t{payload}\t")
            text.write(f"{content_digest(element)}\t0\t{element['id'][:14]}\n")
    return text


def _copy(cursor: Cursor, text: io.StringIO) -> None:
    text.seek(0)
    cursor.copy_expert(f"copy public.copied ({COLUMNS}) from stdin", text)


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--polls", type=int, default=1852, help="how many, from the first")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    archive = recording(POLLS)
    settings = quiet_settings()
    typer.echo(machine())
    with tempfile.TemporaryDirectory() as directory, warehouse(settings, "linekeeper_benchmark_landing") as pipeline:
        folder = Path(directory)
        extract(archive, folder, set(names_of(archive)[: chosen.polls]))
        responses = list(_responses(folder))
        one, text = responses[len(responses) // 2 :][:1], _lines(responses)
        timings = Timings()
        with pipeline.connection.owner.session() as session, session.cursor() as cursor:
            for _ in range(chosen.rounds):
                cursor.execute("truncate staging_odds_api.odds, staging_odds_api.responses")
                with timings.measure("landing"):
                    _land(pipeline, responses)
                landed = int(value(pipeline, "select count(*) from staging_odds_api.odds"))
                with timings.measure("one poll"):
                    _land(pipeline, one)
                for name, statement in LIKE.items():
                    cursor.execute(statement)
                    with timings.measure(name):
                        _copy(cursor, text)
                    assert int(value(pipeline, "select count(*) from public.copied")) == landed
                    cursor.execute("drop table public.copied")
        least = timings.median("COPY, no index")
        typer.echo(f"{landed:,} events of {len(responses):,} polls, {text.tell() / 2**20:.0f} MB of JSON")
        for name in ("landing", *LIKE):
            seconds = timings.median(name)
            typer.echo(f"{name:20}{seconds:8.2f} s{landed / seconds:10,.0f} rows/s{seconds / least:8.2f} times COPY")
        typer.echo(f"{'one poll':20}{timings.median('one poll'):8.2f} s for {len(one[0].elements)} events")


if __name__ == "__main__":
    main()
