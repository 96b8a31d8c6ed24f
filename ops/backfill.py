"""The past: historical odds, games and box scores of a range, or recorded files, then every model once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from extract import balldontlie, history, odds_api
from extract.extraction import Extraction
from extract.landing import landed_responses, landed_snapshots
from extract.records import ApiRequest, ExtractError
from ops.errors import LinekeeperError, SettingsError
from ops.ledger import describe
from ops.progress import bar
from ops.tasks import EASTERN, Extracted, Outcome, Pipeline, Task, run_tasks, sports_from

STATS_WINDOW = timedelta(days=7)
"""Box scores landed at once: a week is about 1,900 rows, 20 pages."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a backfill will ask.

    Attributes:
        start, end: the range, both included.
        step: distance of the snapshots asked for.
        snapshots: snapshots that are not landed yet, by sport.
        credits: what they cost at most.
    """

    start: datetime
    end: datetime
    step: timedelta
    snapshots: dict[str, int]
    credits: int


def plan(pipeline: Pipeline, sports: Sequence[str], start: datetime, end: datetime, step: timedelta) -> Plan:
    """Count what is missing and what it costs; asks nothing.

    Raises:
        SettingsError: the range is empty, or the step shorter than the API's snapshots.
    """
    end = min(end, pipeline.clock.now())
    if start > end:
        raise SettingsError(
            f"--from {start:%Y-%m-%d %H:%M} is after --to {end:%Y-%m-%d %H:%M}: there is nothing to ask"
        )
    if step < timedelta(minutes=5):
        raise SettingsError(f"--step {step} is shorter than the API's own snapshots: use 5m or more")
    featured, _ = pipeline.markets
    settings = pipeline.settings
    total = odds_api.snapshot_count(start, end, step)
    missing = {}
    for sport in sports:
        is_landed = _is_landed(pipeline, sport)
        missing[sport] = sum(not is_landed(start + number * step) for number in range(total))
    credits = odds_api.historical_cost(
        snapshots=sum(missing.values()),
        markets=featured,
        regions=settings.odds_api_regions,
        bookmakers=settings.odds_api_bookmakers,
    )
    return Plan(start, end, step, missing, credits)


def fetch(pipeline: Pipeline, wanted: Plan) -> Outcome:
    """Land what a plan asks for, load by load, so that it can be stopped and resumed.

    What landed is there to be built, even where the outcome is `failed`.
    """

    def extract() -> Iterator[Extracted]:
        for sport, missing in wanted.snapshots.items():
            if missing:
                yield _fetch_odds(pipeline, wanted, sport, missing)
        if sports_from("balldontlie", wanted.snapshots):
            yield _fetch_games(pipeline, wanted)

    return _recorded(pipeline, extract)


def fetch_files(pipeline: Pipeline, paths: Sequence[Path]) -> Outcome:
    """Land recorded responses from files, folders and archives; what is here already is left out."""

    def extract() -> Iterator[Extracted]:
        chunks = history.recorded(
            paths,
            now=pipeline.clock.now(),
            is_landed=landed_responses(pipeline.connection.url),
            ledger=pipeline.ledger,
        )
        yield _land_each(pipeline, chunks, "recorded files")

    return _recorded(pipeline, extract)


def _recorded(pipeline: Pipeline, extract: Callable[[], Iterable[Extracted]]) -> Outcome:
    """Run an extraction as a run of its own in ops.task_runs."""
    rows = 0
    try:
        with pipeline.ledger.run("backfill", wait_seconds=pipeline.wait_seconds) as run:
            failures = list[Exception]()
            for extracted in extract():
                rows += extracted.row_count
                failures += extracted.failures
                run.row_count = rows
            pipeline.ledger.analyze()
            if failures:
                raise ExceptionGroup("some requests failed", failures)
    except (LinekeeperError, ExtractError, ExceptionGroup) as error:
        return Outcome("backfill", "failed", rows > 0, describe(error))
    return Outcome("backfill", "succeeded", True)


def _is_landed(pipeline: Pipeline, sport: str) -> Callable[[datetime], bool]:
    settings = pipeline.settings
    featured, _ = pipeline.markets
    has_books = bool(settings.odds_api_bookmakers)
    return landed_snapshots(
        pipeline.connection.url,
        sport=sport,
        markets=",".join(featured),
        regions=None if has_books else ",".join(sorted(settings.odds_api_regions)),
        bookmakers=",".join(sorted(settings.odds_api_bookmakers)) if has_books else None,
    )


def _fetch_odds(pipeline: Pipeline, wanted: Plan, sport: str, missing: int) -> Extracted:
    featured, _ = pipeline.markets
    settings = pipeline.settings
    chunks = odds_api.odds_api_historical(
        pipeline.odds,
        sport=sport,
        start=wanted.start,
        end=wanted.end,
        step=wanted.step,
        is_landed=_is_landed(pipeline, sport),
        regions=settings.odds_api_regions,
        bookmakers=settings.odds_api_bookmakers,
        markets=featured,
    )
    result = _land_each(pipeline, chunks, f"{sport} odds", missing)
    logger.info("odds of the past landed", sport=sport, rows=result.row_count, credits=pipeline.ledger.credits_spent)
    return result


def _fetch_games(pipeline: Pipeline, wanted: Plan) -> Extracted:
    first = wanted.start.astimezone(EASTERN).date() - timedelta(days=1)
    last = wanted.end.astimezone(EASTERN).date() + timedelta(days=1)
    client = pipeline.schedule
    games = balldontlie.balldontlie(client, endpoints=["teams", "games"], start_date=first, end_date=last)
    results = [_land_each(pipeline, [games], "games")]

    def stats() -> Iterable[Extraction]:
        begin = first
        while begin <= last:
            until = min(begin + STATS_WINDOW - timedelta(days=1), last)
            window = balldontlie.balldontlie(client, endpoints=["stats"], start_date=begin, end_date=until)
            yield window
            # A plan without box scores says so at the first request; asking on would be in vain.
            if window.problems.limits:
                return
            begin = until + timedelta(days=1)

    results.append(_land_each(pipeline, stats(), "box scores"))
    return Extracted(
        sum(result.row_count for result in results), tuple(failure for result in results for failure in result.failures)
    )


def _land_each(
    pipeline: Pipeline, extractions: Iterable[Extraction], what: str, request_count: int | None = None
) -> Extracted:
    """Land extractions one by one; a failed one does not stop those after it.

    A limit of the plan of The Odds API is a failure here: it was asked for by name.
    """
    rows, failures = 0, list[Exception]()
    with bar(f"fetching {what}", request_count) as progress:

        def tell(request: ApiRequest) -> None:
            progress.tick(f"fetching {what} {str(request.params.get('date', ''))[:16]}")

        pipeline.ledger.on_request = tell
        try:
            for extraction in extractions:
                landing = pipeline.land(extraction)
                rows += sum(landing.rows.values())
                failures += landing.failures
                if landing.source == odds_api.SOURCE:
                    failures += landing.limits
                progress.show(f"fetching {what}: {rows:,} rows landed")
        finally:
            pipeline.ledger.on_request = None
    return Extracted(rows, tuple(failures))


def build(pipeline: Pipeline, tasks: Iterable[Task]) -> list[Outcome]:
    """Build the models of each task once, in order, asking nothing.

    They are recorded as `backfill …`, so that the next cycle still finds its own tasks due.
    """
    return run_tasks(
        pipeline,
        [replace(task, extract=None, recorded_as=f"backfill {task.name.removeprefix('run_')}") for task in tasks],
    )


def parse_step(text: str) -> timedelta:
    """Read a distance in time such as `1d`, `12h`, `60m`.

    Raises:
        SettingsError: it is none.
    """
    units = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
    number, unit = text.strip()[:-1], text.strip()[-1:].lower()
    if unit not in units or not number.isdigit() or int(number) == 0:
        raise SettingsError(f"--step {text!r} is no distance in time: write it as 1d, 12h or 60m")
    return int(number) * units[unit]
