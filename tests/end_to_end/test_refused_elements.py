"""Elements of an answer that cannot be read, over real HTTP: nothing is concluded of what they were.

Four cycles; in the answers of the second, of odds and of events, one event has teams that are a list, one no start, one
no id, and one is not there. The third has neither the second of these, nor the third, nor the fourth any more.
"""

import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests

from ops.transform import project_in
from ops.warehouse import Connection
from simulator import DEFAULT_KEY, League, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.storms import LEAGUE, START, Night, instants
from tests.end_to_end.warehouses import simulated, warehouse

Json = dict[str, Any]

FIRST, SECOND, THIRD, FOURTH = instants(4)
"""An hour and more before the first tip-off."""

NAMED, LEAVING, NAMELESS, VANISHED = "named", "leaving", "nameless", "vanished"


@dataclass
class Told:
    """A warehouse after the four cycles, the events by what became of them, and what it said after the second."""

    night: Night
    events: dict[str, str]
    withdrawn: list[tuple[Any, ...]]
    states: set[str]
    offers: set[tuple[Any, ...]]
    board: dict[str, set[datetime]]


@pytest.fixture(scope="module")
def told(server: Connection, deployed: Connection, targets: Path) -> Iterator[Told]:
    with (
        serve(SimulatorApp(League(LEAGUE), SimulatorClock(START))) as league,
        warehouse(server, targets, deployed, **simulated(league.base_url)) as made,
    ):
        night = Night(made, league)
        night.cycle(FIRST)
        night.make(FIRST)
        listed = sorted(made.rows("select event_id from marts.markets group by event_id having count(*) > 20"))
        events = dict(zip((NAMED, LEAVING, NAMELESS, VANISHED), (event_id for (event_id,) in listed), strict=False))

        _answer(league, SECOND, lambda answer: _broken(answer, events))
        night.cycle(SECOND)
        night.make(SECOND)
        gone = "select event_id from marts.odds_snapshots where change_kind = 'withdrawn' and captured_at = %s"
        left = "select event_id from marts.event_versions where status <> 'listed'"
        withdrawn = made.rows(f"{gone} union all {left}", [SECOND])
        states = {state for (state,) in made.rows("select market_state from marts.markets")}
        offers = set(
            made.rows(
                "select event_id, is_still_offered, offered_until_at from marts.price_offers "
                "where event_id = any(%s) and offered_from_at = %s",
                [[events[NAMED], events[LEAVING]], FIRST],
            )
        )
        # The function comes with the view; that of the copied warehouse asks the other database.
        with patch.dict(os.environ, made.environment()):
            project_in(made.target).invoke("run", ["--select", "price_offers"], as_of=SECOND)
        board: dict[str, set[datetime]] = {}
        for event_id, seen_at in made.rows("select event_id, seen_at from marts.board_at(%s)", [SECOND]):
            board.setdefault(event_id, set()).add(seen_at)

        for at in (THIRD, FOURTH):
            _answer(league, at, lambda answer: _without(answer, events[LEAVING], events[NAMELESS], events[VANISHED]))
            night.cycle(at)
            night.make(at)
        yield Told(night, events, withdrawn, states, offers, board)


def _answer(league: Simulator, at: datetime, change: Any) -> None:
    """Have the source answer, at the next cycle, what it would, but for a change."""
    league.set_clock(at)
    for endpoint in ("odds", "events"):
        params = {"apiKey": DEFAULT_KEY, "regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
        answer = requests.get(f"{league.base_url}/v4/sports/basketball_nba/{endpoint}", params=params, timeout=10)
        answer.raise_for_status()
        body = change(answer.json())
        league.inject_fault("status", path=f"/v4/sports/*/{endpoint}", status=200, body=body)


def _broken(answer: list[Json], events: dict[str, str]) -> list[Json]:
    answer = _without(deepcopy(answer), events[VANISHED])
    role = {what: event for event in answer for what, event_id in events.items() if event["id"] == event_id}
    role[NAMED]["home_team"] = ["Boston", "Celtics"]
    del role[LEAVING]["commence_time"]
    del role[NAMELESS]["id"]
    return answer


def _without(answer: list[Json], *event_ids: str) -> list[Json]:
    return [event for event in answer if event["id"] not in event_ids]


def test_an_answer_says_which_events_it_refused(told: Told) -> None:
    """A null for the one without an id."""
    found = told.night.made.rows(
        "select endpoint, captured_at, refused_event_ids from staging_odds_api.responses "
        "where refused_event_ids is not null or captured_at = %s order by endpoint, captured_at",
        [FIRST],
    )
    refused = {told.events[NAMED], told.events[LEAVING], None}
    assert [(endpoint, at, set(ids or ())) for endpoint, at, ids in found if endpoint in ("odds", "events")] == [
        ("events", FIRST, set()), ("events", SECOND, refused), ("odds", FIRST, set()), ("odds", SECOND, refused)
    ]  # fmt: skip


def test_nothing_is_withdrawn_by_an_answer_that_could_not_be_read(told: Told) -> None:
    assert told.withdrawn == []
    # An hour later nobody knows the prices of what was refused: they are stale, and nothing is gone.
    assert "stale" in told.states
    assert told.states.isdisjoint({"withdrawn", "closed", "suspended"})


def test_until_when_a_price_was_offered_is_the_last_answer_that_could_be_read(told: Told) -> None:
    """It stands, and was seen at the first cycle; what the second shows was seen by it."""
    assert told.offers == {(told.events[what], True, FIRST) for what in (NAMED, LEAVING)}
    unread = {told.events[what]: {FIRST} for what in (NAMED, LEAVING, NAMELESS, VANISHED)}
    assert told.board == {event_id: unread.get(event_id, {SECOND}) for event_id in told.board}
    assert len(told.board) > len(unread)


def test_what_comes_back_was_never_gone(told: Told) -> None:
    """Another price was there since the third cycle, and the one before until the first."""
    changes = told.night.made.rows(
        "select change_kind, captured_at, previous_seen_at from marts.odds_snapshots where event_id = %s "
        "and captured_at in (%s, %s)",
        [told.events[NAMED], SECOND, THIRD],
    )
    assert ("moved", THIRD, FIRST) in changes
    # A single book may have taken a market away by itself.
    assert set(changes) <= {("moved", THIRD, FIRST), ("withdrawn", THIRD, FIRST), ("opened", THIRD, None)}
    versions = "select status, first_seen_at from marts.event_versions where event_id = %s"
    assert told.night.made.rows(versions, [told.events[NAMED]]) == [("listed", FIRST)]


@pytest.mark.parametrize("what", [LEAVING, NAMELESS, VANISHED])
def test_what_is_gone_was_withdrawn_by_the_first_answer_that_tells_of_it(told: Told, what: str) -> None:
    """By the third: of what is in no element of the second nobody knows whether it was the one without an id."""
    ends = told.night.made.rows(
        "select distinct captured_at, previous_seen_at from marts.odds_snapshots "
        "where event_id = %s and change_kind = 'withdrawn'",
        [told.events[what]],
    )
    assert ends == [(THIRD, FIRST)]
    versions = told.night.made.rows(
        "select status, first_seen_at, last_seen_at from marts.event_versions where event_id = %s "
        "order by first_seen_at",
        [told.events[what]],
    )
    assert versions == [("listed", FIRST, FIRST), ("withdrawn", THIRD, THIRD)]
    assert told.night.made.rows(
        "select distinct market_state from marts.markets where event_id = %s", [told.events[what]]
    ) == [("withdrawn",)]
