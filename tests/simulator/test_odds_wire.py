"""The shapes, formats and costs of The Odds API, as counted in recorded payloads and written in its docs."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest

from simulator.pricing import decimal_from_american
from tests.simulator.callers import EVENING, Caller

Json = dict[str, Any]
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
US_BOOKMAKERS = {
    *("betonlineag", "betmgm", "betrivers", "betus", "bovada", "williamhill_us"),
    *("draftkings", "fanatics", "fanduel", "lowvig", "mybookieag"),
}
EVENT_KEYS = ["id", "sport_key", "sport_title", "commence_time", "home_team", "away_team"]


def _iso(hours: float = 0.0) -> str:
    return (EVENING + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _markets(events: list[Json]) -> list[tuple[Json, Json, Json]]:
    return [
        (event, bookmaker, market)
        for event in events
        for bookmaker in event["bookmakers"]
        for market in bookmaker["markets"]
    ]


def _implied(american: int) -> float:
    return 100 / (american + 100) if american > 0 else -american / (100 - american)


def test_sports_are_listed_in_season_unless_all_are_asked_for(caller: Caller) -> None:
    active = caller.odds("/sports").json()
    every = caller.odds("/sports", all="true").json()
    nba = next(row for row in active if row["key"] == "basketball_nba")
    assert nba == {
        "key": "basketball_nba",
        "group": "Basketball",
        "title": "NBA",
        "description": "US Basketball",
        "active": True,
        "has_outrights": False,
    }
    assert all(row["active"] for row in active)
    assert caller.odds("/sports/").json() == active
    assert len(every) > len(active)


def test_events_have_the_documented_keys_and_cost_nothing(caller: Caller) -> None:
    response = caller.nba("/events")
    assert response.headers["x-requests-last"] == "0"
    assert response.headers["content-type"].startswith("application/json")
    for event in response.json():
        assert list(event) == EVENT_KEYS
        assert re.fullmatch(r"[0-9a-f]{32}", event["id"])
        assert ISO.fullmatch(event["commence_time"])


def test_odds_have_the_shape_of_recorded_payloads(caller: Caller) -> None:
    events = caller.nba("/odds").json()
    assert len(events) >= 7
    assert len({event["id"] for event in events}) == len(events)
    for event in events:
        assert list(event) == [*EVENT_KEYS, "bookmakers"]
        keys = [bookmaker["key"] for bookmaker in event["bookmakers"]]
        assert len(set(keys)) == len(keys)
    for event, bookmaker, market in _markets(events):
        assert list(bookmaker) == ["key", "title", "last_update", "markets"]
        assert list(market) == ["key", "last_update", "outcomes"]
        names = [outcome["name"] for outcome in market["outcomes"]]
        teams = {event["home_team"], event["away_team"]}
        assert names == (["Over", "Under"] if market["key"] == "totals" else sorted(teams))
        assert bookmaker["last_update"] >= market["last_update"]
        assert market["last_update"] <= _iso()


def test_points_are_opposite_on_spreads_equal_on_totals_and_absent_on_h2h(caller: Caller) -> None:
    for _, _, market in _markets(caller.nba("/odds").json()):
        points = [outcome.get("point") for outcome in market["outcomes"]]
        if market["key"] == "h2h":
            assert all("point" not in outcome for outcome in market["outcomes"])
            continue
        assert all(isinstance(point, float) and (point * 2).is_integer() for point in points)
        assert points[0] == (-points[1] if market["key"] == "spreads" else points[1])


def test_american_prices_are_integers_outside_the_gap_and_hold_what_books_hold(caller: Caller) -> None:
    sums: dict[tuple[str, str], list[float]] = defaultdict(list)
    for hours in range(0, 48, 6):
        snapshot = caller.past("/odds", _iso(-hours)).json()
        upcoming = [event for event in snapshot["data"] if event["commence_time"] > snapshot["timestamp"]]
        for _, bookmaker, market in _markets(upcoming):
            prices = [outcome["price"] for outcome in market["outcomes"]]
            assert all(type(price) is int and (price >= 100 or price < -100) for price in prices)
            sums[bookmaker["key"], market["key"]].append(sum(map(_implied, prices)))
    means = {key: sum(values) / len(values) for key, values in sums.items()}
    # h2h booksums measured on recorded NBA odds 2021-25, and -110 on both sides: 2 x 110/210 = 1.0476
    measured = {"lowvig": 1.0355, "fanduel": 1.0406, "draftkings": 1.0419, "betmgm": 1.0463}
    for key, booksum in measured.items():
        assert means[key, "h2h"] == pytest.approx(booksum, abs=0.003)
    assert means["draftkings", "spreads"] == pytest.approx(1.0476, abs=0.002)
    assert means["draftkings", "totals"] == pytest.approx(1.0476, abs=0.002)


def test_eleven_us_bookmakers_price_an_upcoming_game(caller: Caller) -> None:
    soon = [event for event in caller.nba("/odds").json() if _iso() < event["commence_time"] < _iso(3)]
    assert soon
    for event in soon:
        assert {bookmaker["key"] for bookmaker in event["bookmakers"]} == US_BOOKMAKERS


def test_the_clippers_are_spelled_in_full(caller: Caller) -> None:
    names = {name for event in caller.nba("/scores", {"daysFrom": "3"}).json() for name in (event["home_team"],)}
    assert "LA Clippers" not in names
    assert any(name.startswith("Los Angeles ") for name in names)


def test_decimal_is_the_default_and_has_two_places(caller: Caller) -> None:
    american = caller.nba("/odds").json()
    decimal = caller.odds("/sports/basketball_nba/odds", regions="us", markets="h2h,spreads,totals").json()
    pairs = zip(_markets(american), _markets(decimal), strict=True)
    compared = 0
    for (_, _, in_american), (_, _, in_decimal) in pairs:
        for a, d in zip(in_american["outcomes"], in_decimal["outcomes"], strict=True):
            exact = 1 + (a["price"] / 100 if a["price"] > 0 else 100 / -a["price"])
            assert d["price"] == pytest.approx(exact, abs=0.00501)
            compared += 1
    assert compared > 200


def test_minus_300_becomes_1_33_and_plus_100_becomes_the_integer_2() -> None:
    assert decimal_from_american(-300) == 1.33
    assert decimal_from_american(100) == 2
    assert isinstance(decimal_from_american(100), int)
    assert decimal_from_american(-110) == 1.91


def test_unix_dates_are_integers_everywhere_but_in_the_wrapper(caller: Caller) -> None:
    snapshot = caller.past("/odds", _iso(-1), dateFormat="unix").json()
    assert ISO.fullmatch(snapshot["timestamp"])
    assert all(isinstance(event["commence_time"], int) for event in snapshot["data"])
    for _, bookmaker, market in _markets(snapshot["data"]):
        assert isinstance(bookmaker["last_update"], int)
        assert isinstance(market["last_update"], int)


def test_h2h_is_the_default_market(caller: Caller) -> None:
    events = caller.odds("/sports/basketball_nba/odds", regions="us").json()
    assert {market["key"] for _, _, market in _markets(events)} == {"h2h"}


def test_commence_time_and_event_id_filters(caller: Caller) -> None:
    events = caller.nba("/events").json()
    later = caller.nba("/events", {"commenceTimeFrom": _iso(), "commenceTimeTo": _iso(12)}).json()
    assert later == [event for event in events if _iso() <= event["commence_time"] <= _iso(12)]
    wanted = ",".join(sorted(event["id"] for event in events[:2]))
    assert len(caller.nba("/odds", {"eventIds": wanted}).json()) == 2


def test_upcoming_gives_live_games_and_the_next_eight(caller: Caller) -> None:
    events = caller.odds("/sports/upcoming/odds", regions="us").json()
    assert sum(event["commence_time"] >= _iso() for event in events) == 8
    assert any(event["commence_time"] < _iso() for event in events)


def test_links_and_sids_are_null_where_asked_for(caller: Caller) -> None:
    events = caller.nba("/odds", {"includeLinks": "true", "includeSids": "true", "includeBetLimits": "true"}).json()
    _, bookmaker, market = _markets(events)[0]
    outcome = market["outcomes"][0]
    for thing in (bookmaker, market, outcome):
        assert thing["link"] is None
        assert thing["sid"] is None
    assert outcome["bet_limit"] is None


@pytest.mark.parametrize(
    ("params", "cost"),
    [
        ({"regions": "us", "markets": "h2h"}, 1),
        ({"regions": "us", "markets": "h2h,spreads,totals"}, 3),
        ({"regions": "us,eu,uk", "markets": "h2h,spreads,totals"}, 9),
        ({"bookmakers": "fanduel,draftkings", "markets": "h2h,totals", "regions": "us,eu"}, 2),
        ({"bookmakers": ",".join(["fanduel", *(f"book{n}" for n in range(10))]), "markets": "h2h"}, 2),
        ({"regions": "eu", "markets": "h2h"}, 0),
        ({"regions": "us", "markets": "outrights"}, 0),
    ],
)
def test_odds_cost_returned_markets_times_regions(caller: Caller, params: dict[str, str], cost: int) -> None:
    response = caller.odds("/sports/basketball_nba/odds", **params)
    assert response.headers["x-requests-last"] == str(cost)


def test_history_costs_ten_times_as_much_and_events_one(caller: Caller) -> None:
    assert caller.past("/odds", _iso(-24)).headers["x-requests-last"] == "30"
    assert caller.past("/events", _iso(-24)).headers["x-requests-last"] == "1"
    assert caller.past("/events", "2021-01-01T00:00:00Z").headers["x-requests-last"] == "0"


def test_scores_cost_one_and_two_with_days(caller: Caller) -> None:
    assert caller.nba("/scores").headers["x-requests-last"] == "1"
    assert caller.nba("/scores", {"daysFrom": "3"}).headers["x-requests-last"] == "2"


def test_used_and_remaining_add_up_and_move_by_the_cost(caller: Caller) -> None:
    before = caller.nba("/events").headers
    after = caller.nba("/odds").headers
    assert int(after["x-requests-used"]) - int(before["x-requests-used"]) == int(after["x-requests-last"]) == 3
    total = int(after["x-requests-used"]) + int(after["x-requests-remaining"])
    assert total == int(before["x-requests-used"]) + int(before["x-requests-remaining"])


def test_scores_are_text_home_first_and_null_before_the_start(caller: Caller) -> None:
    rows = caller.nba("/scores", {"daysFrom": "3"}).json()
    assert list(rows[0]) == [*EVENT_KEYS[:4], "completed", "home_team", "away_team", "scores", "last_update"]
    upcoming = [row for row in rows if row["commence_time"] > _iso()]
    live = [row for row in rows if row["commence_time"] < _iso() and not row["completed"]]
    completed = [row for row in rows if row["completed"]]
    assert upcoming
    assert live
    assert completed
    assert all(row["scores"] is None and row["last_update"] is None for row in upcoming)
    for row in live + completed:
        assert [score["name"] for score in row["scores"]] == [row["home_team"], row["away_team"]]
        assert all(isinstance(score["score"], str) and score["score"].isdigit() for score in row["scores"])
    assert not any(row["completed"] for row in caller.nba("/scores").json())


def test_event_odds_are_one_object_without_bookmaker_last_update(caller: Caller) -> None:
    event_id = next(event["id"] for event in caller.nba("/odds").json() if event["commence_time"] > _iso())
    response = caller.nba(f"/events/{event_id}/odds", {"markets": "player_points,h2h,player_steals"})
    event = response.json()
    assert response.headers["x-requests-last"] == "2"  # nobody offers player_steals
    assert event["id"] == event_id
    assert all(list(bookmaker) == ["key", "title", "markets"] for bookmaker in event["bookmakers"])
    props = [market for _, _, market in _markets([event]) if market["key"] == "player_points"]
    assert props
    for outcome in (outcome for market in props for outcome in market["outcomes"]):
        assert outcome["name"] in ("Over", "Under")
        assert " " in outcome["description"]
        assert outcome["point"] % 1 == 0.5


def test_an_event_without_offers_for_a_valid_market_is_empty_and_free(caller: Caller) -> None:
    event_id = caller.nba("/events").json()[-1]["id"]
    response = caller.nba(f"/events/{event_id}/odds", {"markets": "player_first_basket"})
    assert response.status_code == 200
    assert response.json()["bookmakers"] == []
    assert response.headers["x-requests-last"] == "0"


def test_historical_snapshots_are_five_minutes_apart_and_not_after_the_date(caller: Caller) -> None:
    asked = _iso(-30)
    snapshot = caller.past("/odds", asked).json()
    assert list(snapshot) == ["timestamp", "previous_timestamp", "next_timestamp", "data"]
    assert snapshot["previous_timestamp"] < snapshot["timestamp"] <= asked < snapshot["next_timestamp"]
    assert 36 <= int(snapshot["timestamp"][17:19]) <= 44
    following = caller.past("/odds", snapshot["next_timestamp"]).json()
    assert following["timestamp"] == snapshot["next_timestamp"]
    assert following["previous_timestamp"] == snapshot["timestamp"]


def test_the_newest_snapshot_has_no_next(caller: Caller) -> None:
    snapshot = caller.past("/odds", _iso(+48)).json()
    assert snapshot["timestamp"] <= _iso()
    assert snapshot["next_timestamp"] is None


def test_history_and_the_live_feed_agree_on_an_instant(caller: Caller) -> None:
    snapshot = caller.past("/odds", _iso(-5)).json()
    caller.simulator.set_clock(datetime.fromisoformat(snapshot["timestamp"]))
    assert caller.nba("/odds").json() == snapshot["data"]


def test_historical_event_odds_wrap_one_event(caller: Caller) -> None:
    event_id = next(event["id"] for event in caller.nba("/odds").json() if event["commence_time"] > _iso())
    response = caller.past(f"/events/{event_id}/odds", _iso(-1), markets="player_points")
    assert response.json()["data"]["id"] == event_id
    assert response.headers["x-requests-last"] == "10"
