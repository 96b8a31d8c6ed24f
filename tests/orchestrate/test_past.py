"""Backfilling and replaying against the simulator, without building models."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extract import balldontlie, odds_api
from extract.client import RetryPolicy
from extract.records import DeadLetter
from ops import backfill, dead_letters
from ops.clock import Clock
from ops.errors import LinekeeperError
from ops.ledger import Ledger
from ops.paths import ROOT
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
    simulator.clear_faults()
    assert backfill.fetch(pipeline, _plan(pipeline)).state == "succeeded"
    assert _plan(pipeline).snapshots == {NBA: 0}
    assert _count(pipeline, "staging_odds_api.responses") == 4


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
        how = {"endpoint": "odds", "params": {"markets": "h2h"}, "captured_at": captured_at}
        return DeadLetter("element", "odds_api", "odds", "odds/1", "missing_id", "id is None", payload, None, how)

    pipeline.ledger.dead_letter(letter({"sport_key": NBA}))
    [kept] = dead_letters.find(pipeline.ledger)
    with pytest.raises(LinekeeperError, match="was refused again"):
        replay(pipeline, kept)
    sound = {"id": "e" * 32, "sport_key": NBA, "commence_time": "2026-11-24T00:10:00Z"}
    pipeline.ledger.dead_letter(letter(sound))
    kept = next(one for one in dead_letters.find(pipeline.ledger) if one.natural_key == "odds/1")
    assert replay(pipeline, kept) == 1
    assert pipeline.ledger.query("select event_id, captured_at from staging_odds_api.odds") == [
        ("e" * 32, datetime(2026, 11, 23, 17, tzinfo=UTC))
    ]
    # A row of `responses` would say that this was all there was.
    assert _count(pipeline, "staging_odds_api.responses") == 0


def test_what_the_models_settle_is_not_replayed(pipeline: Pipeline) -> None:
    pipeline.ledger.dead_letter(DeadLetter("event", "odds_api", None, "e9", "no_game"))
    [letter] = dead_letters.find(pipeline.ledger)
    with pytest.raises(LinekeeperError, match="settled by the models"):
        replay(pipeline, letter)
