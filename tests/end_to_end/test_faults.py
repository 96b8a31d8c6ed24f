"""Every fault of a source by its name: what is said of it, what is recorded, and that nothing is lost that came again.

Over real HTTP, into a real warehouse. What is promised for each stands in docs/reliability.md.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
import requests

from extract.records import DeadLetter
from ops.dead_letters import KeptLetter
from ops.ledger import Ledger
from ops.warehouse import Connection
from simulator import DEFAULT_KEY, League, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.arrivals import differences
from tests.end_to_end.storms import END, LEAGUE, START, Episode, Night, instants, leaks, only_the_schedule
from tests.end_to_end.warehouses import Warehouse, simulated, warehouse

Json = dict[str, Any]

ODDS, EVENTS, GAMES = "/v4/sports/*/odds", "/v4/sports/*/events", "/v1/games"
(
    FIRST, RETRIED, PAGES, ATTEMPTED_TWICE, REPLAYED, PROPS, WRONG_KEY, NO_CREDITS, DOWN, STILL_DOWN, NOT_ASKED, BACK
) = instants(12)  # fmt: skip
LOST = (DOWN, STILL_DOWN, NOT_ASKED)
"""Cycles in which The Odds API did not answer and that nobody can repeat later."""

WITH_PROPS = {"ODDS_API_MARKETS": "h2h,spreads,totals,player_points"}
WRONG = "a-wrong-key-0123456789"
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def league() -> Iterator[Simulator]:
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(START))) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def calm(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Night]:
    """The night as it would have been; where The Odds API was down in the other, it was not asked here."""
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        night = Night(made, league)
        for at in instants(12):
            if at in LOST:
                night.watch(at, only_the_schedule)
            else:
                night.cycle(at, **(WITH_PROPS if at == PROPS else {}))
        night.build(END)
        yield night


@pytest.fixture(scope="module")
def spring(server: Connection, deployed: Connection, targets: Path) -> Iterator[Warehouse]:
    """The night of 14 March 2027, when an hour is missing in New York: a cycle before, a cycle after 07:00 UTC."""
    served = replace(LEAGUE, first_day=date(2027, 3, 12))
    change = datetime(2027, 3, 14, 7, tzinfo=UTC)
    with (
        serve(SimulatorApp(League(served), SimulatorClock(change))) as simulator,
        warehouse(server, targets, deployed, **simulated(simulator.base_url)) as made,
    ):
        for at in (change - timedelta(minutes=15), change + timedelta(minutes=15)):
            simulator.set_clock(at)
            made.succeed("run_ingest", "--as-of", at.isoformat())
        yield made


@dataclass
class Stormy:
    """The night in which requests fail, and its episodes by their instant."""

    night: Night
    episodes: dict[Any, Episode]
    again: dict[Any, Episode]


@pytest.fixture(scope="module")
def stormy(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Stormy]:
    """One trouble after the other; each is over before the next begins."""
    plant = league.inject_fault
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        night = Night(made, league)
        episodes: dict[Any, Episode] = {}
        again: dict[Any, Episode] = {}
        # Refused by a rule that was too strict, and replayed when it was put right.
        with patch("extract.payloads.LARGEST_ELEMENT", 3_000):
            episodes[FIRST] = night.cycle(FIRST)
        night.replay(episodes[FIRST])

        plant("truncate", path=ODDS)
        plant("status", path=ODDS, status=429, retry_after=7)
        plant("status", path=ODDS, status=503)
        plant("html", path=EVENTS)
        plant("delay", path=EVENTS, delay_seconds=1.0)
        plant("status", path=EVENTS, status=500)
        plant("reset", path=GAMES)
        plant("status", path=GAMES, status=429)
        plant("status", path=GAMES, status=500)
        episodes[RETRIED] = night.cycle(RETRIED)

        plant("no_quota_headers", path=ODDS)
        plant("repeat_page", path=GAMES, times=None)
        episodes[PAGES] = night.replay(night.cycle(PAGES))

        plant("status", path=ODDS, status=503, times=4)
        plant("endless_cursor", path=GAMES, times=4)
        episodes[ATTEMPTED_TWICE] = night.cycle(ATTEMPTED_TWICE, LINEKEEPER_TASK_ATTEMPTS="2")
        night.replay(episodes[ATTEMPTED_TWICE])

        plant("html", path=ODDS, times=None)
        episodes[REPLAYED] = night.replay(night.cycle(REPLAYED))

        plant("status", path="/v4/sports/*/events/*/odds", status=500, times=4)
        episodes[PROPS] = night.replay(night.cycle(PROPS, **WITH_PROPS))

        episodes[WRONG_KEY] = night.cycle(WRONG_KEY, ODDS_API_KEY=WRONG, LINEKEEPER_TASK_ATTEMPTS="3")
        again[WRONG_KEY] = night.again(episodes[WRONG_KEY])

        plant("quota_exhausted", path="/v4/*", times=None)
        episodes[NO_CREDITS] = night.cycle(NO_CREDITS, LINEKEEPER_TASK_ATTEMPTS="3")
        again[NO_CREDITS] = night.again(episodes[NO_CREDITS])

        for at in LOST:
            plant("drop", path="/v4/*", times=None)
            episodes[at] = night.cycle(at)
        made.rows("update ops.api_requests set requested_at = requested_at - interval '10 minutes' returning 1")
        episodes[BACK] = night.cycle(BACK)
        night.settle(episodes[DOWN])
        night.build(END)
        yield Stormy(night, episodes, again)


@dataclass
class Nonsense:
    """The night in which answers arrive in order and say what cannot be.

    Attributes:
        told: the cycle of the nonsense, with the models built on it.
        letters: the dead letters that it left open.
        event_ids: by what was wrong with it, the event; `twin` is the second id of one of them.
        game_id: the game that was said to have ended 0-0.
        empty, skewed: the cycles of the empty list and of the clocks that stood ahead.
        rejected: why finals were no results, after the nonsense.
    """

    night: Night
    told: Episode
    letters: list[KeptLetter]
    event_ids: dict[str, str]
    game_id: int
    empty: Episode
    skewed: Episode
    rejected: list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def nonsense(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Nonsense]:
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        night = Night(made, league)
        night.cycle(FIRST)

        league.set_clock(RETRIED)
        board, listed = _asked(league, "odds"), _asked(league, "events")
        event_ids = _roles(board)
        league.inject_fault("status", path=ODDS, status=200, body=_wrong(board, event_ids))
        league.inject_fault("status", path=EVENTS, status=200, body=_wrong(listed, event_ids))
        games = _games(league)
        place = next(number for number, game in enumerate(games) if game["date"] == "2026-10-31")
        zero = {"status": "Final", "period": 4, "time": "Final", "home_team_score": 0, "visitor_team_score": 0}
        league.inject_fault("edit", path=GAMES, element=place, set_keys=zero)
        told = night.cycle(RETRIED)
        night.make(RETRIED)
        rejected = made.rows("select reason from marts.rejected_results")
        letters = night.letters()

        night.cycle(PAGES)
        night.make(PAGES)
        night.cycle(ATTEMPTED_TWICE)
        league.inject_fault("empty", path=ODDS)
        league.inject_fault("empty", path=EVENTS)
        empty = night.cycle(REPLAYED)
        night.cycle(PROPS, **WITH_PROPS)
        league.set_clock(WRONG_KEY)
        ahead = _ahead(_asked(league, "odds"), timedelta(minutes=7))
        league.inject_fault("status", path=ODDS, status=200, body=ahead)
        skewed = night.cycle(WRONG_KEY)
        night.cycle(NO_CREDITS)
        for at in LOST:
            night.watch(at, only_the_schedule)
        night.cycle(BACK)
        night.build(END)
        told.letters = letters
        night.settle(told)
        yield Nonsense(night, told, letters, event_ids, games[place]["id"], empty, skewed, rejected)


def _asked(league: Simulator, endpoint: str) -> list[Json]:
    params = {"apiKey": DEFAULT_KEY, "regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
    answer = requests.get(f"{league.base_url}/v4/sports/basketball_nba/{endpoint}", params=params, timeout=10)
    answer.raise_for_status()
    events: list[Json] = answer.json()
    return events


def _games(league: Simulator) -> list[Json]:
    params = {"per_page": "100", "start_date": "2026-10-30", "end_date": "2026-11-07"}
    answer = requests.get(
        f"{league.base_url}/v1/games", params=params, headers={"Authorization": DEFAULT_KEY}, timeout=10
    )
    answer.raise_for_status()
    games: list[Json] = answer.json()["data"]
    return games


def _roles(board: list[Json]) -> dict[str, str]:
    """By what will be wrong with it, an event on offer; `twin` is a second id that is made up for one of them."""
    ids = [event["id"] for event in sorted(board, key=lambda event: (event["commence_time"], event["id"]))]
    kinds = ("wrong_type", "missing_field", "new_field", "other_id", "swapped", "price", "vanished")
    return dict(zip(kinds, ids, strict=True)) | {"twin": "f" * 32}


def _wrong(events: list[Json], ids: dict[str, str]) -> list[Json]:
    """The answer with something wrong in each event."""
    told = [event for event in deepcopy(events) if event["id"] != ids["vanished"]]
    role = {what: event for what, event_id in ids.items() for event in told if event["id"] == event_id}
    role["wrong_type"]["home_team"] = ["Boston", "Celtics"]
    del role["missing_field"]["commence_time"]
    role["new_field"]["venue"] = {"name": "Moda Center", "roof": None}
    swapped = role["swapped"]
    swapped["home_team"], swapped["away_team"] = swapped["away_team"], swapped["home_team"]
    if "bookmakers" in role["price"]:
        role["price"]["bookmakers"][0]["markets"][0]["outcomes"][0]["price"] = "evens"
    return [*told, deepcopy(role["new_field"]), {**deepcopy(role["other_id"]), "id": ids["twin"]}]


def _ahead(value: Any, by: timedelta) -> Any:
    """The same as told by bookmakers whose clocks stand ahead."""
    if isinstance(value, list):
        return [_ahead(item, by) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: f"{datetime.fromisoformat(item) + by:%Y-%m-%dT%H:%M:%SZ}" if key == "last_update" else _ahead(item, by)
        for key, item in value.items()
    }


# -- what comes again is not lost


def test_after_every_failed_request_the_marts_are_those_of_the_undisturbed_night(calm: Night, stormy: Stormy) -> None:
    """Both ways, every row of every mart and intermediate table, to the last column."""
    marts = calm.marts()
    assert min(len(marts[mart][1]) for mart in ("odds_snapshots", "market_scores", "closing_lines", "games")) > 10
    assert differences(stormy.night.marts(), marts) == []


def test_after_every_failed_request_the_payloads_are_those_of_the_undisturbed_night(
    calm: Night, stormy: Stormy
) -> None:
    landed, found = calm.landed(), stormy.night.landed()
    assert sum(landed["staging_odds_api.odds"].values()) > 50
    # Pages that came again are responses too, with nothing new in them.
    for table in landed.keys() - {"staging_balldontlie.responses"}:
        assert found[table] == landed[table], table


def _retried(episode: Episode, endpoint: str) -> list[str]:
    return [line["error"] for line in episode.said("request_retried", endpoint=endpoint)]


@pytest.mark.parametrize(
    ("fault", "endpoint", "attempt", "said", "waits_at_least"),
    [
        ("truncated JSON", "odds", 1, "the body is not JSON or is cut off", 0),
        ("429 with Retry-After", "odds", 2, "answers too many requests (429); it asks to wait 7 s", 7),
        ("503 burst", "odds", 3, "has a problem of its own (503)", 0),
        ("HTML with status 200", "events", 1, "the body is HTML, not JSON", 0),
        ("timeout", "events", 2, "reading timed out", 0),
        ("500 burst", "events", 3, "has a problem of its own (500)", 0),
        ("reset in mid-body", "games", 1, "the body was cut off after", 0),
        ("429 without Retry-After", "games", 2, "answers too many requests (429)", 0),
    ],
)
def test_a_request_that_fails_is_asked_again_at_once(
    stormy: Stormy, fault: str, endpoint: str, attempt: int, said: str, waits_at_least: float
) -> None:
    episode = stormy.episodes[RETRIED]
    [line] = episode.said("request_retried", endpoint=endpoint, attempt=attempt)
    assert said in line["error"], fault
    assert line["wait_seconds"] >= waits_at_least
    [request] = episode.requests[endpoint]
    assert (request["status"], request["error_code"], request["attempts"]) == (200, None, 4)
    assert request["row_count"] > 0
    assert [run[:3] for run in episode.runs] == [("run_ingest", 1, "succeeded")]
    assert episode.letters == []


def test_missing_quota_headers_are_no_error_and_no_number(stormy: Stormy) -> None:
    episode = stormy.episodes[PAGES]
    [request] = episode.requests["odds"]
    assert (request["error_code"], request["credits_last"]) == (None, None)
    assert request["row_count"] > 0
    [before] = stormy.episodes[FIRST].requests["odds"]
    assert before["credits_last"] == 3


def test_a_refused_element_is_replayed_among_those_of_its_answer(stormy: Stormy) -> None:
    episode = stormy.episodes[FIRST]
    assert {(letter.kind, letter.endpoint, letter.reason) for letter in episode.letters} == {
        ("element", "odds", "too_large")
    }
    # The others have few bookmakers yet, and landed at once.
    assert 4 <= len(episode.letters) < episode.requests["odds"][0]["row_count"]
    assert {letter.state for letter in episode.settled.values()} == {"replayed"}


@pytest.mark.parametrize(
    ("fault", "at"), [("repeated page", PAGES), ("cursor that never ends", ATTEMPTED_TWICE)], ids=lambda one: str(one)
)
def test_pages_without_end_are_ended_and_asked_again(stormy: Stormy, fault: str, at: datetime) -> None:
    episode = stormy.episodes[at]
    letter = episode.letter("games")
    assert letter.reason == "pagination", fault
    assert "sends the same page again" in str(letter.detail)
    # The second page was the first again: there is no third request.
    assert len(episode.requests["games"]) <= 2
    assert any("sends the same page again" in str(error) for *_, error in episode.runs)
    assert episode.settled[letter.dead_letter_id].state == "replayed"


def test_a_task_is_attempted_again_and_asks_only_what_failed(stormy: Stormy) -> None:
    episode = stormy.episodes[ATTEMPTED_TWICE]
    assert [run[:3] for run in episode.runs] == [("run_ingest", 2, "failed"), ("run_ingest", 3, "dead")]
    assert len(episode.said("task tried again", task="run_ingest")) == 1
    first, second = episode.requests["odds"]
    assert (first["status"], first["error_code"], first["attempts"]) == (503, "server_error", 4)
    assert (second["status"], second["error_code"], second["attempts"]) == (200, None, 1)
    assert len(episode.requests["events"]) == 1
    # What was asked again is no longer open; what no second attempt can help is.
    assert {letter.endpoint for letter in episode.letters} == {"games"}


def test_html_without_end_is_a_dead_letter_with_the_page_and_is_replayed(stormy: Stormy) -> None:
    episode = stormy.episodes[REPLAYED]
    letter = episode.letter("odds")
    assert (letter.reason, episode.requests["odds"][0]["attempts"]) == ("bad_payload", 3)
    assert bytes(letter.raw_body or b"").startswith(b"<!DOCTYPE html>")
    assert [run[:3] for run in episode.runs] == [("run_ingest", 4, "dead")]
    assert episode.said("task given up")
    settled = episode.settled[letter.dead_letter_id]
    assert (settled.state, str(settled.closed_reason).endswith("rows landed")) == ("replayed", True)


def test_a_failed_request_for_one_event_is_replayed(stormy: Stormy) -> None:
    episode = stormy.episodes[PROPS]
    letter = episode.letter("event_odds")
    assert letter.reason == "server_error"
    assert sum(request["error_code"] is None for request in episode.requests["event_odds"]) > 1
    assert episode.settled[letter.dead_letter_id].state == "replayed"


def test_a_failed_request_for_an_event_that_is_over_is_resolved(stormy: Stormy) -> None:
    """The source no longer knows it, so there is nothing left to ask for."""
    night, over = stormy.night, "e" * 32
    offer = {"markets": "player_points", "regions": "us"}
    how = {"path": f"/v4/sports/basketball_nba/events/{over}/odds", "params": offer}
    with Ledger(night.made.connection) as ledger:
        ledger.dead_letter(DeadLetter("request", "odds_api", "event_odds", over, "server_error", "500", replay=how))
    [letter] = [letter for letter in night.letters() if letter.natural_key == over]
    night.made.succeed("dead-letters", "replay", letter.dead_letter_id, "--as-of", END.isoformat())
    [settled] = [letter for letter in night.letters(state=None) if letter.natural_key == over]
    assert (settled.state, settled.closed_reason) == ("resolved", "the source no longer knows the event")


@pytest.mark.parametrize(
    ("fault", "at", "code", "said"),
    [
        ("wrong key", WRONG_KEY, "INVALID_KEY", "The Odds API refuses the key (INVALID_KEY): check ODDS_API_KEY"),
        ("exhausted quota", NO_CREDITS, "OUT_OF_USAGE_CREDITS", "the credits of The Odds API are used up (500 used)"),
    ],
)
def test_what_asking_again_cannot_help_is_asked_once(
    stormy: Stormy, fault: str, at: datetime, code: str, said: str
) -> None:
    """Neither the request nor the task is repeated, though three attempts are allowed; the other source lands."""
    episode = stormy.episodes[at]
    [request] = episode.requests["events"]
    assert (request["status"], request["error_code"], request["attempts"]) == (401, code, 1), fault
    assert "odds" not in episode.requests
    assert episode.requests["games"][0]["error_code"] is None
    [(task, _, state, _, message)] = episode.runs
    assert (task, state) == ("run_ingest", "dead")
    assert said in message
    assert episode.said("task failed")
    assert episode.letters == []
    assert stormy.again[at].runs[0][2] == "succeeded"


def test_a_source_that_is_down_is_not_asked_until_its_circuit_is_tried(stormy: Stormy) -> None:
    down, still, unasked, back = (stormy.episodes[at] for at in (DOWN, STILL_DOWN, NOT_ASKED, BACK))
    # The host is gone: after the first patience one attempt each.
    assert [down.requests[endpoint][0]["attempts"] for endpoint in ("events", "odds")] == [4, 1]
    # The third failure in a row opens the circuit.
    assert [request["error_code"] for request in still.requests["events"]] == ["unreachable_host"]
    assert "odds" not in still.requests
    assert still.said("circuit_open", source="odds_api", failures=3)
    # Nothing is asked, and that is no success.
    assert set(unasked.requests) == {"games"}
    [(_, _, state, _, message)] = unasked.runs
    assert state == "failed"
    assert "The Odds API is not asked before" in message
    # The pause is over: one trial, and all is asked again.
    assert back.said("circuit_half_open", source="odds_api")
    assert back.said("circuit_closed", source="odds_api")
    assert back.runs[0][2] == "succeeded"
    assert [back.requests[endpoint][0]["error_code"] for endpoint in ("events", "odds")] == [None, None]


# -- what cannot be is set aside


def test_what_cannot_be_read_is_set_aside_and_the_rest_lands(nonsense: Nonsense) -> None:
    """Of seven events two cannot be read, one has vanished, one comes twice, one with a second id."""
    told = nonsense.told
    [odds] = told.requests["odds"]
    assert (odds["error_code"], odds["row_count"], odds["credits_last"]) == (None, 8, None)
    assert [run[:3] for run in told.runs] == [("run_ingest", 1, "succeeded")]
    refused = [letter for letter in nonsense.letters if letter.kind == "element"]
    assert sorted((letter.endpoint, str(letter.detail).partition(" (")[0]) for letter in refused) == [
        ("events", "commence_time is missing"), ("events", "home_team is a list, expected text"),
        ("odds", "commence_time is missing"), ("odds", "home_team is a list, expected text"),
    ]  # fmt: skip
    assert {letter.payload["id"] for letter in refused} == {
        nonsense.event_ids[what] for what in ("wrong_type", "missing_field")
    }
    assert len(told.said("dead letter", kind="element", reason="wrong_shape")) == 4
    landed = "select count(*), count(distinct event_id) from staging_odds_api.odds where captured_at = %s"
    assert nonsense.night.made.rows(landed, [RETRIED]) == [(6, 5)]


def test_what_the_marts_cannot_use_is_a_dead_letter_until_they_can(nonsense: Nonsense) -> None:
    """The 0-0 is settled by the real final. A strange id and a price that is none stay on record until discarded."""
    found = {(letter.kind, letter.reason, letter.natural_key.split()[0]) for letter in nonsense.letters}
    ids = nonsense.event_ids
    assert found >= {
        ("event", "duplicate_listing", ids["twin"]), ("quote", "price_missing", ids["price"]),
        ("quote", "other_side_invalid", ids["price"]), ("result", "score_zero", str(nonsense.game_id)),
    }  # fmt: skip
    assert nonsense.rejected == [("score_zero",)]
    states = {letter.kind: letter.state for letter in nonsense.told.settled.values()}
    assert states == {"element": "open", "event": "open", "quote": "open", "result": "resolved"}
    assert nonsense.night.made.value("select count(*) from marts.rejected_results") == 0


def test_the_health_of_the_pipeline_counts_what_was_set_aside(nonsense: Nonsense) -> None:
    [(counted,)] = nonsense.night.made.rows(
        "select open_dead_letters from marts.pipeline_health where is_latest and task = 'run_ingest'"
    )
    kept = Counter(letter.kind for letter in nonsense.night.letters())
    assert counted == dict(kept)
    assert counted["element"] == 4


def test_after_all_nonsense_games_results_and_closes_are_those_of_the_undisturbed_night(
    calm: Night, nonsense: Nonsense
) -> None:
    marts, found = calm.marts(), nonsense.night.marts()
    for mart in ("teams", "games", "game_id_map", "game_results", "game_result_versions", "closing_lines", "players"):
        assert len(marts[mart][1]) > 3
        assert differences({mart: found[mart]}, {mart: marts[mart]}) == []
    board = """
        select
            event_id, market_id, bookmaker_key, market_key, outcome_side, price_american, line_points, quoted_at,
            captured_at, commences_at, is_in_play
        from marts.markets
        where is_open
    """
    open_now = calm.made.rows(board)
    assert len(open_now) > 200
    assert Counter(nonsense.night.made.rows(board)) == Counter(open_now)


def _history(night: Night, event_id: str, until: datetime) -> Counter[tuple[Any, ...]]:
    """The changes of an event's markets, told so far as they can be before the next capture."""
    return Counter(
        night.made.rows(
            "select captured_at, bookmaker_key, market_key, outcome_side, change_kind, price_american, line_points, "
            "quoted_at from marts.odds_snapshots where event_id = %s and captured_at <= %s",
            [event_id, until],
        )
    )


def test_new_fields_and_an_event_sent_twice_change_nothing(calm: Night, nonsense: Nonsense) -> None:
    event_id = nonsense.event_ids["new_field"]
    history = _history(calm, event_id, ATTEMPTED_TWICE)
    assert len(history) > 50
    assert _history(nonsense.night, event_id, ATTEMPTED_TWICE) == history


def test_a_price_that_is_none_costs_its_market_and_no_other(calm: Night, nonsense: Nonsense) -> None:
    event_id = nonsense.event_ids["price"]
    found, history = (_history(night, event_id, ATTEMPTED_TWICE) for night in (nonsense.night, calm))
    assert {row[1:3] for row in (found - history) + (history - found)} == {("draftkings", "h2h")}


@pytest.mark.parametrize(
    ("fault", "gone_at", "back_at"), [("vanished event", RETRIED, PAGES), ("empty list in season", REPLAYED, PROPS)]
)
def test_what_was_not_listed_was_withdrawn_then_and_is_back(
    nonsense: Nonsense, fault: str, gone_at: datetime, back_at: datetime
) -> None:
    """That is what the source said. Nothing else is concluded: the event keeps its game."""
    event_id = nonsense.event_ids["vanished"]
    kinds = "select distinct change_kind from marts.odds_snapshots where event_id = %s and captured_at = %s"
    assert nonsense.night.made.rows(kinds, [event_id, gone_at]) == [("withdrawn",)], fault
    assert ("returned",) in nonsense.night.made.rows(kinds, [event_id, back_at])
    assert nonsense.empty.runs[0][2] == "succeeded"
    assert nonsense.empty.requests["odds"][0]["row_count"] == 0


def test_clocks_that_stand_ahead_move_no_time_of_ours(calm: Night, nonsense: Nonsense) -> None:
    told = nonsense.night.made.value(
        "select count(*) from marts.market_scores where scored_at = %s and quoted_at > scored_at", [WRONG_KEY]
    )
    assert told > 50
    assert nonsense.skewed.runs[0][2] == "succeeded"
    ours = """
        select distinct event_id, captured_at, is_in_play
        from staging.stg_odds_api__odds
        inner join marts.odds_snapshots using (event_id, captured_at)
        where captured_at = %s
        order by 1
    """
    assert nonsense.night.made.rows(ours, [WRONG_KEY]) == calm.made.rows(ours, [WRONG_KEY])


@pytest.mark.parametrize("night", ["autumn", "spring"])
def test_the_day_of_a_game_is_that_of_new_york(night: str, request: pytest.FixtureRequest) -> None:
    """Games of both sides of the change of clocks, as zoneinfo reckons them."""
    made, winter, summer = {
        "autumn": lambda: (request.getfixturevalue("calm").made, date(2026, 11, 1), date(2026, 10, 31)),
        "spring": lambda: (request.getfixturevalue("spring"), date(2027, 3, 13), date(2027, 3, 14)),
    }[night]()
    found = made.rows("select commences_at, game_date_et from marts.games")
    assert {(at.astimezone(NEW_YORK).utcoffset(), day) for at, day in found} >= {
        (timedelta(hours=-5), winter), (timedelta(hours=-4), summer)
    }  # fmt: skip
    assert all(at.astimezone(NEW_YORK).date() == day for at, day in found)
    assert any(at.date() != day for at, day in found)


def test_captures_before_and_after_the_missing_hour_are_as_far_apart_as_they_were(spring: Warehouse) -> None:
    """01:45 and 03:15 in New York are half an hour apart."""
    [(first, last)] = spring.rows("select min(first_seen_at), max(captured_at) from marts.markets where is_open")
    assert (first, last) == (datetime(2027, 3, 14, 6, 45, tzinfo=UTC), datetime(2027, 3, 14, 7, 15, tzinfo=UTC))
    assert [at.astimezone(NEW_YORK).hour for at in (first, last)] == [1, 3]


# -- what nobody may see


def test_no_key_and_no_password_is_found_anywhere(calm: Night, stormy: Stormy, nonsense: Nonsense) -> None:
    for night in (calm, stormy.night, nonsense.night):
        secrets = [DEFAULT_KEY, WRONG, night.made.connection.password]
        assert sum(map(len, night.text)) > 5_000
        assert leaks(night, secrets) == []


def test_a_key_that_got_out_would_be_found(nonsense: Nonsense) -> None:
    """The scan finds what is planted, wherever that is."""
    night, secret = nonsense.night, "planted-secret-5d1c"
    assert leaks(night, [secret]) == []
    night.text.append(f"GET /v4/sports?apiKey={secret}")
    with Ledger(night.made.connection) as ledger:
        ledger.dead_letter(
            DeadLetter(
                "request", "odds_api", "odds", "planted", "planted", f"asked with {secret}", None, secret.encode()
            )
        )
    process = subprocess.Popen([sys.executable, "-c", "input()", secret], stdin=subprocess.PIPE)
    try:
        found = leaks(night, [secret])
    finally:
        process.kill()
        process.wait()
        night.text.pop()
    assert {place.split(":")[0] for place in found} == {
        "log",
        "ops.dead_letters",
        "process",
        "bytes of ops.dead_letters",
    }
