"""Each kind of misbehaviour as a client sees it, put in force from the library or through the switches."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from simulator import FaultRule
from tests.simulator.callers import EVENING, Caller

ODDS = "/v4/sports/basketball_nba/odds"
GAMES = "/v1/games"


def test_a_status_strikes_as_often_as_told_and_no_other_path(caller: Caller) -> None:
    rule = caller.simulator.inject_fault("status", path=ODDS, times=2, status=503, body="busy", retry_after=7)
    assert caller.nba("/events").status_code == 200
    first, second, third = (caller.nba("/odds") for _ in range(3))
    assert (first.status_code, first.text, first.headers["retry-after"]) == (503, "busy", "7")
    assert "x-requests-remaining" not in first.headers
    assert (second.status_code, third.status_code) == (503, 200)
    assert rule.struck == 2


def test_a_body_given_as_an_object_is_sent_as_json(caller: Caller) -> None:
    body = {"message": "Requests are too frequent", "error_code": "EXCEEDED_FREQ_LIMIT"}
    caller.simulator.inject_fault("status", path=ODDS, status=429, body=body, headers={"X-Trace": "1"})
    response = caller.nba("/odds")
    assert (response.status_code, response.json(), response.headers["x-trace"]) == (429, body, "1")
    assert response.headers["content-type"].startswith("application/json")


def test_a_rule_can_let_the_first_requests_pass_and_then_strike_for_good(caller: Caller) -> None:
    caller.simulator.inject_fault("status", path="/v4/*", skip=2, times=None, status=500)
    assert [caller.nba("/events").status_code for _ in range(5)] == [200, 200, 500, 500, 500]
    caller.simulator.clear_faults()
    assert caller.nba("/events").status_code == 200


def test_rules_strike_one_after_the_other(caller: Caller) -> None:
    caller.simulator.inject_fault("status", path=GAMES, status=429)
    caller.simulator.inject_fault("status", path=GAMES, status=502)
    assert [caller.balldontlie(GAMES).status_code for _ in range(3)] == [429, 502, 200]


def test_a_delay_answers_properly_but_late(caller: Caller) -> None:
    proper = caller.nba("/odds").content
    caller.simulator.inject_fault("delay", path=ODDS, delay_seconds=0.3)
    began = time.monotonic()
    assert caller.nba("/odds").content == proper
    assert time.monotonic() - began >= 0.3
    caller.simulator.inject_fault("delay", path=ODDS, delay_seconds=0.5)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{caller.simulator.base_url}{ODDS}", params={"apiKey": caller.key, "regions": "us"}, timeout=0.1)


def test_a_dropped_connection_gives_no_answer(caller: Caller) -> None:
    caller.simulator.inject_fault("drop", path=ODDS)
    with pytest.raises(requests.ConnectionError):
        caller.nba("/odds")
    assert caller.nba("/odds").status_code == 200


def _until_broken(response: requests.Response) -> list[bytes]:
    """What arrives before the connection breaks; fails if it does not break."""
    chunks = []
    try:
        for chunk in response.iter_content(1_000):
            chunks.append(chunk)
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return chunks
    pytest.fail("the body arrived whole")


def test_a_reset_comes_in_the_middle_of_the_body(caller: Caller) -> None:
    proper = caller.nba("/odds").content
    caller.simulator.inject_fault("reset", path=ODDS)
    params = {"apiKey": caller.key, "regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
    with requests.get(f"{caller.simulator.base_url}{ODDS}", params=params, stream=True, timeout=5) as response:
        assert response.status_code == 200
        assert int(response.headers["content-length"]) == len(proper)
        chunks = _until_broken(response)
    received = b"".join(chunks)
    assert received
    assert proper.startswith(received)
    assert len(received) < len(proper)
    caller.simulator.inject_fault("reset", path=ODDS)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        caller.nba("/odds")


def test_a_truncated_body_is_complete_http_but_no_json(caller: Caller) -> None:
    caller.simulator.inject_fault("truncate", path=ODDS)
    response = caller.nba("/odds")
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    assert "x-requests-last" in response.headers
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_an_html_page_comes_with_200(caller: Caller) -> None:
    caller.simulator.inject_fault("html", path=ODDS)
    response = caller.nba("/odds")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")


def test_an_empty_answer_keeps_its_envelope(caller: Caller) -> None:
    caller.simulator.inject_fault("empty", times=None)
    assert caller.nba("/odds").json() == []
    games = caller.balldontlie(GAMES).json()
    assert games == {"data": [], "meta": {"per_page": 25}}
    snapshot = caller.past("/odds", "2026-11-13T00:00:00Z").json()
    assert snapshot["data"] == []
    assert snapshot["timestamp"] <= "2026-11-13T00:00:00Z"


def test_a_page_can_repeat_itself_for_ever(caller: Caller) -> None:
    caller.simulator.inject_fault("repeat_page", path=GAMES, times=None)
    first = caller.balldontlie(GAMES).json()
    second = caller.balldontlie(GAMES, {"cursor": first["meta"]["next_cursor"]}).json()
    assert first == second
    assert first["data"]


def test_a_cursor_can_go_on_for_ever(caller: Caller) -> None:
    caller.simulator.inject_fault("endless_cursor", path=GAMES, times=None)
    cursors: list[int] = []
    params: dict[str, Any] = {}
    for _ in range(5):
        page = caller.balldontlie(GAMES, params).json()
        cursors.append(page["meta"]["next_cursor"])
        params = {"cursor": cursors[-1]}
        assert len(page["data"]) == 25
    assert cursors == sorted(set(cursors))


def test_quota_headers_can_be_missing(caller: Caller) -> None:
    caller.simulator.inject_fault("no_quota_headers", path=ODDS)
    response = caller.nba("/odds")
    assert response.json()
    assert not [name for name in response.headers if name.lower().startswith("x-requests")]


def test_an_exhausted_quota_is_401_with_its_code(caller: Caller) -> None:
    caller.simulator.inject_fault("quota_exhausted", path="/v4/*")
    response = caller.nba("/odds")
    assert response.status_code == 401
    assert response.json()["error_code"] == "OUT_OF_USAGE_CREDITS"
    assert response.headers["x-requests-remaining"] == "0"


def test_an_element_can_lose_its_id_or_turn_into_something_else(caller: Caller) -> None:
    proper = caller.nba("/events").json()
    caller.simulator.inject_fault("edit", element=1, remove_keys=["id"], set_keys={"home_team": None, "new": 1})
    edited = caller.nba("/events").json()
    expected = {key: value for key, value in proper[1].items() if key != "id"}
    assert edited[1] == {**expected, "home_team": None, "new": 1}
    assert edited[0] == proper[0]
    assert edited[2:] == proper[2:]
    caller.simulator.inject_fault("edit", path=GAMES, element=0, replace_with=["not an object"])
    assert caller.balldontlie(GAMES).json()["data"][0] == "not an object"


@pytest.mark.parametrize(
    ("details", "complaint"),
    [
        ({"kind": "gremlin"}, "the fault kind 'gremlin' is unknown"),
        ({"kind": "status", "times": 0}, "times is 0"),
        ({"kind": "status", "status": 42}, "status is 42"),
        ({"kind": "delay", "delay_seconds": -1}, "no negative number"),
        ({"kind": "status", "colour": "red"}, "has no colour"),
        ({"status": 500}, "needs a kind"),
        (["status"], "is a JSON object"),
        ({"kind": "status", "times": "often"}, "wrong type"),
        ({"kind": "status", "path": 5}, "path must be text"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_reason(caller: Caller, details: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        FaultRule.from_json(details)
    refused = caller.session.post(f"{caller.simulator.base_url}/_simulator/faults", json=details, timeout=5)
    assert refused.status_code == 422
    assert complaint in refused.json()["error"]


def test_faults_can_be_switched_over_http(caller: Caller) -> None:
    url = f"{caller.simulator.base_url}/_simulator/faults"
    rule = {"kind": "status", "path": ODDS, "times": None, "status": 500}
    assert caller.session.post(url, json=rule, timeout=5).status_code == 200
    assert caller.nba("/odds").status_code == 500
    in_force = caller.session.get(url, timeout=5).json()
    assert [(each["kind"], each["struck"]) for each in in_force] == [("status", 1)]
    assert caller.session.delete(url, timeout=5).json() == []
    assert caller.nba("/odds").status_code == 200


def test_the_clock_can_be_set_and_advanced_over_http(caller: Caller) -> None:
    url = f"{caller.simulator.base_url}/_simulator/clock"
    assert caller.session.get(url, timeout=5).json() == {"now": EVENING.isoformat().replace("+00:00", "Z")}
    assert caller.session.post(url, json={"now": "2026-11-14T02:00:00Z"}, timeout=5).status_code == 200
    moved = caller.session.post(url, json={"advance_seconds": 900}, timeout=5)
    assert moved.json() == {"now": "2026-11-14T02:15:00Z"}
    orders: list[Any] = [{"now": "noon"}, {"then": 1}, []]
    for wrong in orders:
        assert caller.session.post(url, json=wrong, timeout=5).status_code == 422
    assert caller.session.post(url, json={"now": "real"}, timeout=5).status_code == 200


def test_the_switches_refuse_a_page_that_names_another_host(caller: Caller) -> None:
    url = f"{caller.simulator.base_url}/_simulator/faults"
    refused = caller.session.get(url, headers={"Host": "rebound.example"}, timeout=5)
    assert refused.status_code == 403


def test_requests_are_kept_without_their_key(caller: Caller) -> None:
    caller.simulator.inject_fault("status", path=ODDS)
    caller.nba("/odds")
    caller.odds("/sports", all="true")
    odds, sports = caller.simulator.requests[-2:]
    assert (odds.path, odds.fault) == (ODDS, "status")
    assert dict(odds.params) == {"regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
    assert (sports.path, sports.params, sports.fault) == ("/v4/sports", (("all", "true"),), None)
    listed = caller.session.get(f"{caller.simulator.base_url}/_simulator/requests", timeout=5)
    assert caller.key not in listed.text
    assert listed.json()[-1] == {"path": "/v4/sports", "params": [["all", "true"]], "fault": None}
