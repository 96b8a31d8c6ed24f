"""Backfilling and replaying against the simulator, without building models."""

import calendar
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from extract import balldontlie, history, odds_api
from extract.client import RetryPolicy
from extract.records import ApiRequest, DeadLetter
from ops import backfill, dead_letters
from ops.clock import Clock
from ops.errors import LinekeeperError
from ops.ledger import Ledger
from ops.paths import ROOT
from ops.recovery import recover
from ops.replay import replay
from ops.settings import load_settings
from ops.tasks import Pipeline, extract_ingest, extract_results, extract_team_stats
from ops.transform import Project
from ops.warehouse import Connection
from simulator.app import DEFAULT_KEY, Options, SimulatorApp
from simulator.clock import SimulatorClock
from simulator.league import League
from simulator.schedule import LeagueSettings
from simulator.server import Simulator, serve

NBA = "basketball_nba"
NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def options() -> Options:
    return Options()


@pytest.fixture
def simulator(options: Options) -> Iterator[Simulator]:
    league = League(LeagueSettings(first_day=(NOW - 4 * DAY).date(), days=8, games_per_day=3))
    with serve(SimulatorApp(league, SimulatorClock(NOW), options)) as simulator:
        yield simulator


@pytest.fixture
def pipeline(simulator: Simulator, warehouse: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for name, value in {
        "ODDS_API_KEY": DEFAULT_KEY,
        "ODDS_API_URL": simulator.base_url,
        "BALLDONTLIE_API_KEY": DEFAULT_KEY,
        "BALLDONTLIE_URL": simulator.base_url,
        "BALLDONTLIE_REQUESTS_PER_MINUTE": "100000",
    }.items():
        monkeypatch.setenv(name, value)
    clock = Clock(NOW)
    with Ledger(warehouse, clock) as ledger:
        opened = Pipeline(load_settings(), warehouse, clock, ledger, Project(ROOT))
        impatient = RetryPolicy(max_attempts=1)
        key = opened.settings.odds_key()
        url = simulator.base_url
        opened.__dict__["odds"] = odds_api.connect(base_url=url, key=key, ledger=ledger, clock=clock, retry=impatient)
        opened.__dict__["schedule"] = balldontlie.connect(
            base_url=url, key=key, ledger=ledger, clock=clock, retry=impatient, requests_per_minute=100_000
        )
        yield opened


def _count(pipeline: Pipeline, table: str) -> int:
    return int(pipeline.ledger.query(f"select count(*) from {table}")[0][0])


def _plan(pipeline: Pipeline, days: int = 3) -> backfill.Plan:
    return backfill.plan(pipeline, [NBA], NOW - days * DAY, NOW, DAY)


def test_a_backfill_costs_what_it_said_and_a_second_one_nothing(pipeline: Pipeline, simulator: Simulator) -> None:
    wanted = _plan(pipeline)
    # 4 snapshots, 3 markets, 1 region, ten-fold: 120 credits at most.
    assert (wanted.snapshots, wanted.credits) == ({NBA: 4}, 120)
    assert backfill.fetch(pipeline, wanted).state == "succeeded"
    assert 0 < pipeline.ledger.credits_spent <= 120
    assert _count(pipeline, "staging_odds_api.responses") == 4
    assert _count(pipeline, "staging_balldontlie.games") > 0
    assert _count(pipeline, "staging_balldontlie.stats") > 0
    assert _plan(pipeline).credits == 0
    before = len(simulator.requests)
    backfill.fetch(pipeline, _plan(pipeline))
    assert not any("/historical/" in request.path for request in simulator.requests[before:])
    runs = pipeline.ledger.query("select state, row_count > 0 from ops.task_runs where task = 'backfill'")
    # Games, odds and box scores of the first; the range is not settled, so games and box scores again.
    assert runs == [("succeeded", True)] * 5


def test_a_backfill_that_broke_off_goes_on_where_it_was(pipeline: Pipeline, simulator: Simulator) -> None:
    simulator.inject_fault("status", path="/v4/historical/*", times=1, skip=2, status=500)
    outcome = backfill.fetch(pipeline, _plan(pipeline))
    assert (outcome.state, outcome.is_built) == ("failed", True)
    assert _plan(pipeline).snapshots == {NBA: 1}
    assert len(dead_letters.find(pipeline.ledger)) == 1
    simulator.clear_faults()
    assert backfill.fetch(pipeline, _plan(pipeline)).state == "succeeded"
    # Its date has been answered: nobody is to replay it, and pay again.
    assert dead_letters.find(pipeline.ledger) == []
    assert _plan(pipeline).snapshots == {NBA: 0}
    assert _count(pipeline, "staging_odds_api.responses") == 4


FETCH = """
import sys
from functools import partial
from ops import backfill
from ops.clock import Clock
from ops.ledger import Ledger
from ops.settings import load_settings
from ops.tasks import Pipeline
from ops.transform import Project
from ops.warehouse import external
from tests.killing import die_on_call
from tests.orchestrate.test_past import NOW, _plan
die_on_call(sys.argv[1], int(sys.argv[2]))
backfill.odds_api.odds_api_historical = partial(backfill.odds_api.odds_api_historical, size=3)
connection = external(load_settings())
with Ledger(connection, Clock(NOW)) as ledger:
    pipeline = Pipeline(load_settings(), connection, Clock(NOW), ledger, Project())
    backfill.fetch(pipeline, _plan(pipeline))
"""
"""Fetches in loads of three answers, and is killed on a call of a function."""


@pytest.mark.parametrize(
    ("function", "number", "paid_twice"),
    [
        # Games have landed; three snapshots are in this load.
        ("dlt.destinations.impl.postgres.postgres.PostgresClient.complete_load", 2, 0),
        # The third answer came, was paid for and recorded, and is lost: one request at most is under way at a time.
        ("ops.ledger.Ledger.keep_response", 5, 1),
    ],
)
def test_a_backfill_that_was_killed_pays_for_no_answer_that_arrived(
    pipeline: Pipeline, simulator: Simulator, function: str, number: int, paid_twice: int
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", FETCH, function, str(number)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = _spent(pipeline)
    assert before[0] >= 2
    deadline = time.monotonic() + 20
    while _count(pipeline, "ops.task_runs where finished_at is null"):
        assert time.monotonic() < deadline
        pipeline.ledger.abandon_killed()
    recover(pipeline)
    assert _plan(pipeline).snapshots == {NBA: 4 - before[0] + paid_twice}
    assert backfill.fetch(pipeline, _plan(pipeline)).state == "succeeded"

    # 10 x 3 markets x 1 region x 4 snapshots
    assert _spent(pipeline) == (4 + paid_twice, 120 + 30 * paid_twice)
    assert sum("/historical/" in request.path for request in simulator.requests) == 4 + paid_twice
    assert _count(pipeline, "staging_odds_api.responses") == 4
    assert pipeline.ledger.query(
        "select count(*), count(distinct (event_id, captured_at)) = count(*), count(distinct captured_at) "
        "from staging_odds_api.odds"
    ) == pipeline.ledger.query("select sum(element_count)::bigint, true, 4::bigint from staging_odds_api.responses")


def _spent(pipeline: Pipeline) -> tuple[Any, ...]:
    """Requests for odds of the past and what they cost, by the ledger."""
    return pipeline.ledger.query(
        "select count(*), coalesce(sum(credits_last), 0) from ops.api_requests where endpoint = 'historical_odds'"
    )[0]


def test_beyond_the_last_snapshot_nothing_is_asked_twice(pipeline: Pipeline, simulator: Simulator) -> None:
    """The source stands still two days before the end of the range."""
    simulator.set_clock(NOW - 2 * DAY)
    assert _plan(pipeline).snapshots == {NBA: 4}
    assert backfill.fetch(pipeline, _plan(pipeline)).state == "succeeded"
    # Three days ago, and two days ago, which is the last there is.
    assert _spent(pipeline) == (2, 60)
    assert _plan(pipeline).snapshots == {NBA: 0}
    # A day later the clock has gone on, and so may the source have.
    simulator.set_clock(NOW + DAY)
    pipeline.clock = Clock(NOW + DAY)
    later = backfill.plan(pipeline, [NBA], NOW - 3 * DAY, NOW + DAY, DAY)
    assert later.snapshots == {NBA: 1}


@pytest.mark.parametrize(
    ("first", "then", "planned", "paid"),
    [
        # 10 x 1 market x 1 region x 4 snapshots, and no more than what is missing.
        ({"MARKETS": "h2h,spreads"}, {"MARKETS": "h2h,spreads,totals"}, 40, 40),
        ({"MARKETS": "h2h,spreads"}, {"MARKETS": "h2h"}, 0, 0),
        # 10 x 3 x 1 x 4: a second bookmaker; up to ten cost as much as one, but the first is here.
        ({"BOOKMAKERS": "fanduel"}, {"BOOKMAKERS": "draftkings,fanduel"}, 120, 120),
        # 10 x (h2h x eu + totals x eu and us) x 4. No bookmaker of the simulated league is European, and a
        # request that brings nothing costs nothing: 10 x totals x 2 x 4 remain.
        ({"MARKETS": "h2h"}, {"MARKETS": "h2h,totals", "REGIONS": "us,eu"}, 120, 80),
    ],
)
def test_what_is_added_is_paid_for_alone(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    first: dict[str, str],
    then: dict[str, str],
    planned: int,
    paid: int,
) -> None:
    def fetch_with(settings: dict[str, str]) -> int:
        with monkeypatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(f"ODDS_API_{name}", value)
            configured = _configured(pipeline)
            wanted = replace(_plan(configured), games=[], stats=[])
            assert backfill.fetch(configured, wanted).state == "succeeded"
            assert _plan(configured).credits == 0
            return wanted.credits

    fetch_with(first)
    before = _spent(pipeline)[1]
    assert fetch_with(then) == planned
    assert _spent(pipeline)[1] - before == paid


def _configured(pipeline: Pipeline) -> Pipeline:
    """The same with the settings read anew."""
    configured = replace(pipeline, settings=load_settings())
    configured.__dict__["odds"], configured.__dict__["schedule"] = pipeline.odds, pipeline.schedule
    return configured


def test_a_backfill_stops_before_the_limit_and_goes_on_when_it_may(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(credits: int) -> Pipeline:
        monkeypatch.setenv("ODDS_API_MONTHLY_CREDITS", str(credits))
        return _configured(pipeline)

    narrow = limited(119)
    wanted = replace(_plan(narrow), games=[], stats=[])
    assert (wanted.credits, wanted.credits_left) == (120, 119)
    told: list[str] = []
    outcome = backfill.fetch(narrow, wanted, tell=told.append)
    # A fourth would make it 120.
    assert _spent(pipeline) == (3, 90)
    assert (outcome.state, outcome.is_built) == ("failed", True)
    assert "the next snapshot costs up to 30 credits" in outcome.message
    assert "29 may be spent" in outcome.message
    assert "the same command goes on" in outcome.message
    assert told[0] == f"{NBA}: 3 of 4 snapshots asked, to 2026-11-22 18:00; 90 credits spent, up to 30 to go"
    assert _count(pipeline, "staging_odds_api.responses") == 3

    # What landed stays; still nothing more is spent.
    assert backfill.fetch(narrow, wanted).state == "failed"
    assert _spent(pipeline) == (3, 90)
    assert backfill.fetch(limited(120), wanted).state == "succeeded"
    assert _spent(pipeline) == (4, 120)


def test_cycles_keep_the_credits_that_they_will_need(pipeline: Pipeline) -> None:
    """What they spent in the last day, on each day that is left of the month."""

    def spend(credits: int, *, hours_ago: float, endpoint: str = "odds", remaining: int | None = None) -> None:
        at = datetime.now(UTC) - timedelta(hours=hours_ago)
        pipeline.ledger.record_request(
            ApiRequest(
                str(uuid4()), "odds_api", endpoint, "/v4", {}, at, at, 200, None, None, 1, 1.0, 0, 2, credits, None,
                remaining,
            )
        )  # fmt: skip

    assert backfill.credits_left(pipeline) is None
    now = datetime.now(UTC)
    hours_left = (calendar.monthrange(now.year, now.month)[1] - now.day + 1) * 24 - now.hour - now.minute / 60
    spend(7, hours_ago=0, endpoint="historical_odds", remaining=50_000)
    assert backfill.credits_left(pipeline) == 50_000
    spend(48, hours_ago=0, remaining=49_952)
    # 48 credits in a day are 2 an hour.
    left = backfill.credits_left(pipeline)
    assert left is not None
    assert abs(left - (49_952 - 2 * hours_left)) <= 2
    pipeline.settings = pipeline.settings.model_copy(update={"odds_api_monthly_credits": 56})
    assert backfill.credits_left(pipeline) == 0


def test_the_past_asks_balldontlie_half_as_often_as_the_plan_allows(pipeline: Pipeline) -> None:
    for allowed, shared in ((5, 2), (60, 30), (1, 1)):
        pipeline.settings = pipeline.settings.model_copy(update={"balldontlie_requests_per_minute": allowed})
        assert replace(pipeline, is_past=True).requests_per_minute == shared
        assert pipeline.requests_per_minute == allowed


def test_recorded_files_land_once(pipeline: Pipeline, tmp_path: Path) -> None:
    board = [{"id": "e" * 32, "sport_key": NBA, "commence_time": "2026-11-24T00:00:00Z", "bookmakers": []}]
    (tmp_path / "2026-11-23T164527Z.json").write_text(json.dumps(board))
    (tmp_path / "2026-11-23T170027Z.json").write_text("{cut off")
    outcome = backfill.fetch_files(pipeline, [tmp_path])
    assert (outcome.state, outcome.is_built) == ("failed", True)
    assert "170027Z" in outcome.message
    assert _count(pipeline, "staging_odds_api.odds") == 1
    backfill.fetch_files(pipeline, [tmp_path])
    assert _count(pipeline, "staging_odds_api.odds") == 1
    assert backfill.fetch_files(pipeline, [tmp_path / "nothing"]).message.endswith(
        "give a file, a folder or an archive"
    )


def test_many_files_are_landed_in_chunks_with_a_step_between(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(history, "FILES_PER_LOAD", 1)
    # A file is two rows: its event and its response.
    monkeypatch.setattr(backfill, "FILES_CHUNK_ROWS", 4)
    for hour in range(5):
        board = [{"id": "e" * 32, "sport_key": NBA, "commence_time": f"2026-11-24T0{hour}:00:00Z", "bookmakers": []}]
        (tmp_path / f"2026-11-23T1{hour}0000Z.json").write_text(json.dumps(board))
    landed = list[int]()
    outcome = backfill.fetch_files(
        pipeline, [tmp_path], build=lambda: landed.append(_count(pipeline, "staging_odds_api.odds"))
    )
    assert (outcome.state, landed) == ("succeeded", [2, 4])
    assert _count(pipeline, "staging_odds_api.odds") == 5
    runs = pipeline.ledger.query(
        "select state, row_count from ops.task_runs where task = 'backfill' order by queued_at"
    )
    assert runs == [("succeeded", 4), ("succeeded", 4), ("succeeded", 2)]


class TestFreePlan:
    """The free plan of BallDontLie, which has no box scores."""

    @pytest.fixture
    def options(self) -> Options:
        return Options(tier="free")

    def test_is_enough_for_a_backfill_and_says_once_what_it_lacks(
        self, pipeline: Pipeline, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(Pipeline, "tell_once", lambda self, message: told.append(message))
        assert backfill.fetch(pipeline, _plan(pipeline)).state == "succeeded"
        assert sum("/stats" in request.path for request in simulator.requests) == 1
        assert len(told) == 1
        assert "/stats" in told[0]
        assert _count(pipeline, "staging_balldontlie.games") > 0


def test_the_three_extractions_ask_what_they_should(pipeline: Pipeline, simulator: Simulator) -> None:
    for extract in (extract_team_stats, extract_ingest, extract_results):
        extracted = extract(pipeline)
        assert extracted.failures == ()
        assert extracted.row_count > 0
    paths = [request.path for request in simulator.requests]
    # Without a mart of games nothing says that a score is due, so none is paid for.
    assert not any(path.endswith("/scores") for path in paths)
    assert {path.rsplit("/", 1)[-1] for path in paths} == {"teams", "games", "players", "events", "odds"}
    asked = dict(next(request.params for request in simulator.requests if request.path.endswith("/games")))
    assert asked["start_date"] == "2026-11-20"


def test_one_source_down_leaves_the_other(pipeline: Pipeline, simulator: Simulator) -> None:
    simulator.inject_fault("status", path="/v4/*", times=None, status=503)
    extracted = extract_ingest(pipeline)
    assert extracted.has_answer
    assert len(extracted.failures) == 2
    assert _count(pipeline, "staging_balldontlie.games") > 0
    assert _count(pipeline, "staging_odds_api.responses") == 0


def test_a_failed_request_is_replayed(pipeline: Pipeline, simulator: Simulator) -> None:
    simulator.inject_fault("status", path="/v4/historical/*", times=1, status=500)
    simulator.inject_fault("status", path="/v1/games", times=1, status=500)
    simulator.inject_fault("status", path="/v1/stats", times=1, status=500)
    backfill.fetch(pipeline, _plan(pipeline))
    letters = dead_letters.find(pipeline.ledger)
    assert {letter.endpoint for letter in letters} == {"historical_odds", "games", "stats"}
    for letter in letters:
        assert replay(pipeline, letter) > 0
    assert dead_letters.find(pipeline.ledger) == []
    assert {letter.state for letter in dead_letters.find(pipeline.ledger, state=None)} == {"replayed"}
    assert _plan(pipeline).snapshots == {NBA: 0}


def test_a_request_that_fails_again_stays_open(pipeline: Pipeline, simulator: Simulator) -> None:
    simulator.inject_fault("status", path="/v4/sports/*/odds", times=None, status=500)
    extract_ingest(pipeline)
    [letter] = dead_letters.find(pipeline.ledger)
    with pytest.raises(Exception, match="has a problem of its own"):
        replay(pipeline, letter)
    [again] = dead_letters.find(pipeline.ledger)
    assert again.attempts == 2


def test_a_refused_element_lands_among_those_of_its_response_once_it_can(pipeline: Pipeline) -> None:
    def letter(payload: Any) -> DeadLetter:
        captured_at = "2026-11-23T17:00:00+00:00"
        how = {"endpoint": "odds", "params": {"markets": "h2h"}, "captured_at": captured_at, "request_id": request_id}
        return DeadLetter("element", "odds_api", "odds", "odds/1", "missing_id", "id is None", payload, None, how)

    request_id = str(uuid4())

    pipeline.ledger.dead_letter(letter({"sport_key": NBA}))
    [kept] = dead_letters.find(pipeline.ledger)
    with pytest.raises(LinekeeperError, match="was refused again"):
        replay(pipeline, kept)
    sound = {"id": "e" * 32, "sport_key": NBA, "commence_time": "2026-11-24T00:10:00Z"}
    pipeline.ledger.dead_letter(letter(sound))
    kept = next(one for one in dead_letters.find(pipeline.ledger) if one.natural_key == "odds/1")
    assert replay(pipeline, kept) == 1
    assert pipeline.ledger.query("select event_id, captured_at, request_id from staging_odds_api.odds") == [
        ("e" * 32, datetime(2026, 11, 23, 17, tzinfo=UTC), request_id)
    ]
    # A row of `responses` would say that this was all there was.
    assert _count(pipeline, "staging_odds_api.responses") == 0


def test_what_the_models_settle_is_not_replayed(pipeline: Pipeline) -> None:
    pipeline.ledger.dead_letter(DeadLetter("event", "odds_api", None, "e9", "no_game"))
    [letter] = dead_letters.find(pipeline.ledger)
    with pytest.raises(LinekeeperError, match="settled by the models"):
        replay(pipeline, letter)
