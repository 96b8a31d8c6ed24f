"""An evening of a simulated league, cycle by cycle: picks, tip-offs, closes, finals and grades."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests

from ops.settings import load_settings
from ops.tasks import open_pipeline
from ops.transform import project_in
from ops.warehouse import Connection
from simulator import DEFAULT_KEY, League, LeagueSettings, Options, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.recordings import OTHER_NAMES, Poll, account, instant
from tests.end_to_end.settling import outcome, profit
from tests.end_to_end.warehouses import TOOK, Warehouse, assert_closes, kept_changes, simulated, warehouse

LEAGUE = LeagueSettings(
    first_day=date(2026, 11, 8), days=6, games_per_day=8, seed=4, postponed_share=0.0, relisted_share=0.0
)
SLATE = "2026-11-10"
QUARTER = timedelta(minutes=15)

TIP_OFFS = [datetime(2026, 11, 11, 0, 30, tzinfo=UTC) + number * QUARTER for number in range(5)]
"""19:30 to 20:30 in New York, when most games of the evening tip off."""

FINALS = [datetime(2026, 11, 11, 3, 45, tzinfo=UTC) + number * QUARTER for number in range(3)]
"""22:45 to 23:15, when most have ended."""

END = FINALS[-1]

WITHOUT_TIME_OF_ASKING = {"grades": {"graded_at"}}
"""A cycle learns a result within half an hour, a backfill when it runs: by mart, the columns that say when."""


@dataclass(frozen=True)
class Evening:
    """A warehouse after the last cycle, the boards that its cycles were shown, and the games that had ended by then."""

    warehouse: Warehouse
    simulator: Simulator
    polls: list[Poll]
    finals: list[dict[str, Any]]

    @property
    def end(self) -> str:
        """When the last cycle ran."""
        return self.polls[-1].captured_at.isoformat()


@pytest.fixture(scope="module")
def league() -> Iterator[Simulator]:
    """The league; whoever asks it sets its clock first."""
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(END))) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def evening(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Evening]:
    """Cycles all evening, at the instants of which the historical endpoint will have a snapshot."""
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        league.set_clock(END)
        polls = []
        for at in [_snapshot_before(league, nominal) for nominal in (*TIP_OFFS, *FINALS)]:
            league.set_clock(at)
            polls.append(Poll(at, _board(league)))
            done = made.succeed("cycle", "--as-of", at.isoformat())
        TOOK[f"a cycle of {len(polls[-1].events)} events"] = done.seconds
        finals = [game for game in _games(league) if game["status"] == "Final" and game["date"] == SLATE]
        assert 4 <= len(finals) <= LEAGUE.games_per_day
        yield Evening(made, league, polls, finals)


def test_a_cycle_runs_what_is_due(evening: Evening) -> None:
    runs = "select task, count(*) from ops.task_runs where state = 'succeeded' group by 1"
    counts = dict(evening.warehouse.rows(runs))
    for task in ("run_ingest", "run_snapshot", "run_scoring"):
        assert counts[task] == 8
    # Every other quarter of an hour: three of the five first cycles, two of the three last.
    for task in ("run_results_sync", "run_grading"):
        assert counts[task] == 5
    assert counts["run_team_stats"] == 1
    assert evening.warehouse.value("select count(*) from ops.task_runs where state <> 'succeeded'") == 0


def test_cycles_of_one_process_parse_the_project_once(evening: Evening) -> None:
    with patch.dict(os.environ, evening.warehouse.environment()):
        with open_pipeline(load_settings(), evening.end) as first:
            parsed = first.project._manifest
        with open_pipeline(load_settings(), evening.end) as second:
            second.project.parse()
    assert parsed is not None
    assert second.project._manifest is parsed


def test_every_change_of_the_boards_is_kept(evening: Evening) -> None:
    expected = account(evening.polls)
    assert expected.rejected == {}
    assert Counter(kept_changes(evening.warehouse)) == Counter(expected.changes)


def test_picks_are_made_before_the_start_on_prices_that_were_there(evening: Evening) -> None:
    offered = {
        (poll.captured_at, event["id"], book["key"], market["key"], outcome["name"]): (
            outcome["price"], outcome.get("point"), poll.captured_at < instant(event["commence_time"])
        )
        for poll in evening.polls
        for event in poll.events
        for book in event["bookmakers"]
        for market in book["markets"]
        for outcome in market["outcomes"]
    }  # fmt: skip
    found = evening.warehouse.rows(
        """
        select
            decided_at, event_id, bookmaker_key, market_key, outcome_name, price_american, line_points::float,
            decided_at < coalesce(games.commences_at, 'infinity')
        from marts.picks
        left join marts.game_id_map on picks.event_id = game_id_map.source_id and game_id_map.source = 'odds_api'
        left join marts.games using (game_id)
        """
    )
    assert len(found) >= 5
    for *key, price, line, is_before_the_start in found:
        assert offered[tuple(key)] == (price, line, True)
        assert is_before_the_start


def test_closes_are_measured_across_the_start(evening: Evening) -> None:
    assert_closes(evening.warehouse, evening.polls, at_least=200)
    begun = {
        event["id"]
        for poll in evening.polls
        for event in poll.events
        if _has_begun(event, evening.polls[-1].captured_at)
    }
    closed = evening.warehouse.rows("select distinct event_id from marts.closing_lines")
    assert {event_id for (event_id,) in closed} == begun
    assert len(begun) >= 4


def test_the_board_marks_the_games_that_had_begun_by_the_start_as_listed_then(evening: Evening) -> None:
    """Whatever start is listed later: one that is planted changes no board of before."""
    made = evening.warehouse
    # The function comes with the view; that of the copied warehouse asks the other database.
    with patch.dict(os.environ, made.environment()):
        project_in(made.target).invoke("run", ["--select", "price_offers"], as_of=END)
    seen = set()
    with closing(made.connection.connect(autocommit=False)) as session, session.cursor() as cursor:
        for is_planted in (False, True):
            for poll in evening.polls:
                at = poll.captured_at + timedelta(seconds=1)
                starts = {event["id"]: instant(event["commence_time"]) for event in poll.events}
                cursor.execute("select distinct event_id, is_in_play from marts.board_at(%s)", [at])
                board = dict(cursor.fetchall())
                assert board == {event_id: starts[event_id] <= at for event_id in board}, is_planted
                seen |= set(board.values())
            if is_planted:
                break
            cursor.execute(
                """
                insert into marts.event_versions (
                    event_id, first_seen_at, last_seen_at, sport_key, home_team_name, away_team_name, commences_at,
                    status, first_listed_at
                )
                select
                    event_id, %(later)s, %(later)s, sport_key, home_team_name, away_team_name,
                    commences_at + interval '10 hours', status, first_listed_at
                from marts.event_versions
                where superseded_at is null and first_seen_at < %(later)s
                """,
                {"later": END + QUARTER},
            )
            assert cursor.rowcount > 4
    assert seen == {True, False}


def test_results_are_what_the_schedule_says(evening: Evening) -> None:
    found = evening.warehouse.rows(
        "select balldontlie_game_id, home_score, away_score, periods from marts.game_results "
        "inner join marts.games using (game_id) where game_date_et = %s",
        [SLATE],
    )
    assert sorted(found) == sorted(
        (game["id"], game["home_team_score"], game["visitor_team_score"], game["period"]) for game in evening.finals
    )


def test_grades_pay_what_the_final_score_says(evening: Evening) -> None:
    """Profit from the price and the payload's score; a pick on tomorrow's game is pending."""
    finals = {game["id"]: game for game in evening.finals}
    found = evening.warehouse.rows(
        """
        select
            picks.market_key, picks.outcome_name, picks.line_points::float, picks.price_american,
            games.balldontlie_game_id, grades.outcome, grades.profit_units, grades.grade_version
        from marts.picks
        inner join marts.grades on picks.pick_id = grades.pick_id and grades.is_latest
        left join marts.game_id_map on picks.event_id = game_id_map.source_id and game_id_map.source = 'odds_api'
        left join marts.games on game_id_map.game_id = games.game_id
        """
    )
    assert len(found) == evening.warehouse.value("select count(*) from marts.picks")
    settled = 0
    for market, name, line, price, game_id, graded, paid, version in found:
        game = finals.get(game_id)
        if game is None:
            assert (graded, paid, version) == ("pending", None, 0)
            continue
        side = "home" if name == _odds_name(game["home_team"]) else "away" if market != "totals" else name.lower()
        expected = outcome(market, side, line, game["home_team_score"], game["visitor_team_score"])
        assert (graded, version) == (expected, 1)
        assert abs(float(paid) - float(profit(expected, price))) < 1e-6
        settled += 1
    assert settled >= 2


def test_the_last_cycle_again_changes_nothing(evening: Evening) -> None:
    again = ("cycle", "--all", "--as-of", evening.end)
    evening.simulator.set_clock(evening.polls[-1].captured_at)
    before = evening.warehouse.content()
    assert "nothing is due" in evening.warehouse.succeed("cycle", "--as-of", evening.end).out
    evening.warehouse.succeed(*again)
    after = evening.warehouse.content()
    # The daily task was not due before: now it has the box scores, and has seen the schedule of more days again.
    assert {mart for mart in before if after[mart] != before[mart]} <= {"team_stats", "players", "game_versions"}
    evening.warehouse.succeed(*again)
    assert evening.warehouse.content() == after


def test_a_backfill_scores_and_picks_as_the_cycles_did(
    evening: Evening, server: Connection, deployed: Connection, targets: Path, league: Simulator
) -> None:
    league.set_clock(END)
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as past:
        for begin, end in ((TIP_OFFS[0], TIP_OFFS[-1]), (FINALS[0], FINALS[-1])):
            span = ("--from", begin.isoformat(), "--to", end.isoformat(), "--step", "15m")
            past.succeed("backfill", *span, "--yes", "--as-of", END.isoformat())
        captures = past.rows("select captured_at from staging_odds_api.responses order by 1")
        assert captures == [(poll.captured_at,) for poll in evening.polls]
        assert past.value("select count(*) from marts.market_scores") > 1000
        then, now = (each.content(WITHOUT_TIME_OF_ASKING) for each in (evening.warehouse, past))
        for mart in ("market_scores", "picks", "odds_snapshots", "markets", "closing_lines", "pick_clv", "grades"):
            assert now[mart] == then[mart], mart


def test_the_free_tier_is_enough_for_everything_but_box_scores(
    server: Connection, deployed: Connection, targets: Path
) -> None:
    """Sixteen days are three windows of box scores; the first answer tells that there are none to be had."""
    app = SimulatorApp(League(LEAGUE), SimulatorClock(END), Options(tier="free", requests_per_minute=600))
    with serve(app) as simulator, warehouse(server, targets, deployed, **simulated(simulator.base_url)) as made:
        as_of = ("--as-of", END.isoformat())
        done = made.start(
            sys.executable, "orchestrate.py", "backfill", "--from", "2026-10-26", "--to", "2026-11-11", "--yes", *as_of
        )
        assert done.code == 0, done.log
        assert sum("/stats" in line and "plan" in line for line in done.log.splitlines()) == 1, done.log
        assert sum(request.path.endswith("/stats") for request in simulator.requests) == 1
        done = made.start(sys.executable, "orchestrate.py", "cycle", "--all", *as_of)
        assert done.code == 0, done.log
        assert sum("plan" in line for line in done.log.splitlines()) == 1, done.log

        assert made.value("select count(*) from marts.game_results") > LEAGUE.games_per_day
        assert made.value("select count(*) from marts.players") == 30 * 13
        assert made.value("select count(*) from marts.market_scores") > 100
        assert made.value("select count(*) from marts.team_stats where is_win is not null") > 2 * LEAGUE.games_per_day
        assert made.value("select count(*) from marts.team_stats where field_goals_attempted is not null") == 0


def _snapshot_before(simulator: Simulator, at: datetime) -> datetime:
    """When the last snapshot up to an instant was taken."""
    asked = {"apiKey": DEFAULT_KEY, "regions": "us", "markets": "h2h", "date": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    url = f"{simulator.base_url}/v4/historical/sports/basketball_nba/odds"
    answer = requests.get(url, params=asked, timeout=10)
    answer.raise_for_status()
    return instant(answer.json()["timestamp"])


def _board(simulator: Simulator) -> list[dict[str, Any]]:
    """What The Odds API shows now."""
    asked = {"apiKey": DEFAULT_KEY, "regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
    answer = requests.get(f"{simulator.base_url}/v4/sports/basketball_nba/odds", params=asked, timeout=10)
    answer.raise_for_status()
    events: list[dict[str, Any]] = answer.json()
    return events


def _games(simulator: Simulator) -> list[dict[str, Any]]:
    """What BallDontLie shows now."""
    answer = requests.get(
        f"{simulator.base_url}/v1/games", params={"per_page": 100}, headers={"Authorization": DEFAULT_KEY}, timeout=10
    )
    answer.raise_for_status()
    games: list[dict[str, Any]] = answer.json()["data"]
    return games


def _has_begun(event: dict[str, Any], at: datetime) -> bool:
    return instant(event["commence_time"]) <= at


def _odds_name(team: dict[str, str]) -> str:
    return OTHER_NAMES.get(team["full_name"], team["full_name"])
