"""How tasks are run: in order, recorded, and not stopped by what they do not need."""

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extract.client import Answer, Fetched
from extract.records import AuthenticationError, CircuitOpen, LandingInterrupted, UnreachableHost
from ops.backfill import parse_step
from ops.clock import Clock
from ops.errors import BudgetError, SettingsError, TaskLockedError, TransformError, TransformInterrupted
from ops.ledger import Ledger
from ops.paths import ROOT
from ops.settings import load_settings
from ops.tasks import (
    Extracted,
    Outcome,
    Pipeline,
    Task,
    TasksFailed,
    deploy,
    is_due,
    live_cost,
    raise_failures,
    run_tasks,
    sports_from,
    together,
)  # fmt: skip
from ops.transform import BuildResult, Project, TableContract, TableIndexes
from ops.warehouse import Connection

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Builder(Project):
    """A project that builds nothing, and fails for the tags it is told to."""

    failing: set[str] = field(default_factory=set)
    built: list[str] = field(default_factory=list)
    variables: Mapping[str, object] = field(default_factory=dict)

    def build(self, *tags: str, as_of: datetime, **options: Any) -> BuildResult:
        for tag in tags:
            if tag in self.failing:
                raise TransformError(f"model of {tag} is broken")
            self.built.append(tag)
        return BuildResult((), 0.0)

    def build_all(self, as_of: datetime, **options: Any) -> BuildResult:
        self.variables = options["variables"]
        return self.build("everything", as_of=as_of)

    def indexes(self) -> list[TableIndexes]:
        return []

    def contracts(self) -> list[TableContract]:
        columns = {"game_id": "uuid", "margin": "numeric(10, 1)", "changed_at": "timestamptz"}
        tables = (
            "as_it_was", "got_a_column", "lost_a_column", "lost_an_index", "lost_what_is_read", "retyped", "new"
        )  # fmt: skip
        return [
            *(TableContract(table, "marts", table, columns, frozenset(["game_id"]), True) for table in tables),
            TableContract("got_a_key", "marts", "got_a_key", columns, frozenset(columns), True),
            TableContract("history", "marts", "history", columns),
        ]


@pytest.fixture
def pipeline(warehouse: Connection) -> Iterator[Pipeline]:
    clock = Clock(NOON)
    with Ledger(warehouse, clock) as ledger:
        yield Pipeline(load_settings(), warehouse, clock, ledger, Builder(ROOT))


def _built(pipeline: Pipeline) -> list[str]:
    assert isinstance(pipeline.project, Builder)
    return pipeline.project.built


def _failing(pipeline: Pipeline, *tags: str) -> None:
    assert isinstance(pipeline.project, Builder)
    pipeline.project.failing = set(tags)


def _extracting(*failures: Exception, rows: int = 0) -> Any:
    return lambda pipeline: Extracted(rows, failures, has_answer=rows > 0 or not failures)


def _tasks(ingest: Any = None, results: Any = None) -> list[Task]:
    every = timedelta(minutes=15)
    return [
        Task("ingest", "", ingest, ("ingest",), every),
        Task("snapshot", "", None, ("snapshot",), every, needs=("ingest",)),
        Task("scoring", "", None, ("scoring",), every, needs=("snapshot",)),
        Task("results", "", results, ("results",), every),
        Task("grading", "", None, ("grading",), every, needs=("results",)),
    ]


def _states(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.task: outcome.state for outcome in outcomes}


def test_all_runs_in_order_under_one_correlation_id(pipeline: Pipeline) -> None:
    outcomes = run_tasks(pipeline, _tasks())
    assert set(_states(outcomes).values()) == {"succeeded"}
    assert _built(pipeline) == ["ingest", "snapshot", "scoring", "results", "grading"]
    rows = pipeline.ledger.query("select task, correlation_id from ops.task_runs order by queued_at")
    assert [row[0] for row in rows] == _built(pipeline)
    assert len({row[1] for row in rows}) == 1
    raise_failures(outcomes)


def test_a_model_that_fails_stops_only_what_needs_it(pipeline: Pipeline) -> None:
    _failing(pipeline, "snapshot")
    outcomes = run_tasks(pipeline, _tasks())
    assert _states(outcomes) == {
        "ingest": "succeeded", "snapshot": "failed", "scoring": "skipped", "results": "succeeded",
        "grading": "succeeded",
    }  # fmt: skip
    with pytest.raises(TasksFailed) as error:
        raise_failures(outcomes)
    assert str(error.value) == (
        "snapshot failed: model of snapshot is broken; scoring skipped: it needs snapshot, which could not build"
    )


def test_a_source_that_is_down_beside_one_that_answers_fails_its_task_and_nothing_else(pipeline: Pipeline) -> None:
    outcomes = run_tasks(pipeline, _tasks(ingest=_extracting(UnreachableHost("BallDontLie is down"), rows=12)))
    assert _states(outcomes) == {
        "ingest": "failed", "snapshot": "succeeded", "scoring": "succeeded", "results": "succeeded",
        "grading": "succeeded",
    }  # fmt: skip
    assert "ingest" in _built(pipeline)
    assert pipeline.ledger.query("select state, row_count from ops.task_runs where task = 'ingest'") == [("dead", 12)]


def test_where_nothing_answers_nothing_is_built_on_it(pipeline: Pipeline) -> None:
    outcomes = run_tasks(pipeline, _tasks(ingest=_extracting(AuthenticationError("the key is refused"))))
    assert _built(pipeline) == ["results", "grading"]
    assert _states(outcomes)["scoring"] == "skipped"
    assert pipeline.ledger.query("select state from ops.task_runs where task = 'ingest'") == [("dead",)]


def test_a_task_run_alone_does_not_ask_what_it_needs(pipeline: Pipeline) -> None:
    outcomes = run_tasks(pipeline, [task for task in _tasks() if task.name == "scoring"])
    assert _states(outcomes) == {"scoring": "succeeded"}


def test_tasks_that_are_built_together_are_one_run_that_holds_the_locks_of_all(
    pipeline: Pipeline, warehouse: Connection
) -> None:
    tasks, held = _tasks(), dict[str, bool]()

    def look(pipeline: Pipeline) -> Extracted:
        with Ledger(warehouse) as other:
            for name in ("cycle", "backfill build", *(task.name for task in tasks)):
                try:
                    with other.lock(name):
                        held[name] = False
                except TaskLockedError:
                    held[name] = True
        return Extracted()

    step = dataclasses.replace(together("backfill build", tasks), extract=look)
    assert _states(run_tasks(dataclasses.replace(pipeline, is_past=True), [step])) == {"backfill build": "succeeded"}
    assert _built(pipeline) == ["ingest", "snapshot", "scoring", "results", "grading"]
    assert held == {"cycle": True, "backfill build": False, **{task.name: True for task in tasks}}
    assert pipeline.ledger.query("select task, attempt, state from ops.task_runs") == [
        ("backfill build", 1, "succeeded")
    ]
    assert all(is_due(pipeline, task) for task in tasks)


def test_one_of_them_that_fails_is_named_and_leaves_all_of_them_to_the_next(pipeline: Pipeline) -> None:
    _failing(pipeline, "scoring")
    [outcome] = run_tasks(pipeline, [together("backfill build", _tasks())])
    assert (outcome.state, outcome.is_built) == ("failed", False)
    assert outcome.message == "model of scoring is broken"
    recorded = pipeline.ledger.query("select state, error_message from ops.task_runs")
    assert recorded == [("failed", "model of scoring is broken")]


def _attempts(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, most: int = 3) -> list[float]:
    """Allow attempts; returns the waits between them, of which none is waited."""
    monkeypatch.setenv("LINEKEEPER_TASK_ATTEMPTS", str(most))
    pipeline.settings = load_settings()
    waits: list[float] = []
    pipeline.sleep = waits.append
    return waits


def _states_on_record(pipeline: Pipeline) -> list[tuple[int, str]]:
    return [(row[0], row[1]) for row in pipeline.ledger.query("select attempt, state from ops.task_runs order by 1")]


@pytest.mark.parametrize(
    "error",
    [UnreachableHost("no answer"), LandingInterrupted("the connection was lost"), TransformInterrupted("deadlock")],
)
def test_a_cause_that_may_pass_is_tried_again_with_jitter(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing = [error, error]

    def extract(pipeline: Pipeline) -> Extracted:
        if failing:
            raise failing.pop()
        return Extracted(7)

    waits = _attempts(pipeline, monkeypatch)
    assert _states(run_tasks(pipeline, _tasks(ingest=extract)[:1])) == {"ingest": "succeeded"}
    assert _states_on_record(pipeline) == [(1, "failed"), (2, "failed"), (3, "succeeded")]
    assert len(waits) == 2
    assert 0 <= waits[0] <= 5
    assert 0 <= waits[1] <= 10


def test_the_last_attempt_of_a_cycle_is_dead(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(pipeline: Pipeline) -> Extracted:
        raise UnreachableHost("no answer")

    _attempts(pipeline, monkeypatch)
    outcomes = run_tasks(pipeline, _tasks(ingest=extract)[:1])
    assert (outcomes[0].state, outcomes[0].message) == ("failed", "no answer")
    assert _states_on_record(pipeline) == [(1, "failed"), (2, "failed"), (3, "dead")]


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("the key is refused"), BudgetError("it would cost too much"), CircuitOpen("it is down"),
        TransformError("a model is broken"),
    ],
)  # fmt: skip
def test_what_would_fail_the_same_way_is_not_tried_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def extract(pipeline: Pipeline) -> Extracted:
        raise error

    waits = _attempts(pipeline, monkeypatch)
    assert _states(run_tasks(pipeline, _tasks(ingest=extract)[:1])) == {"ingest": "failed"}
    assert (len(_states_on_record(pipeline)), waits) == (1, [])


def test_no_attempt_is_begun_after_the_cadence(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(pipeline: Pipeline) -> Extracted:
        raise UnreachableHost("no answer")

    waits = _attempts(pipeline, monkeypatch, most=20)
    task = dataclasses.replace(_tasks(ingest=extract)[0], every=timedelta(seconds=0))
    run_tasks(pipeline, [task])
    assert (_states_on_record(pipeline), waits) == ([(1, "dead")], [])


def test_an_unexpected_error_is_recorded_and_not_hidden(pipeline: Pipeline) -> None:
    def broken(pipeline: Pipeline) -> Extracted:
        raise ZeroDivisionError("a fault of the program")

    with pytest.raises(ZeroDivisionError):
        run_tasks(pipeline, _tasks(ingest=broken))
    assert pipeline.ledger.query("select state, error_class from ops.task_runs") == [("failed", "ZeroDivisionError")]


def test_a_stop_is_heard_between_tasks(pipeline: Pipeline) -> None:
    outcomes = run_tasks(pipeline, _tasks(), is_stopping=lambda: len(_built(pipeline)) == 2)
    assert list(_states(outcomes)) == ["ingest", "snapshot"]


@pytest.mark.parametrize(("minutes", "due"), [(0, False), (13, False), (14, True), (15, True), (-1, True)])
def test_a_task_is_due_when_its_cadence_has_passed(pipeline: Pipeline, minutes: int, due: bool) -> None:
    task = _tasks()[0]
    assert is_due(pipeline, task)
    run_tasks(pipeline, [task])
    pipeline.clock = Clock(NOON + timedelta(minutes=minutes))
    assert is_due(pipeline, task) is due


def test_a_failed_task_stays_due(pipeline: Pipeline) -> None:
    _failing(pipeline, "ingest")
    run_tasks(pipeline, _tasks()[:1])
    assert is_due(pipeline, _tasks()[0])


def test_everything_is_built_once_for_each_state_of_the_project(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.tasks.project_hash", lambda root: "first")
    assert deploy(pipeline) is True
    assert deploy(pipeline) is False
    monkeypatch.setattr("ops.tasks.project_hash", lambda root: "second")
    assert deploy(pipeline) is True
    monkeypatch.setattr("ops.tasks.project_hash", lambda root: "first")
    assert deploy(pipeline) is True
    assert _built(pipeline) == ["everything"] * 3


def test_a_project_that_cannot_be_built_is_tried_again(pipeline: Pipeline) -> None:
    _failing(pipeline, "everything")
    with pytest.raises(TransformError):
        deploy(pipeline)
    _failing(pipeline)
    assert deploy(pipeline) is True


@pytest.mark.parametrize(
    ("markets", "regions", "bookmakers", "credits"),
    [
        ("h2h", "us", "", 1),
        ("h2h,spreads,totals", "us,us2", "", 6),
        # Eleven bookmakers are two regions, and win over the regions.
        ("h2h,spreads", "us,uk,eu", ",".join(f"book{number}" for number in range(11)), 4),
        # Player props are asked event by event and cost apart.
        ("h2h,player_points", "us", "", 1),
    ],
)
def test_a_request_for_odds_costs_markets_times_regions(
    markets: str, regions: str, bookmakers: str, credits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODDS_API_MARKETS", markets)
    monkeypatch.setenv("ODDS_API_REGIONS", regions)
    monkeypatch.setenv("ODDS_API_BOOKMAKERS", bookmakers)
    assert live_cost(load_settings(), ["basketball_nba"]) == credits


def test_credits_beyond_ones_own_limit_are_not_spent(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODDS_API_MONTHLY_CREDITS", "10")
    pipeline.settings = load_settings()
    pipeline.check_budget(10)
    with pytest.raises(BudgetError, match="up to 11 credits of The Odds API, 0 are spent"):
        pipeline.check_budget(11)


def test_what_an_earlier_attempt_paid_is_not_to_be_paid_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 5 credits 3 are spent on odds: the same odds cost nothing more, other requests may cost 2."""
    monkeypatch.setenv("ODDS_API_MONTHLY_CREDITS", "5")
    pipeline.settings = load_settings()
    monkeypatch.setattr(pipeline.ledger, "credits_since", lambda instant: 3)
    with pipeline.answers.kept():
        answered = Fetched("one", NOON, {}, Answer([]), "hash")
        pipeline.answers.add(answered, "odds", "/v4/sports/basketball_nba/odds?", 3)
        with pytest.raises(BudgetError):
            pipeline.check_budget(3, "odds")
        pipeline.answers.begin_attempt()
        pipeline.check_budget(3, "odds")
        pipeline.check_budget(5, "odds")
        for credits, endpoint in ((6, "odds"), (3, "scores"), (3, None)):
            with pytest.raises(BudgetError):
                pipeline.check_budget(credits, endpoint)


def test_what_the_real_apis_say_today_is_not_stamped_with_the_past(pipeline: Pipeline) -> None:
    assert pipeline.knows_only_the_present("https://api.the-odds-api.com")
    assert pipeline.knows_only_the_present("https://api.balldontlie.io")
    assert not pipeline.knows_only_the_present("http://127.0.0.1:8000")
    pipeline.clock = Clock()
    assert not pipeline.knows_only_the_present("https://api.the-odds-api.com")


def test_which_source_a_league_has_is_read_from_its_seed() -> None:
    both = ["basketball_nba", "basketball_wnba"]
    assert sports_from("balldontlie", both) == ("basketball_nba",)
    assert sports_from("balldontlie", ["basketball_wnba", "soccer_epl"]) == ()
    assert (Path(ROOT) / "seeds" / "leagues.csv").exists()


@pytest.mark.parametrize(
    ("text", "step"), [("1d", timedelta(days=1)), ("12H", timedelta(hours=12)), ("60m", timedelta(hours=1))]
)
def test_a_step_is_read(text: str, step: timedelta) -> None:
    assert parse_step(text) == step


@pytest.mark.parametrize("text", ["", "d", "0d", "1.5h", "-1d", "1w", "1"])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_step(text)


HAD = {
    "as_it_was": "game_id uuid, margin numeric(10, 1), changed_at timestamptz",
    "got_a_column": "game_id uuid, margin numeric(10, 1)",
    "got_a_key": "game_id uuid, margin numeric(10, 1)",
    "history": "game_id uuid, margin numeric(10, 1)",
    "lost_a_column": "game_id uuid, margin numeric(10, 1), changed_at timestamptz, is_swapped boolean",
    "lost_an_index": "game_id uuid, margin numeric(10, 1), changed_at timestamptz, is_swapped boolean unique",
    "lost_what_is_read": "game_id uuid, margin numeric(10, 1), changed_at timestamptz, is_swapped boolean",
    "retyped": "game_id text, margin numeric(10, 1), changed_at timestamptz",
    "of_nobody": "game_id uuid",
}


@pytest.fixture
def changed(pipeline: Pipeline) -> Builder:
    """A project whose tables have the columns of an older one."""
    pipeline.ledger.query("create schema marts")
    for table, columns in HAD.items():
        pipeline.ledger.query(f"create table marts.{table} ({columns})")
    pipeline.ledger.query("create schema intermediate")
    pipeline.ledger.query("create view intermediate.reads_one as select * from marts.lost_a_column")
    pipeline.ledger.query("create view intermediate.reads_another as select * from marts.lost_what_is_read")
    pipeline.ledger.query("create view marts.reads_what_reads_it as select * from intermediate.reads_another")
    assert isinstance(pipeline.project, Builder)
    return pipeline.project


def test_what_a_change_of_columns_asks_for_is_told_to_the_build(pipeline: Pipeline, changed: Builder) -> None:
    """A column that is added is empty until its table is derived anew; what cannot be added to is made beside."""
    assert deploy(pipeline)
    assert changed.variables == {
        "refilled": ["got_a_column", "lost_a_column"],
        "remade": ["lost_an_index", "lost_what_is_read", "retyped", "got_a_key", "history"],
    }


def test_no_table_is_dropped_before_its_successor_is_there(pipeline: Pipeline, changed: Builder) -> None:
    before = pipeline.ledger.query("select oid from pg_class where relnamespace = 'marts'::regnamespace order by 1")
    assert len(before) == 11
    deploy(pipeline)
    after = pipeline.ledger.query("select oid from pg_class where relnamespace = 'marts'::regnamespace order by 1")
    assert before == after


def test_a_column_is_filled_by_the_next_build_where_this_one_fails(pipeline: Pipeline, changed: Builder) -> None:
    changed.failing = {"everything"}
    with pytest.raises(TransformError):
        deploy(pipeline)
    changed.failing, changed.variables = set(), {}
    assert deploy(pipeline)
    assert changed.variables["refilled"] == ["got_a_column"]
    pipeline.ledger.query("delete from ops.deployments")
    assert deploy(pipeline)
    assert changed.variables["refilled"] == []


def test_a_table_in_use_gets_its_columns_when_it_is_free_and_keeps_nobody_waiting(
    pipeline: Pipeline, changed: Builder, warehouse: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others wait behind the change for as long as it waits for the lock: 0.1 s at a time, and not the 3 s it tries."""
    monkeypatch.setattr("ops.changes.LOCK_MILLISECONDS", 100)
    monkeypatch.setattr("ops.changes.LOCK_SECONDS", 3)
    user = warehouse.connect(autocommit=False)
    user.cursor().execute("select * from marts.got_a_column")
    waits: list[float] = []
    has_ended = threading.Event()

    def read() -> None:
        with warehouse.session() as session, session.cursor() as cursor:
            while not has_ended.is_set():
                began = time.monotonic()
                cursor.execute("select * from marts.got_a_column")
                waits.append(time.monotonic() - began)
                time.sleep(0.01)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with pytest.raises(TransformError, match="got_a_column cannot change its columns: somebody has kept it in use"):
            deploy(pipeline)
    finally:
        has_ended.set()
        reader.join()
        user.close()
    assert 0.05 < max(waits) < 1.5
    assert deploy(pipeline)
