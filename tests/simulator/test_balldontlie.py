"""BallDontLie's authorisation, pages, filters and rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator import DEFAULT_KEY, League, Options, SimulatorApp, SimulatorClock, serve
from tests.simulator.callers import EVENING, Caller

PERIODS = ("q1", "q2", "q3", "q4", "ot1", "ot2", "ot3")
GAME_KEYS = {
    *("id", "date", "season", "status", "period", "time", "postseason", "home_team_score", "visitor_team_score"),
    *("datetime", "home_timeouts_remaining", "home_in_bonus", "visitor_timeouts_remaining", "visitor_in_bonus"),
    *(f"{side}_{period}" for side in ("home", "visitor") for period in PERIODS),
    *("home_team", "visitor_team"),
}


@pytest.mark.parametrize("key", ["", "wrong", f"Bearer {DEFAULT_KEY}"])
def test_a_wrong_key_is_plain_text_401(caller: Caller, key: str) -> None:
    response = caller.balldontlie("/v1/games", key=key)
    assert response.status_code == 401
    assert response.text == "Unauthorized"
    assert response.headers["content-type"].startswith("text/plain")


def test_the_free_tier_has_games_but_no_stats(league: League) -> None:
    with serve(SimulatorApp(league, SimulatorClock(EVENING), Options(tier="free"))) as simulator:
        caller = Caller(simulator)
        for path in ("/v1/teams", "/v1/players", "/v1/games"):
            assert caller.balldontlie(path).status_code == 200
        refused = caller.balldontlie("/v1/stats")
    assert (refused.status_code, refused.text) == (401, "Unauthorized")


def test_more_requests_a_minute_than_allowed_are_429(league: League) -> None:
    with serve(SimulatorApp(league, SimulatorClock(EVENING), Options(requests_per_minute=5))) as simulator:
        caller = Caller(simulator)
        responses = [caller.balldontlie("/v1/teams") for _ in range(6)]
    assert [response.status_code for response in responses] == [200] * 5 + [429]
    assert responses[0].headers["x-ratelimit-limit"] == "5"


def test_both_prefixes_answer_the_same(caller: Caller) -> None:
    assert caller.balldontlie("/v1/teams").text == caller.balldontlie("/nba/v1/teams").text


def test_thirty_teams_and_some_defunct_ones(caller: Caller) -> None:
    teams = caller.balldontlie("/v1/teams").json()["data"]
    current = [team for team in teams if team["id"] <= 30]
    assert len(current) == 30
    assert len(teams) > 30
    clippers = next(team for team in teams if team["id"] == 13)
    assert clippers == {
        "id": 13,
        "conference": "West",
        "division": "Pacific",
        "city": "LA",
        "name": "Clippers",
        "full_name": "LA Clippers",
        "abbreviation": "LAC",
    }
    assert caller.balldontlie("/v1/teams/13").json() == {"data": clippers}
    assert caller.balldontlie("/v1/teams/99").status_code == 404


@pytest.mark.parametrize("per_page", ["0", "101", "500", "many"])
def test_a_page_has_one_to_a_hundred_rows(caller: Caller, per_page: str) -> None:
    assert caller.balldontlie("/v1/games", {"per_page": per_page}).status_code == 400


def test_pages_follow_each_other_to_the_end(caller: Caller) -> None:
    rows = caller.all_pages("/v1/games", {})
    assert len(rows) == 24 * 7
    assert len({row["id"] for row in rows}) == 24 * 7
    order = [(row["date"], row["id"]) for row in rows]
    assert order == sorted(order)
    first = caller.balldontlie("/v1/games").json()
    assert len(first["data"]) == 25
    assert first["meta"] == {"next_cursor": rows[24]["id"], "per_page": 25}


def test_games_are_filtered_by_days_seasons_and_teams(caller: Caller) -> None:
    rows = caller.all_pages("/v1/games", {})
    days = ["2026-11-05", "2026-11-07"]
    assert caller.all_pages("/v1/games", {"dates[]": days}) == [row for row in rows if row["date"] in days]
    span = caller.all_pages("/v1/games", {"start_date": "2026-11-05", "end_date": "2026-11-06"})
    assert {row["date"] for row in span} == {"2026-11-05", "2026-11-06"}
    assert len(caller.all_pages("/v1/games", {"seasons[]": 2026})) == len(rows)
    assert caller.all_pages("/v1/games", {"seasons[]": 2025}) == []
    celtics = caller.all_pages("/v1/games", {"team_ids[]": 2})
    assert celtics
    assert all(2 in (row["home_team"]["id"], row["visitor_team"]["id"]) for row in celtics)
    assert caller.balldontlie("/v1/games", {"dates[]": "yesterday"}).status_code == 400


def test_games_have_the_thirty_recorded_keys_in_every_stage(caller: Caller) -> None:
    rows = caller.all_pages("/v1/games", {})
    stages = {"Postponed": 0, "Final": 0, "scheduled": 0, "live": 0}
    for row in rows:
        status = row["status"]
        stage = status if status in stages else "scheduled" if status.startswith("2026-") else "live"
        stages[stage] += 1
        assert set(row) - {"postponed"} == GAME_KEYS
        assert row["datetime"].endswith(":00.000Z")
        if stage == "scheduled":
            assert status == row["datetime"].replace(".000Z", "Z")
            assert (row["period"], row["time"], row["home_team_score"], row["home_q1"]) == (0, None, 0, None)
    assert all(stages[stage] for stage in ("Final", "scheduled", "live"))
    assert len(GAME_KEYS) == 30


def test_the_eastern_day_is_the_date_and_the_instant_is_utc(caller: Caller) -> None:
    for row in caller.all_pages("/v1/games", {}):
        instant = datetime.fromisoformat(row["datetime"])
        eastern = instant - timedelta(hours=5)  # New York is on standard time from 2026-11-01 on
        if row["date"] > "2026-11-01":
            assert eastern.date().isoformat() == row["date"]


def test_periods_sum_to_the_final_score_and_nobody_draws(caller: Caller) -> None:
    caller.simulator.set_clock(datetime(2026, 12, 20, tzinfo=UTC))
    rows = caller.all_pages("/v1/games", {})
    assert {row["status"] for row in rows} == {"Final"}
    for row in rows:
        for side in ("home", "visitor"):
            played = [row[f"{side}_{period}"] for period in PERIODS if row[f"{side}_{period}"] is not None]
            assert sum(played) == row[f"{side}_team_score"]
            assert len(played) == row["period"]
        assert row["home_team_score"] != row["visitor_team_score"]
        assert row["time"] == "Final"
    assert any(row["period"] > 4 for row in rows)


def _sum(lines: list[dict[str, Any]], name: str) -> int:
    return sum(line[name] for line in lines)


def test_box_scores_sum_to_the_score_and_keep_the_identities(caller: Caller) -> None:
    games = [game for game in caller.all_pages("/v1/games", {"end_date": "2026-11-04"}) if game["status"] == "Final"]
    lines = caller.all_pages("/v1/stats", {"game_ids[]": [game["id"] for game in games]})
    assert len({line["id"] for line in lines}) == len(lines)
    for game in games:
        for side, other in (("home", "visitor"), ("visitor", "home")):
            team = [
                line
                for line in lines
                if line["game"]["id"] == game["id"] and line["team"]["id"] == game[f"{side}_team"]["id"]
            ]
            assert _sum(team, "pts") == game[f"{side}_team_score"]
            assert sum(int(line["min"]) for line in team) == 240 + 25 * (game["period"] - 4)
            lead = game[f"{side}_team_score"] - game[f"{other}_team_score"]
            assert sum(line["plus_minus"] or 0 for line in team) == 5 * lead
            assert any(line["min"] == "00" for line in team)
            possessions = _sum(team, "fga") - _sum(team, "oreb") + _sum(team, "turnover") + 0.44 * _sum(team, "fta")
            assert 80 < possessions < 130
    for line in lines:
        assert line["pts"] == 2 * line["fgm"] + line["fg3m"] + line["ftm"]
        assert line["fg3m"] <= line["fgm"] <= line["fga"]
        assert line["ftm"] <= line["fta"]
        assert line["reb"] == line["oreb"] + line["dreb"]
        assert 0 <= line["fg_pct"] <= 1
        assert line["player"]["team_id"] == line["team"]["id"]
        assert "team" not in line["player"]


def test_stats_are_filtered_by_player_and_come_after_the_game(caller: Caller) -> None:
    game = next(row for row in caller.all_pages("/v1/games", {}) if row["status"] == "Final")
    lines = caller.all_pages("/v1/stats", {"game_ids[]": game["id"]})
    player = lines[0]["player"]["id"]
    assert caller.all_pages("/v1/stats", {"game_ids[]": game["id"], "player_ids[]": player}) == lines[:1]
    caller.simulator.set_clock(datetime.fromisoformat(game["datetime"]) + timedelta(minutes=30))
    assert caller.all_pages("/v1/stats", {"game_ids[]": game["id"]}) == []


def test_players_are_searched_by_name(caller: Caller) -> None:
    players = caller.all_pages("/v1/players", {})
    assert len(players) == 30 * 13
    some = players[17]
    found = caller.all_pages("/v1/players", {"first_name": some["first_name"], "last_name": some["last_name"]})
    assert found == [some]
    assert caller.balldontlie(f"/v1/players/{some['id']}").json() == {"data": some}
    assert some["team"]["id"] == 2
