"""What The Odds API refuses, with which status and code, and what that costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulator import League, Options, SimulatorApp, SimulatorClock, serve
from tests.simulator.callers import EVENING, Caller

UNKNOWN_EVENT = "0" * 32
NBA = "/sports/basketball_nba"
PAST = "/historical/sports/basketball_nba"


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/sports/basketball_moon/odds", {"regions": "us"}, 404, "UNKNOWN_SPORT"),
        (f"{NBA}/events/{UNKNOWN_EVENT}/odds", {"regions": "us"}, 404, "EVENT_NOT_FOUND"),
        (f"{NBA}/events/not-an-id/odds", {"regions": "us"}, 422, "INVALID_EVENT_ID"),
        (f"{NBA}/odds", {}, 422, "MISSING_REGION"),
        (f"{NBA}/odds", {"regions": "mars"}, 422, "INVALID_REGION"),
        (f"{NBA}/odds", {"bookmakers": "Fan Duel"}, 422, "INVALID_BOOKMAKERS"),
        (f"{NBA}/odds", {"regions": "us", "markets": "player_points"}, 422, "INVALID_MARKET"),
        (f"{NBA}/odds", {"regions": "us", "markets": ""}, 422, "MISSING_MARKET"),
        (f"{NBA}/odds", {"regions": "us", "oddsFormat": "roman"}, 422, "INVALID_ODDS_FORMAT"),
        (f"{NBA}/odds", {"regions": "us", "dateFormat": "roman"}, 422, "INVALID_DATE_FORMAT"),
        (f"{NBA}/odds", {"regions": "us", "eventIds": "x"}, 422, "INVALID_EVENT_IDS"),
        (f"{NBA}/odds", {"regions": "us", "includeLinks": "1"}, 422, "INVALID_INCLUDE_LINKS"),
        (f"{NBA}/events", {"commenceTimeFrom": "2026-11-14T01:20:00.000Z"}, 422, "INVALID_COMMENCE_TIME_FROM"),
        (f"{NBA}/events", {"commenceTimeFrom": "2026-11-14T01:20:00+00:00"}, 422, "INVALID_COMMENCE_TIME_FROM"),
        (f"{NBA}/events", {"commenceTimeTo": "2026-13-14T01:20:00Z"}, 422, "INVALID_COMMENCE_TIME_TO"),
        (
            f"{NBA}/events",
            {"commenceTimeFrom": "2026-11-15T00:00:00Z", "commenceTimeTo": "2026-11-14T00:00:00Z"},
            422,
            "INVALID_COMMENCE_TIME_RANGE",
        ),
        (
            f"{NBA}/events/{UNKNOWN_EVENT}/odds",
            {"regions": "us", "markets": "player_free_throws"},
            422,
            "INVALID_MARKET",
        ),
        (f"{NBA}/scores", {"daysFrom": "4"}, 422, "INVALID_SCORES_DAYS_FROM"),
        ("/sports", {"all": "yes"}, 422, "INVALID_ALL_SPORTS_PARAM"),
        (f"{PAST}/odds", {"regions": "us"}, 422, "MISSING_HISTORICAL_TIMESTAMP"),
        (f"{PAST}/odds", {"regions": "us", "date": "yesterday"}, 422, "INVALID_HISTORICAL_TIMESTAMP"),
        (
            f"{PAST}/events/{UNKNOWN_EVENT}/odds",
            {"regions": "us", "date": "2026-11-13T00:00:00Z"},
            404,
            "EVENT_NOT_FOUND",
        ),
    ],
)
def test_a_refusal_has_its_status_code_and_link_and_costs_nothing(
    caller: Caller, path: str, params: dict[str, str], status: int, code: str
) -> None:
    response = caller.odds(path, **params)
    assert response.status_code == status
    body = response.json()
    assert list(body) == ["message", "error_code", "details_url"]
    assert body["error_code"] == code
    fragment = code.lower().replace("_", "-")
    assert body["details_url"] == f"https://the-odds-api.com/liveapi/guides/v4/api-error-codes.html#{fragment}"
    assert response.headers["x-requests-last"] == "0"


def test_recorded_messages_are_kept_word_for_word(caller: Caller) -> None:
    assert caller.odds("/sports/x/odds", regions="us").json()["message"] == "Unknown sport"
    assert caller.odds(f"{NBA}/odds").json()["message"] == "Missing regions or bookmakers key"
    invalid = caller.odds(f"{NBA}/events/{UNKNOWN_EVENT}/odds", regions="us", markets="player_free_throws")
    assert invalid.json()["message"] == "Invalid markets: player_free_throws"


def test_a_key_is_needed_and_has_to_be_the_right_one(caller: Caller) -> None:
    wrong = caller.odds("/sports", apiKey="wrong")
    none = caller.session.get(f"{caller.simulator.base_url}/v4/sports", timeout=10)
    other_name = caller.session.get(
        f"{caller.simulator.base_url}/v4/sports", params={"api_key": caller.key}, timeout=10
    )
    assert (wrong.status_code, wrong.json()["error_code"]) == (401, "INVALID_KEY")
    assert wrong.json()["message"].startswith("API key is not valid")
    assert (none.status_code, none.json()["error_code"]) == (401, "MISSING_KEY")
    assert other_name.status_code == 200


def test_an_exhausted_quota_is_401_until_the_next_month(league: League) -> None:
    clock = SimulatorClock(EVENING)
    with serve(SimulatorApp(league, clock, Options(monthly_credits=4))) as simulator:
        caller = Caller(simulator)
        assert caller.nba("/odds").headers["x-requests-remaining"] == "1"
        assert caller.nba("/odds").headers["x-requests-remaining"] == "0"
        refused = caller.nba("/odds")
        assert refused.status_code == 401
        assert refused.json()["error_code"] == "OUT_OF_USAGE_CREDITS"
        assert refused.json()["message"] == (
            "Usage quota has been reached. See usage plans at https://the-odds-api.com\n"
        )
        assert caller.nba("/events").status_code == 200  # costs nothing
        simulator.set_clock(EVENING + timedelta(days=20))
        assert caller.nba("/events").headers["x-requests-remaining"] == "4"


def test_the_free_plan_has_no_history(league: League) -> None:
    with serve(SimulatorApp(league, SimulatorClock(EVENING), Options(has_historical=False))) as simulator:
        refused = Caller(simulator).past("/odds", "2026-11-13T00:00:00Z")
    assert refused.status_code == 401
    assert refused.json()["error_code"] == "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN"


def test_too_many_requests_in_a_second_are_429(league: League) -> None:
    with serve(SimulatorApp(league, SimulatorClock(EVENING), Options(requests_per_second=3))) as simulator:
        caller = Caller(simulator)
        statuses = [caller.odds("/sports").status_code for _ in range(5)]
        refused = caller.odds("/sports")
    assert statuses[:3] == [200, 200, 200]
    assert refused.status_code == 429
    assert refused.json()["error_code"] == "EXCEEDED_FREQ_LIMIT"
