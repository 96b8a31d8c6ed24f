"""What the tasks extract, and how one is run. The table of tasks itself stands in orchestrate.py."""

import csv
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog
import tenacity

from extract import balldontlie, odds_api
from extract.client import Answers, ApiClient
from extract.extraction import Extraction
from extract.landing import Landing, land
from extract.records import (
    BadPayload,
    CircuitOpen,
    DeadLetter,
    ExtractError,
    LandingError,
    RateLimited,
    RetryableError,
    ServerError,
    UnreachableHost,
)
from ops import changes, dead_letters
from ops.clock import Clock, parse_instant
from ops.errors import BudgetError, LinekeeperError, TransformInterrupted, UnknownNameError
from ops.ledger import LONG, Ledger, TaskRun, describe, leaves
from ops.pace import SharedPace
from ops.paths import ROOT
from ops.progress import bar
from ops.recovery import recover
from ops.roles import open_warehouse, transforming
from ops.settings import Settings
from ops.transform import OnNode, Project, project_hash, project_in
from ops.warehouse import Connection

EASTERN = ZoneInfo("America/New_York")
"""Game dates of BallDontLie are days of US Eastern time."""

SCHEDULE_DAYS_AHEAD = 7
"""What ingest asks of the schedule: one page of 100 games holds eight days of a full NBA slate."""

SEASON_DAYS_AHEAD = 45
"""What the daily task asks of the schedule, for odds that open weeks before a game."""

RESULT_DAYS_BACK = 10
"""How long a game without a result is asked for again."""

STATS_GAMES_PER_RUN = 200
"""Box scores asked in one run: 200 games are about 70 pages, a minute on the ALL-STAR plan."""

PLAYERS_MIN_RATE = 30
"""Below this many requests a minute the 5,000 players, 50 pages, would hold everything else up."""

FIRST_TASK_WAIT, LONGEST_TASK_WAIT = 5.0, 60.0
"""Seconds before a task is tried again: from 0 to 5, 10, 20 … 60. Its requests have waited minutes by then."""

PASSING = tuple(kind.reason for kind in (UnreachableHost, RateLimited, ServerError, BadPayload))
"""Reasons of dead letters that are worth asking again within minutes."""

PAST_SHARE = 0.5
"""What a backfill may use of the requests a minute that a plan of BallDontLie allows: the rest is for cycles."""

TURN_SECONDS = 900.0
"""How long a step of the past waits for cycles, which go first: longer than the longest may take."""

REAL_HOSTS = ("the-odds-api.com", "balldontlie.io")

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Task:
    """A step of the pipeline.

    Attributes:
        name: the command.
        summary: what it does, for `--help`.
        extract: what it asks of the APIs, None if nothing.
        builds: the dbt tags of its models.
        every: how often `cycle` finds it due.
        asks: the APIs whose keys it needs.
        needs: tasks whose models must have been built before, where they run in the same cycle.
        stands_for: the tasks whose locks it holds in place of its own.
    """

    name: str
    summary: str
    extract: "Callable[[Pipeline], Extracted] | None"
    builds: tuple[str, ...]
    every: timedelta
    asks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    stands_for: tuple[str, ...] = ()

    @property
    def locks(self) -> tuple[str, ...]:
        """The names of the locks that it holds."""
        return self.stands_for or (self.name,)


@dataclass(frozen=True)
class Extracted:
    """What came of asking: rows that landed, and what failed beside them."""

    row_count: int = 0
    failures: tuple[Exception, ...] = ()
    has_answer: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of a task: `succeeded`, `failed` or `skipped`. A failed task may yet have built its models."""

    task: str
    state: str
    is_built: bool
    message: str = ""


class TasksFailed(LinekeeperError):
    """Some of the tasks asked for did not work; the message names them."""


@dataclass
class Pipeline:
    """What a task works with. Clients are made when first asked for, so that a key is missed only where needed.

    Attributes:
        is_past: whether it is at work on the past, and so leaves to cycles what they need.
        answers: what the APIs answer over the attempts of the task that is under way.
    """

    settings: Settings
    connection: Connection
    clock: Clock
    ledger: Ledger
    project: Project
    wait_seconds: float = 0
    on_node: OnNode | None = None
    sleep: Callable[[float], None] = time.sleep
    is_past: bool = False
    answers: Answers = field(default_factory=Answers)

    @cached_property
    def odds(self) -> ApiClient:
        """The client of The Odds API."""
        client = odds_api.connect(
            base_url=self.settings.odds_api_url,
            key=self.settings.odds_key(),
            ledger=self.ledger,
            clock=self.clock,
        )
        client.answers = self.answers
        return client

    @cached_property
    def schedule(self) -> ApiClient:
        """The client of BallDontLie."""
        client = balldontlie.connect(
            base_url=self.settings.balldontlie_url,
            key=self.settings.balldontlie_key(),
            ledger=self.ledger,
            clock=self.clock,
            rate_limit=SharedPace(
                self.ledger, balldontlie.SOURCE, self.requests_per_minute, balldontlie.MINUTE, sleep=self.sleep
            ),
        )
        client.answers = self.answers
        return client

    @property
    def requests_per_minute(self) -> int:
        """How often BallDontLie may be asked: as often as the plan allows, or a share of that for the past."""
        allowed = self.settings.balldontlie_requests_per_minute
        return max(1, int(allowed * PAST_SHARE)) if self.is_past else allowed

    @cached_property
    def markets(self) -> tuple[list[str], list[str]]:
        """The configured markets: asked for a whole sport, asked event by event."""
        return odds_api.split_markets(self.settings.odds_api_markets)

    @property
    def today(self) -> date:
        """The US Eastern date."""
        return self.clock.now().astimezone(EASTERN).date()

    def land(self, extraction: Extraction) -> Landing:
        """Land an extraction, and say once what the plan of a key does not include."""
        landing = land(self.connection.url, extraction)
        for limit in landing.limits:
            self.tell_once(str(limit))
        return landing

    def tell_once(self, message: str) -> None:
        """Say something that stays true, once in the life of this process."""
        if message in _TOLD:
            return
        _TOLD.add(message)
        logger.warning(message)

    def knows_only_the_present(self, url: str) -> bool:
        """Whether asking this address would record today's state as that of another time.

        With `--as-of` in the past a capture would be stamped with that past. A simulator has that
        past; the real APIs' live endpoints do not.
        """
        if not self.clock.is_fixed or abs(datetime.now(UTC) - self.clock.now()) < timedelta(minutes=5):
            return False
        host = urlsplit(url).hostname or ""
        if not host.endswith(REAL_HOSTS):
            return False
        self.tell_once(f"nothing is asked of {host}: it knows only the present; `backfill` fetches the past")
        return True

    def check_budget(self, credits: int, endpoint: str | None = None) -> None:
        """Refuse to spend beyond ODDS_API_MONTHLY_CREDITS.

        Args:
            credits: what is to be asked costs at most.
            endpoint: where all of it is asked; what an earlier attempt was told there is not paid for again.

        Raises:
            BudgetError: the month's spending and this request together exceed it.
        """
        limit = self.settings.odds_api_monthly_credits
        if endpoint is not None:
            credits = max(0, credits - self.answers.credits(endpoint))
        if limit is None or credits == 0:
            return
        now = datetime.now(UTC)
        spent = self.ledger.credits_since(now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        if spent + credits > limit:
            raise BudgetError(
                f"this would cost up to {credits:,} credits of The Odds API, {spent:,} are spent this month "
                f"and ODDS_API_MONTHLY_CREDITS is {limit:,}: raise it, or ask for fewer markets or regions"
            )


_TOLD: set[str] = set()


@contextmanager
def open_pipeline(settings: Settings, as_of: str | None = None, wait_seconds: float = 0) -> Iterator[Pipeline]:
    """Open the warehouse and a ledger, and put right what stands in the way of a run.

    Runs whose runner was killed are marked; everything is built once if the dbt project has changed; what earlier
    runs had captured and not landed is landed.

    Args:
        as_of: the pipeline's now, as ISO 8601; the real time if None.
        wait_seconds: how long to wait for another runner of a task.

    Raises:
        LinekeeperError: the warehouse cannot be used, or the project cannot be built.
    """
    clock = Clock(parse_instant(as_of) if as_of else None)
    connection = open_warehouse(settings)
    with Ledger(connection, clock) as ledger, bar("building") as progress:
        project = project_in(Project().target_folder)
        pipeline = Pipeline(settings, connection, clock, ledger, project, wait_seconds, progress.tick)
        ledger.abandon_killed()
        deploy(pipeline)
        recover(pipeline)
        yield pipeline


def live_cost(settings: Settings, sports: Collection[str]) -> int:
    """Return the credits that one request for the odds of these sports costs at most."""
    featured, _ = odds_api.split_markets(settings.odds_api_markets)
    ten_fold = odds_api.historical_cost(
        snapshots=len(sports),
        markets=featured,
        regions=settings.odds_api_regions,
        bookmakers=settings.odds_api_bookmakers,
    )
    return ten_fold // 10


def sports_from(source: str, sports: Collection[str]) -> tuple[str, ...]:
    """Return those of some sports whose schedule or results come from a source.

    Raises:
        LinekeeperError: the seed of leagues cannot be read.
    """
    try:
        with (ROOT / "seeds" / "leagues.csv").open(encoding="utf-8", newline="") as file:
            leagues = list(csv.DictReader(file))
        return tuple(
            row["sport_key"]
            for row in leagues
            if row["sport_key"] in sports and source in (row["schedule_source"], row["results_source"])
        )
    except (OSError, KeyError) as error:
        raise LinekeeperError(f"seeds/leagues.csv cannot be read: {error}") from None


def check_keys(settings: Settings, tasks: Iterable[Task]) -> None:
    """Fail before anything is begun if the key of an API that these tasks ask is missing.

    Raises:
        SettingsError: names the variable.
    """
    asked = {source for task in tasks for source in task.asks}
    if "odds_api" in asked:
        settings.odds_key()
    if "balldontlie" in asked and sports_from("balldontlie", settings.odds_api_sports):
        settings.balldontlie_key()


# -- what tasks extract


def extract_team_stats(pipeline: Pipeline) -> Extracted:
    """Ask BallDontLie for teams, players, the schedule of the weeks ahead, and box scores of games that ended."""
    if not sports_from("balldontlie", pipeline.settings.odds_api_sports):
        return Extracted()
    client = pipeline.schedule
    if pipeline.knows_only_the_present(pipeline.settings.balldontlie_url):
        return Extracted()
    endpoints = ["teams", "games"]
    if pipeline.settings.balldontlie_requests_per_minute >= PLAYERS_MIN_RATE:
        endpoints.append("players")
    asks = [
        lambda: balldontlie.balldontlie(
            client,
            endpoints=endpoints,
            start_date=pipeline.today - timedelta(days=3),
            end_date=pipeline.today + timedelta(days=SEASON_DAYS_AHEAD),
        )
    ]
    if game_ids := _games_without_box_score(pipeline):
        asks.append(lambda: balldontlie.balldontlie(client, endpoints=["stats"], game_ids=game_ids))
    return _gather(pipeline, asks)


def extract_ingest(pipeline: Pipeline) -> Extracted:
    """Ask The Odds API for events and odds, and BallDontLie for the games around today."""
    settings = pipeline.settings
    asks: list[Callable[[], Extraction]] = []
    odds, schedule = pipeline.odds, None
    if sports_from("balldontlie", settings.odds_api_sports):
        schedule = pipeline.schedule
    featured, event_markets = pipeline.markets

    def ask_odds() -> Extraction:
        pipeline.check_budget(live_cost(settings, settings.odds_api_sports), "odds")
        return odds_api.odds_api(
            odds,
            sports=settings.odds_api_sports,
            regions=settings.odds_api_regions,
            bookmakers=settings.odds_api_bookmakers,
            markets=featured,
            event_markets=event_markets,
            endpoints=["events", *(["odds"] if featured else []), *(["event_odds"] if event_markets else [])],
        )

    if not pipeline.knows_only_the_present(settings.odds_api_url):
        asks.append(ask_odds)
    if schedule is not None and not pipeline.knows_only_the_present(settings.balldontlie_url):
        games = schedule
        asks.append(
            lambda: balldontlie.balldontlie(
                games,
                endpoints=["games"],
                start_date=pipeline.today - timedelta(days=1),
                end_date=pipeline.today + timedelta(days=SCHEDULE_DAYS_AHEAD),
            )
        )
    return _gather(pipeline, asks)


def extract_results(pipeline: Pipeline) -> Extracted:
    """Ask BallDontLie for the games that should have ended, and The Odds API for their scores as a cross-check."""
    settings = pipeline.settings
    asks: list[Callable[[], Extraction]] = []
    pending = _games_without_result(pipeline)
    if sports_from("balldontlie", settings.odds_api_sports) and not pipeline.knows_only_the_present(
        settings.balldontlie_url
    ):
        client = pipeline.schedule
        dates = sorted({game_date for _, game_date in pending})
        # Without any, the last two days: a result may still be corrected.
        asks.append(
            lambda: balldontlie.balldontlie(
                client,
                endpoints=["games"],
                dates=dates or [pipeline.today - timedelta(days=1), pipeline.today],
            )
        )
    sports = sorted({sport for sport, _ in pending} & set(settings.odds_api_sports))
    if sports and not pipeline.knows_only_the_present(settings.odds_api_url):
        odds = pipeline.odds

        def ask_scores() -> Extraction:
            pipeline.check_budget(2 * len(sports), "scores")
            return odds_api.odds_api(odds, sports=sports, endpoints=["scores"], scores_days=3)

        asks.append(ask_scores)
    return _gather(pipeline, asks)


def _gather(pipeline: Pipeline, asks: Iterable[Callable[[], Extraction]]) -> Extracted:
    """Land each, and go on where one fails: what does not need it shall not wait for it.

    Raises:
        LandingError: the warehouse itself is the problem.
    """
    rows, failures, has_answer = 0, list[Exception](), False
    for ask in asks:
        try:
            landing = pipeline.land(ask())
        except LandingError:
            raise
        except (ExtractError, BudgetError) as error:
            failures.append(error)
            continue
        rows += sum(landing.rows.values())
        has_answer = has_answer or bool(landing.rows) or not landing.failures
        failures += landing.failures
    return Extracted(rows, tuple(failures), has_answer or not failures)


def _games_without_result(pipeline: Pipeline) -> list[tuple[str, date]]:
    """Return sport key and US Eastern date of the games that began two hours ago and have no result."""
    ledger = pipeline.ledger
    if not (ledger.exists("marts.games") and ledger.exists("marts.game_results")):
        return []
    rows = ledger.query(
        """
        select distinct leagues.sport_key, games.game_date_et
        from marts.games
        inner join reference.leagues on games.league = leagues.league
        left join marts.game_results on games.game_id = game_results.game_id
        where game_results.game_id is null
            and games.status not in ('cancelled', 'postponed')
            and games.commences_at < %(now)s - interval '2 hours'
            and games.commences_at > %(now)s - %(days)s * interval '1 day'
        """,
        {"now": pipeline.clock.now(), "days": RESULT_DAYS_BACK},
    )
    return [(row[0], row[1]) for row in rows]


def _games_without_box_score(pipeline: Pipeline) -> list[int]:
    """Return BallDontLie's ids of ended games whose box score is missing, or fresh enough to be corrected."""
    ledger = pipeline.ledger
    if not (ledger.exists("marts.games") and ledger.exists("marts.game_results")):
        return []
    rows = ledger.query(
        """
        select games.balldontlie_game_id
        from marts.game_results
        inner join marts.games on game_results.game_id = games.game_id
        where games.balldontlie_game_id is not null
            and games.commences_at <= %(now)s
            and games.commences_at > %(now)s - interval '30 days'
            and (
                games.commences_at > %(now)s - interval '36 hours'
                or not exists (
                    select 1 from staging_balldontlie.stats
                    where stats.game_id = games.balldontlie_game_id
                )
            )
        order by games.commences_at desc
        limit %(limit)s
        """,
        {"now": pipeline.clock.now(), "limit": STATS_GAMES_PER_RUN},
    )
    return [int(row[0]) for row in rows]


# -- running them


def run_task(pipeline: Pipeline, task: Task) -> Outcome:
    """Run one task, and again where it failed for a cause that may pass, until its cadence is over.

    What landed is built even where something else failed to land, or a name in it is unknown; the task fails all
    the same. Each attempt is a row in ops.task_runs; the last one that could still have been repeated is `dead`.
    """
    work = _Work(pipeline, task)
    retrying = tenacity.Retrying(
        stop=(
            tenacity.stop_after_attempt(pipeline.settings.linekeeper_task_attempts)
            | tenacity.stop_before_delay(task.every.total_seconds())
        ),
        wait=tenacity.wait_random_exponential(multiplier=FIRST_TASK_WAIT, max=LONGEST_TASK_WAIT),
        retry=tenacity.retry_if_exception(may_pass),
        before_sleep=lambda state: logger.warning(
            "task tried again", task=task.name, wait_seconds=round(state.upcoming_sleep, 1)
        ),
        sleep=pipeline.sleep,
        reraise=True,
    )
    try:
        with pipeline.answers.kept():
            retrying(work.attempt)
    except (LinekeeperError, ExtractError, ExceptionGroup) as error:
        if work.run is not None and may_pass(error):
            pipeline.ledger.give_up(work.run)
        return Outcome(task.name, "failed", work.is_built, describe(error))
    return Outcome(task.name, "succeeded", work.is_built)


def may_pass(error: BaseException) -> bool:
    """Whether the same again may work within minutes: not a wrong key, nor a source whose circuit is open."""
    return any(
        isinstance(leaf, (RetryableError, TransformInterrupted)) and not isinstance(leaf, CircuitOpen)
        for leaf in leaves(error)
    )


@dataclass
class _Work:
    """A task over its attempts: a later one asks only what was not answered before, so that nothing is paid twice.

    Attributes:
        run: the attempt that is under way, or was the last one.
        is_built: whether the models have been built.
    """

    pipeline: Pipeline
    task: Task
    run: TaskRun | None = None
    is_built: bool = False
    _extracted: Extracted | None = None
    _failed: list[DeadLetter] = field(default_factory=list)

    def attempt(self) -> None:
        """Ask, land, build, collect dead letters. It is recorded whatever becomes of it.

        Where the landing itself failed, the next attempt extracts again: what was answered comes from memory and
        lands then, unless it has landed since, and the rest is asked.
        """
        pipeline, task = self.pipeline, self.task
        pipeline.answers.begin_attempt()
        with (
            _turn(pipeline, task),
            pipeline.ledger.run(task.name, *task.locks, wait_seconds=pipeline.wait_seconds) as self.run,
        ):
            run = self.run
            failed = [*self._failed]
            try:
                if self._extracted is None:
                    extracted = task.extract(pipeline) if task.extract else Extracted()
                    _settle(pipeline, failed, run.failed_requests)
                else:
                    extracted = _again(pipeline, failed, self._extracted)
            finally:
                self._failed += run.failed_requests
            self._extracted = extracted
            run.row_count = extracted.row_count
            if extracted.has_answer:
                pipeline.ledger.analyze()
                built = pipeline.project.build(*task.builds, as_of=pipeline.clock.now(), on_node=pipeline.on_node)
                self.is_built = True
                run.row_count += built.row_count
                pipeline.ledger.analyze()
                dead_letters.collect(pipeline.ledger)
            failures = list(extracted.failures)
            if "ingest" in task.builds:
                failures += [UnknownNameError(message) for message in dead_letters.unknown_names(pipeline.ledger)]
            if failures:
                raise ExceptionGroup("not all went well", failures)


@contextmanager
def _turn(pipeline: Pipeline, task: Task) -> Iterator[None]:
    """Of the past, wait for a moment in which no cycle is under way and nobody waits for one, and hold it."""
    if not pipeline.is_past:
        yield
        return
    # A new process needs seconds for that; a cycle is not to wait for it.
    pipeline.project.parse()
    with pipeline.ledger.lock("cycle", *task.locks, wait_seconds=TURN_SECONDS, gives_way=True):
        yield


def _settle(pipeline: Pipeline, failed: Iterable[DeadLetter], failed_again: Iterable[DeadLetter]) -> None:
    """Close the dead letters of requests that failed in an attempt and were answered in a later one."""
    again = {(letter.source, letter.natural_key) for letter in failed_again}
    for letter in dead_letters.of_requests(pipeline.ledger, failed):
        is_answered = pipeline.answers.has(letter.endpoint or "", letter.natural_key)
        if is_answered and (letter.source, letter.natural_key) not in again:
            dead_letters.close(pipeline.ledger, letter, "replayed", "answered in the next attempt of its task")


def _again(pipeline: Pipeline, failed: Iterable[DeadLetter], extracted: Extracted) -> Extracted:
    """Ask again the requests that failed in earlier attempts, if that may help."""
    from ops.replay import ask_again

    rows, failures = 0, [error for error in extracted.failures if not isinstance(error, RetryableError)]
    failures += [error for error in extracted.failures if isinstance(error, CircuitOpen)]
    for letter in dead_letters.of_requests(pipeline.ledger, failed):
        if letter.reason not in PASSING:
            continue
        try:
            rows += ask_again(pipeline, letter)
        except LandingError:
            raise
        except (ExtractError, BudgetError) as error:
            failures.append(error)
    return Extracted(rows, tuple(failures), extracted.has_answer or rows > 0)


def run_tasks(
    pipeline: Pipeline, tasks: Iterable[Task], *, is_stopping: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """Run tasks in order. One that needs another's models is skipped where those could not be built.

    Args:
        is_stopping: asked before each task; when true, the rest is left for the next time.
    """
    outcomes: dict[str, Outcome] = {}
    with structlog.contextvars.bound_contextvars(correlation_id=pipeline.ledger.correlation_id):
        for task in tasks:
            if is_stopping():
                break
            missing = [name for name in task.needs if name in outcomes and not outcomes[name].is_built]
            if missing:
                outcomes[task.name] = Outcome(
                    task.name, "skipped", False, f"it needs {', '.join(missing)}, which could not build"
                )
                logger.warning("task skipped", task=task.name, because=missing)
            else:
                outcomes[task.name] = run_task(pipeline, task)
    return list(outcomes.values())


def together(name: str, tasks: Sequence[Task]) -> Task:
    """Return a task that builds the models of all of some tasks in one dbt run, asking nothing.

    dbt builds what does not rest on one another side by side, and leaves out what rests on a model that failed.
    """
    return Task(
        name,
        f"What {', '.join(task.name for task in tasks)} build.",
        None,
        tuple(tag for task in tasks for tag in task.builds),
        min(task.every for task in tasks),
        stands_for=tuple(task.name for task in tasks),
    )


def raise_failures(outcomes: Iterable[Outcome]) -> None:
    """Fail if any task did.

    Raises:
        TasksFailed: one line that names each task and why.
    """
    failed = [outcome for outcome in outcomes if outcome.state != "succeeded"]
    if failed:
        raise TasksFailed("; ".join(f"{outcome.task} {outcome.state}: {outcome.message}" for outcome in failed))


def is_due(pipeline: Pipeline, task: Task) -> bool:
    """Whether a task's last success is as old as its cadence, or lies ahead of an `--as-of`.

    A tenth of the cadence is forgiven, so that a cycle which begins a second early does not wait for the next.
    """
    last = pipeline.ledger.last_success(task.name)
    if last is None:
        return True
    age = pipeline.clock.now() - last
    return age < timedelta(0) or age >= task.every * 0.9


def deploy(pipeline: Pipeline) -> bool:
    """Build everything once if the dbt project is not the one that last built this warehouse.

    Afterwards each task needs to build its own models only. Returns whether it built.

    Raises:
        TransformError: a seed or model failed.
        TaskLockedError: tasks are running elsewhere.
    """
    ledger = pipeline.ledger
    now = project_hash(pipeline.project.root)
    if deployed_hash(ledger) == now:
        return False
    # A backfill or rebuild may go on for hours: it holds the locks of tasks while it builds, and only then.
    names = [
        row[0] for row in ledger.query("select distinct task from ops.task_runs where task <> all(%s)", ([*LONG],))
    ]
    with ledger.lock("deploy", *names, wait_seconds=max(pipeline.wait_seconds, 60)):
        if deployed_hash(ledger) == now:
            return False
        with ledger.run("deploy") as run:
            owner, contracts = transforming(pipeline.connection), pipeline.project.contracts()
            indexes = pipeline.project.indexes()
            changes.drop_indexes(owner, indexes)
            found = changes.prepare(owner, contracts)
            changes.make_indexes(owner, indexes, found.remade)
            changes.tell_all_due(owner, contracts)
            built = pipeline.project.build_all(
                pipeline.clock.now(), variables=found.variables(), on_node=pipeline.on_node
            )
            changes.settle(owner, contracts)
            run.row_count = built.row_count
            ledger.query(
                """
                insert into ops.deployments (project_hash, deployed_at) values (%s, %s)
                on conflict (project_hash) do update set deployed_at = excluded.deployed_at
                """,
                (now, datetime.now(UTC)),
            )
    return True


def deployed_hash(ledger: Ledger) -> str | None:
    rows = ledger.query("select project_hash from ops.deployments order by deployed_at desc limit 1")
    return str(rows[0][0]) if rows else None
