"""The past: historical odds, games and box scores of a range, or recorded files, and the models of both.

What is long is cut into chunks. Each is asked, landed and built before the next. A build is one step, one dbt run;
before each whoever waits goes first. So a backfill may be ended at any moment and begun again by the same command, and
a cycle beside it waits for one step at most.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from extract import balldontlie, history, odds_api
from extract.extraction import Extraction
from extract.landing import landed_responses
from extract.past import Scope
from extract.records import ApiRequest, ExtractError
from ops.asked import has_all_pages, past_of, settle_letters
from ops.errors import BudgetError, LinekeeperError, SettingsError
from ops.ledger import describe
from ops.progress import bar
from ops.tasks import (
    EASTERN,
    PLAYERS_MIN_RATE,
    Extracted,
    Outcome,
    Pipeline,
    Task,
    run_tasks,
    sports_from,
    together,
)

CHUNK_ROWS = 1_000
"""Rows of odds after which the prices are built: 90 boards of a full evening, 60,000 quotes."""

FILES_CHUNK_ROWS = 15_000
"""The same for files, which are read faster than answers come: 1,852 polls, 582,292 quotes, are one chunk."""

STATS_WINDOW = timedelta(days=7)
"""Box scores landed at once: a week is about 1,900 rows, 20 pages."""

SETTLED_AFTER = timedelta(days=3)
"""So long after its last day what BallDontLie says of a stretch of days is not asked again."""

SECONDS_A_SNAPSHOT, GAMES_A_DAY, STATS_PAGES = 0.5, 8, 20
"""What a plan reckons with: an answer of The Odds API, games a day of a season, pages of a window of box scores."""

Tell = Callable[[str], None]
Ahead = Callable[[], AbstractContextManager[Callable[[], None]]]
"""Entered for each chunk, gives what is called after each of its loads; see `ops.ahead`."""

Window = tuple[date, date]
"""The first and the last day of a stretch that is asked of BallDontLie at once."""


@dataclass(frozen=True)
class Plan:
    """What a backfill will ask.

    Attributes:
        start, end: the range, both included.
        step: distance of the snapshots asked for.
        dates: dates in the range.
        snapshots: by sport, dates of which something is to be asked; the others are here.
        credits: what they cost at most.
        credits_left: what may be spent of this month's credits; None if nothing says so.
        games, stats: stretches of which the schedule, or the box scores, are to be asked.
        requests: about how many requests to BallDontLie that makes.
        requests_per_minute: how many of them are made in a minute.
    """

    start: datetime
    end: datetime
    step: timedelta
    dates: int
    snapshots: dict[str, int]
    credits: int
    credits_left: int | None
    games: list[Window]
    stats: list[Window]
    requests: int
    requests_per_minute: int

    @property
    def seconds(self) -> float:
        """About how long asking takes."""
        paced = 60 * self.requests / self.requests_per_minute if self.requests > self.requests_per_minute else 0
        return SECONDS_A_SNAPSHOT * sum(self.snapshots.values()) + paced


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
    dates = odds_api.asked_dates(start, end, step)
    wanted, snapshots, credits = _wanted(pipeline), {}, 0
    for sport in sports:
        past = past_of(pipeline.ledger, sport)
        missing = [scopes for at in dates if (scopes := past.missing(wanted, at))]
        snapshots[sport] = len(missing)
        credits += sum(scope.historical_credits for scopes in missing for scope in scopes)
    games, stats = _windows(pipeline, start, end) if sports_from("balldontlie", sports) else ([], [])
    has_stats = pipeline.settings.balldontlie_requests_per_minute >= PLAYERS_MIN_RATE
    return Plan(
        start=start,
        end=end,
        step=step,
        dates=len(dates),
        snapshots=snapshots,
        credits=credits,
        credits_left=credits_left(pipeline),
        games=games,
        stats=stats,
        requests=sum(2 + (last - first).days * GAMES_A_DAY // 100 for first, last in games)
        + (STATS_PAGES * len(stats) if has_stats else min(1, len(stats))),
        requests_per_minute=pipeline.requests_per_minute,
    )


def credits_left(pipeline: Pipeline) -> int | None:
    """What a backfill may spend of this month's credits of The Odds API; None if nothing says so.

    That is what ODDS_API_MONTHLY_CREDITS or, if less, the API itself leaves, without what cycles will need until the
    month ends if they go on spending what they spent in the last day.
    """
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (month + timedelta(days=32)).replace(day=1)
    left, limit, told = [], pipeline.settings.odds_api_monthly_credits, pipeline.ledger.credits_remaining()
    if limit is not None:
        left.append(limit - pipeline.ledger.credits_since(month))
    if told is not None and told[1] >= month:
        left.append(told[0])
    if not left:
        return None
    day = timedelta(days=1)
    of_cycles = pipeline.ledger.credits_since(now - day, of_the_past=False) * ((next_month - now) / day)
    return max(0, min(left) - round(of_cycles))


def fetch(
    pipeline: Pipeline, wanted: Plan, *, build: Callable[[], object] = lambda: None, tell: Tell = lambda _: None
) -> Outcome:
    """Land what a plan asks for, load by load, so that it can be stopped and resumed.

    What landed is there to be built, even where the outcome is `failed`. Nothing is asked that was answered since the
    plan was made, and no request is made that would pass the limit of credits.

    Args:
        build: called after each chunk of odds but the last.
        tell: told of progress after each load.
    """
    outcomes = [_recorded(pipeline, _games(pipeline, wanted, tell))] if wanted.games else []
    for sport, missing in wanted.snapshots.items():
        if missing:
            outcomes += _in_chunks(pipeline, _odds(pipeline, wanted, sport, tell), CHUNK_ROWS, build)
    if wanted.stats:
        outcomes.append(_recorded(pipeline, _stats(pipeline, wanted, tell)))
    settle_letters(pipeline.ledger)
    return _together(outcomes)


def _together(outcomes: Iterable[Outcome]) -> Outcome:
    """One outcome for all of some."""
    outcomes = list(outcomes)
    failed = [outcome.message for outcome in outcomes if outcome.state == "failed"]
    return Outcome(
        "backfill",
        "failed" if failed else "succeeded",
        not failed or any(outcome.is_built for outcome in outcomes),
        "; ".join(dict.fromkeys(failed)),
    )


def _nothing_ahead() -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


def fetch_files(
    pipeline: Pipeline,
    paths: Sequence[Path],
    *,
    build: Callable[[], object] = lambda: None,
    ahead: Ahead = _nothing_ahead,
) -> Outcome:
    """Land recorded responses from files, folders and archives; what is here already is left out.

    Args:
        build: called after each chunk but the last.
        ahead: what is built of a chunk while the rest of it is landed.
    """

    def extract() -> Iterator[Extracted]:
        chunks = history.recorded(
            paths,
            now=pipeline.clock.now(),
            is_landed=landed_responses(pipeline.connection.url),
            ledger=pipeline.ledger,
        )
        yield from _land_each(pipeline, chunks, "recorded files")

    return _together(_in_chunks(pipeline, extract(), FILES_CHUNK_ROWS, build, ahead))


def _recorded(pipeline: Pipeline, extracting: Iterator[Extracted]) -> Outcome:
    """Run an extraction as a run of its own in ops.task_runs."""
    rows = 0
    try:
        with pipeline.ledger.run("backfill", wait_seconds=pipeline.wait_seconds) as run:
            failures = list[Exception]()
            for extracted in extracting:
                rows += extracted.row_count
                failures += extracted.failures
                run.row_count = rows
            pipeline.ledger.analyze()
            if failures:
                raise ExceptionGroup("some requests failed", failures)
    except (LinekeeperError, ExtractError, ExceptionGroup) as error:
        return Outcome("backfill", "failed", rows > 0, describe(error))
    return Outcome("backfill", "succeeded", True)


def _in_chunks(
    pipeline: Pipeline,
    extracting: Iterator[Extracted],
    most_rows: int,
    build: Callable[[], object],
    ahead: Ahead = _nothing_ahead,
) -> Iterator[Outcome]:
    """Run an extraction in chunks of about so many rows, each a run of its own, and build between them."""
    rows = most_rows

    def chunk() -> Iterator[Extracted]:
        nonlocal rows
        with ahead() as begin:
            for extracted in extracting:
                rows += extracted.row_count
                yield extracted
                if rows >= most_rows:
                    return
                begin()

    while rows >= most_rows:
        rows = 0
        yield _recorded(pipeline, chunk())
        if rows >= most_rows:
            build()


def _wanted(pipeline: Pipeline) -> Scope:
    """The featured markets that are configured, and where."""
    featured, _ = pipeline.markets
    settings = pipeline.settings
    return odds_api.historical_scope(featured, settings.odds_api_regions, settings.odds_api_bookmakers)


def _odds(pipeline: Pipeline, wanted: Plan, sport: str, tell: Tell) -> Iterator[Extracted]:
    featured, _ = pipeline.markets
    settings, scope, past = pipeline.settings, _wanted(pipeline), past_of(pipeline.ledger, sport)
    cost = {
        at: sum(one.historical_credits for one in past.missing(scope, at))
        for at in odds_api.asked_dates(wanted.start, wanted.end, wanted.step)
    }
    cost = {at: credits for at, credits in cost.items() if credits}
    spent_before, refused = pipeline.ledger.credits_spent, list[BudgetError]()

    def may_spend(credits: int) -> bool:
        left = credits_left(pipeline)
        if left is None or credits <= left:
            return True
        refused.append(
            BudgetError(
                f"the next snapshot costs up to {credits:,} credits of The Odds API and {left:,} may be spent on the "
                "past: what landed stays, the same command goes on where this one stopped, next month or with "
                "another ODDS_API_MONTHLY_CREDITS"
            )
        )
        return False

    chunks = odds_api.odds_api_historical(
        pipeline.odds,
        sport=sport,
        start=wanted.start,
        end=wanted.end,
        step=wanted.step,
        past=past,
        regions=settings.odds_api_regions,
        bookmakers=settings.odds_api_bookmakers,
        markets=featured,
        may_spend=may_spend,
    )

    def progress(last: datetime) -> str:
        to_go = [credits for at, credits in cost.items() if at > last]
        spent = pipeline.ledger.credits_spent - spent_before
        return (
            f"{sport}: {len(cost) - len(to_go):,} of {len(cost):,} snapshots asked, to {last:%Y-%m-%d %H:%M}; "
            f"{spent:,} credits spent, up to {sum(to_go):,} to go"
        )

    yield from _land_each(
        pipeline, chunks, f"{sport} odds", len(cost), tell=lambda asked: tell(progress(_date_of(asked)))
    )
    if refused:
        yield Extracted(failures=(refused[0],))


def _date_of(request: ApiRequest) -> datetime:
    return odds_api.parse_time(request.params["date"])


def _windows(pipeline: Pipeline, start: datetime, end: datetime) -> tuple[list[Window], list[Window]]:
    """The stretches of days of which the schedule and the box scores are not here for good.

    Those of box scores are weeks of the calendar, so that ranges which overlap have them in common.
    """
    first = start.astimezone(EASTERN).date() - timedelta(days=1)
    last = end.astimezone(EASTERN).date() + timedelta(days=1)
    monday = first - timedelta(days=first.weekday())
    starts = [monday + number * STATS_WINDOW for number in range(((last - monday) // STATS_WINDOW) + 1)]
    weeks = [(begin, begin + STATS_WINDOW - timedelta(days=1)) for begin in starts]

    def missing(endpoint: str, windows: list[Window]) -> list[Window]:
        return [
            (begin, until)
            for begin, until in windows
            if not has_all_pages(
                pipeline.ledger,
                endpoint,
                begin,
                until,
                datetime(until.year, until.month, until.day, tzinfo=EASTERN) + timedelta(days=1) + SETTLED_AFTER,
            )
        ]

    return missing("games", [(first, last)]), missing("stats", weeks)


def _games(pipeline: Pipeline, wanted: Plan, tell: Tell) -> Iterator[Extracted]:
    def games() -> Iterator[Extraction]:
        for begin, until in wanted.games:
            yield balldontlie.balldontlie(
                pipeline.schedule, endpoints=["teams", "games"], start_date=begin, end_date=until
            )

    return _land_each(pipeline, games(), "games", tell=lambda _: tell("games of the range landed"))


def _stats(pipeline: Pipeline, wanted: Plan, tell: Tell) -> Iterator[Extracted]:
    def stats() -> Iterator[Extraction]:
        for begin, until in wanted.stats:
            window = balldontlie.balldontlie(pipeline.schedule, endpoints=["stats"], start_date=begin, end_date=until)
            yield window
            # A plan without box scores says so at the first request; asking on would be in vain.
            if window.problems.limits:
                return

    return _land_each(
        pipeline,
        stats(),
        "box scores",
        tell=lambda asked: tell(f"box scores to {asked.params.get('end_date')} landed"),
    )


def _land_each(
    pipeline: Pipeline,
    extractions: Iterable[Extraction],
    what: str,
    request_count: int | None = None,
    *,
    tell: Callable[[ApiRequest], None] = lambda _: None,
) -> Iterator[Extracted]:
    """Land extractions one by one; a failed one does not stop those after it.

    A limit of the plan of The Odds API is a failure here: it was asked for by name.

    Args:
        tell: told the latest request after each load that brought rows.
    """
    rows, latest = 0, list[ApiRequest]()
    with bar(f"fetching {what}", request_count) as progress:

        def note(request: ApiRequest) -> None:
            latest[:] = [request]
            progress.tick(f"fetching {what} {str(request.params.get('date', ''))[:16]}")

        pipeline.ledger.on_request = note
        try:
            for extraction in extractions:
                landing = pipeline.land(extraction)
                landed = sum(landing.rows.values())
                rows += landed
                progress.show(f"fetching {what}: {rows:,} rows landed")
                if landed and latest:
                    tell(latest[0])
                is_named = landing.source == odds_api.SOURCE
                yield Extracted(landed, (*landing.failures, *(landing.limits if is_named else ())))
        finally:
            pipeline.ledger.on_request = None


def build(pipeline: Pipeline, tasks: Sequence[Task]) -> Outcome:
    """Build the models of tasks as one step, asking nothing. Whoever waits goes first.

    It is recorded as `backfill build`, so that the next cycle still finds its own tasks due.
    """
    [outcome] = run_tasks(replace(pipeline, is_past=True), [together("backfill build", tasks)])
    return outcome


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
