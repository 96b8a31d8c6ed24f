"""How simulated games and their prices go over time."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from typing import Any

import pytest

from simulator import League, LeagueSettings, SimulatorApp, SimulatorClock, serve
from simulator.clock import from_iso, iso
from simulator.play import Game, play
from simulator.schedule import Fixture, fixtures_of_day
from simulator.source import Wanted
from tests.simulator.callers import EVENING, LEAGUE, Caller

EVERYTHING = Wanted(frozenset({"h2h", "spreads", "totals"}), frozenset({"us"}), None)
NBA = "basketball_nba"


@pytest.fixture(scope="module")
def games() -> list[Game]:
    """Every game of the league, played."""
    days = (LEAGUE.first_day + timedelta(days=day) for day in range(LEAGUE.days))
    return [play(fixture) for day in days for fixture in fixtures_of_day(LEAGUE, day)]


def _at(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _implied(american: int) -> float:
    return 100 / (american + 100) if american > 0 else -american / (100 - american)


def _listed(league: League, game: Game, now: int) -> list[dict[str, Any]]:
    teams = (game.fixture.home.odds_name, game.fixture.away.odds_name)
    return [event for event in league.odds(NBA, now, EVERYTHING) if (event["home_team"], event["away_team"]) == teams]


def _plain(games: list[Game]) -> Game:
    return next(game for game in games if not game.fixture.postponement and game.fixture.day.day > 5)


def test_the_same_seed_and_instant_give_the_same_bytes(caller: Caller) -> None:
    paths = ("/events", "/odds", "/scores")
    first = [caller.nba(path).content for path in paths] + [caller.balldontlie("/v1/games").content]
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(EVENING))) as simulator:
        other = Caller(simulator)
        other.past("/odds", iso(int(EVENING.timestamp()) - 90_000))  # what was asked before must not matter
        second = [other.nba(path).content for path in paths] + [other.balldontlie("/v1/games").content]
    assert first == second


def test_another_seed_gives_another_league() -> None:
    day = date(2026, 11, 10)
    pairs = [
        [
            (fixture.home.team_id, fixture.away.team_id)
            for fixture in fixtures_of_day(LeagueSettings(day, seed=seed), day)
        ]
        for seed in (1, 2)
    ]
    assert pairs[0] != pairs[1]


def test_a_game_does_not_depend_on_the_window_of_the_league() -> None:
    day = date(2026, 11, 10)
    whole, part = LeagueSettings(date(2026, 10, 1), days=60), LeagueSettings(day, days=1)
    now = from_iso("2026-11-11T03:00:00Z")
    rows = [row.build() for row in League(whole).games(now) if row.date == "2026-11-10" and not _moved(row.build())]
    assert [row.build() for row in League(part).games(now) if row.date == "2026-11-10"] == rows


def _moved(row: dict[str, Any]) -> bool:
    """Whether a game was first scheduled for another day: its id belongs to that day."""
    return bool((row["id"] - 20_000_000) // 16 != (date.fromisoformat(row["date"]) - date(2000, 1, 1)).days)


@pytest.mark.parametrize("per_day", [1, 4, 8, 15])
def test_no_team_plays_twice_on_a_day(per_day: int) -> None:
    settings = LeagueSettings(date(2026, 11, 1), days=7, games_per_day=per_day)
    for offset in range(7):
        fixtures = fixtures_of_day(settings, settings.first_day + timedelta(days=offset))
        teams = [team for fixture in fixtures for team in (fixture.home, fixture.away)]
        assert len(fixtures) == per_day
        assert len(set(teams)) == 2 * per_day


@pytest.mark.parametrize(("name", "value"), [("games_per_day", 16), ("days", 0), ("lookahead_hours", 0)])
def test_an_impossible_league_is_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        LeagueSettings(date(2026, 11, 1), **{name: value})


def test_a_game_is_scheduled_then_live_then_final(caller: Caller, games: list[Game]) -> None:
    game = _plain(games)
    stages = []
    for now in (game.fixture.starts_at - 60, game.fixture.starts_at + 3_600, game.ends_at + 120):
        caller.simulator.set_clock(_at(now))
        stages.append(caller.balldontlie(f"/v1/games/{game.fixture.game_id}").json()["data"])
    scheduled, live, final = stages
    assert scheduled["status"] == scheduled["datetime"].replace(".000Z", "Z")
    assert live["status"] in ("1st Qtr", "2nd Qtr", "Halftime")
    assert 0 < live["home_team_score"] < final["home_team_score"]
    assert live["home_q4"] is None
    assert final["status"] == "Final"
    assert final["home_team_score"] == game.home_score


def test_the_feed_keeps_a_running_game_and_drops_it_a_quarter_of_an_hour_after_the_end(
    league: League, games: list[Game]
) -> None:
    game = _plain(games)
    upcoming = _listed(league, game, game.fixture.starts_at - 7_200)[-1]
    live = _listed(league, game, game.fixture.starts_at + 3_600)[-1]
    stale = _listed(league, game, game.ends_at + 14 * 60)[-1]
    assert live["id"] == upcoming["id"] == stale["id"]
    assert live["commence_time"] == iso(game.fixture.starts_at) < iso(game.fixture.starts_at + 3_600)
    assert len(live["bookmakers"]) < len(upcoming["bookmakers"]) == 11
    assert all(book["last_update"] <= iso(game.ends_at) for book in stale["bookmakers"])
    assert _listed(league, game, game.ends_at + 15 * 60) == []


def test_commence_time_moves_by_minutes_to_the_actual_start(league: League, games: list[Game]) -> None:
    game = _plain(games)
    starts = game.fixture.starts_at
    listed, near, started = (
        from_iso(_listed(league, game, now)[-1]["commence_time"]) for now in (starts - 7_200, starts - 1, starts + 60)
    )
    assert started == starts
    assert near % 60 == 0
    assert 0 <= near - started < 60
    assert listed % 60 == 0
    assert 0 < started - listed <= 600
    assert abs(listed - game.fixture.tip) <= 600  # the schedule itself says up to ten minutes less


def test_a_postponed_game_leaves_the_feed_and_comes_back_under_another_id(
    league: League, games: list[Game], caller: Caller
) -> None:
    game = next(
        game
        for game in games
        if (moved := game.fixture.postponement) and moved.announced_at > game.fixture.tip - 12 * 3_600
    )
    fixture, moved = game.fixture, game.fixture.postponement
    assert moved is not None
    before = _listed(league, game, moved.announced_at - 60)[0]
    assert _listed(league, game, moved.announced_at) == []
    after = _listed(league, game, moved.tip - 3_600)[-1]
    assert before["id"] != after["id"]
    assert 3 <= (moved.day - fixture.day).days <= 14
    rows = []
    for now in (moved.announced_at - 1, moved.announced_at, moved.rescheduled_at, game.ends_at + 120):
        caller.simulator.set_clock(_at(now))
        rows.append(caller.balldontlie(f"/v1/games/{fixture.game_id}").json()["data"])
    assert [row["date"] for row in rows] == [str(fixture.day), str(fixture.day), str(moved.day), str(moved.day)]
    assert rows[1]["status"] == "Postponed"
    assert rows[2]["status"] == rows[2]["datetime"].replace(".000Z", "Z")
    assert rows[3]["status"] == "Final"


def test_a_completed_score_agrees_with_the_schedule_source(caller: Caller) -> None:
    caller.simulator.set_clock(EVENING + timedelta(hours=12))
    completed = [row for row in caller.nba("/scores", {"daysFrom": "1"}).json() if row["completed"]]
    finals = {
        row["home_team"]["full_name"].replace("LA Clippers", "Los Angeles Clippers"): row
        for row in caller.all_pages("/v1/games", {"dates[]": "2026-11-13"})
    }
    assert completed
    for row in completed:
        final = finals[row["home_team"]]
        assert [score["score"] for score in row["scores"]] == [
            str(final["home_team_score"]),
            str(final["visitor_team_score"]),
        ]


def test_about_as_many_prices_change_between_polls_as_in_a_recorded_feed(league: League) -> None:
    """Recorded: 10 % of rows before and 94 % during the game changed between polls a quarter of an hour apart."""
    start = from_iso("2026-11-12T12:00:00Z")
    before: dict[tuple[str, str, str], list[Any]] = {}
    changed: Counter[tuple[bool, bool]] = Counter()
    renewed = 0
    stamps: dict[tuple[str, str, str], str] = {}
    for poll in range(96):
        now = start + 900 * poll
        current = {
            (event["id"], book["key"], market["key"]): (event["commence_time"] < iso(now), market)
            for event in league.odds(NBA, now, EVERYTHING)
            for book in event["bookmakers"]
            for market in book["markets"]
        }
        for key, (is_live, market) in current.items():
            if key in before:
                changed[is_live, before[key] != market["outcomes"]] += 1
                renewed += stamps[key] < market["last_update"]
                assert stamps[key] <= market["last_update"]
        before = {key: market["outcomes"] for key, (_, market) in current.items()}
        stamps = {key: market["last_update"] for key, (_, market) in current.items()}
    assert 0.04 < changed[False, True] / (changed[False, True] + changed[False, False]) < 0.13
    assert changed[True, True] / (changed[True, True] + changed[True, False]) > 0.85
    assert renewed / sum(changed.values()) > 0.95


def test_a_few_answers_are_not_sorted_by_start(league: League) -> None:
    """Recorded: 10 to 18 % of the answers are not in order of commence_time."""
    start = from_iso("2026-11-10T12:00:00Z")
    answers = [[event["commence_time"] for event in league.events(NBA, start + 1_800 * poll)] for poll in range(200)]
    unsorted = sum(answer != sorted(answer) for answer in answers)
    assert 0.05 < unsorted / len(answers) < 0.25


def test_some_books_are_off_by_enough_to_be_worth_a_pick(league: League) -> None:
    """Against the mean de-vigged price of the other books on the same line, a few quotes of a board have an edge."""
    edges = 0
    quotes = 0
    for hours in range(0, 72, 4):
        now = from_iso("2026-11-12T20:00:00Z") + hours * 3_600
        for event in league.odds(NBA, now, EVERYTHING):
            if event["commence_time"] < iso(now):
                continue
            lines: dict[tuple[Any, ...], list[tuple[float, float]]] = defaultdict(list)
            for book in event["bookmakers"]:
                for market in book["markets"]:
                    first, second = (_implied(outcome["price"]) for outcome in market["outcomes"])
                    lines[market["key"], market["outcomes"][0].get("point")].append((first / (first + second), first))
            for line in lines.values():
                for index, (_, offered) in enumerate(line):
                    others = [fair for number, (fair, _) in enumerate(line) if number != index]
                    if len(others) >= 3:
                        quotes += 1
                        edges += sum(others) / len(others) / offered > 1.02
    assert 0.001 < edges / quotes < 0.03


def test_results_are_consistent_with_the_prices() -> None:
    """Over 1,500 games the standardised surprise against the market's last margin has mean 0 and variance 1."""
    settings = LeagueSettings(date(2025, 11, 1), days=125, games_per_day=12, seed=3)
    fixtures: list[Fixture] = [
        fixture
        for day in range(settings.days)
        for fixture in fixtures_of_day(settings, settings.first_day + timedelta(days=day))
    ]
    played = [play(fixture) for fixture in fixtures]
    surprises = [(game.home_score - game.away_score - game.expected_margin) / 12.4 for game in played]
    mean = sum(surprises) / len(surprises)
    variance = sum((surprise - mean) ** 2 for surprise in surprises) / len(surprises)
    assert abs(mean) < 4 / sqrt(len(surprises))
    assert variance == pytest.approx(1.0, abs=0.15)
    overtimes = sum(game.overtimes > 0 for game in played) / len(played)
    assert 0.03 < overtimes < 0.09  # recorded season 2023-24: 62 of 1,319 = 4.7 %
    totals = sum(game.home_score + game.away_score for game in played) / len(played)
    assert totals == pytest.approx(228, abs=6)  # recorded season 2023-24: about 228 points


def test_a_share_of_scores_can_be_frozen_as_completed() -> None:
    settings = LeagueSettings(date(2026, 11, 1), days=10, frozen_score_share=1.0, postponed_share=0.0)
    frozen = League(settings)
    now = from_iso("2026-11-06T14:00:00Z")
    completed = [row for row in frozen.scores(NBA, now, 1) if row["completed"]]
    finals = {row.build()["home_team"]["name"]: row.build() for row in frozen.games(now) if row.date == "2026-11-05"}
    assert completed
    for row in completed:
        final = next(final for name, final in finals.items() if row["home_team"].endswith(name))
        assert int(row["scores"][0]["score"]) < final["home_team_score"]
