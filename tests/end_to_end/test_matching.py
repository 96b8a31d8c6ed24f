"""Matches are derived again only near in time to what changed, and are those of a full build, whatever changes and in
whatever order it is learnt."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.warehouse import Connection
from simulator import League
from tests.end_to_end.arrivals import Harness, Payload, content_of, differences
from tests.end_to_end.warehouses import unmade, working_folder
from tests.end_to_end.worlds import NBA, NBA_LEAGUE, balldontlie_answer, odds_answer

LEAGUE = League(NBA_LEAGUE)
GAME, LAST = 20156963, 20156979
"""Toronto at Charlotte, and a game of other teams, with which the schedule ends."""

MODELS = ("ingest", "results")
EVENT, TWIN = "a" * 32, "b" * 32
NOVEMBER = datetime(2026, 11, 1, 12, tzinfo=UTC)
END = datetime(2026, 11, 5, 12, tzinfo=UTC)
WEEKS = [datetime(2026, 11, 10, 23, 30, tzinfo=UTC) + timedelta(weeks=weeks) for weeks in range(4)]
"""Starts that are far from one another."""


@pytest.fixture(scope="module")
def anew(server: Connection, deployed: Connection, targets: Path) -> Iterator[Harness]:
    connection = unmade(server)
    made = Harness(connection, deployed, working_folder(targets, connection), END)
    yield made
    made.drop()


@pytest.fixture
def harness(anew: Harness) -> Harness:
    anew.make_anew()
    return anew


@pytest.mark.parametrize("late", ["the feed's", "the schedule's"])
def test_a_start_that_is_learnt_late_is_followed(harness: Harness, late: str) -> None:
    """Between their first word and their last, which do not agree, both said the second week: so the game is that one.

    Neither what is listed now nor the game as it is now changes by it.
    """
    feed = [_listed(hours, {EVENT: start}) for hours, start in ((1, WEEKS[0]), (3, WEEKS[1]), (5, WEEKS[2]))]
    schedule = [_scheduled(hours, start) for hours, start in ((0, WEEKS[3]), (2, WEEKS[1]), (4, WEEKS[3]))]
    answers = [*feed, *schedule]
    missing = feed[1] if late == "the feed's" else schedule[1]
    harness.arrive([answer for answer in answers if answer is not missing])
    harness.build(MODELS, END)
    assert _matches(harness) == {}
    harness.arrive([missing])
    harness.build(MODELS, END)
    assert _matches(harness) == {EVENT: "followed"}
    _assert_as_built_at_once(harness)


def test_an_id_that_was_refused_gets_the_game_when_it_moves(harness: Harness) -> None:
    """Two ids on offer together are one game's: the nearer is kept. They are 0 and 2 hours from it, then 5 and 3."""
    ids = {EVENT: WEEKS[0], TWIN: WEEKS[0] - timedelta(hours=2)}
    harness.arrive([_scheduled(0, WEEKS[0]), _listed(1, ids)])
    harness.build(MODELS, END)
    assert _matches(harness) == {EVENT: "teams_and_time"}
    assert _unmatched(harness) == {TWIN: ("duplicate_listing", 2.0)}
    harness.arrive([_scheduled(2, WEEKS[0] - timedelta(hours=5))])
    harness.build(MODELS, END)
    assert _matches(harness) == {TWIN: "teams_and_time"}
    assert _unmatched(harness) == {EVENT: ("duplicate_listing", 5.0)}
    _assert_as_built_at_once(harness)


def test_the_nearest_game_of_who_has_none_is_told_however_far(harness: Harness) -> None:
    """Seven days of 24 hours are 168 hours, then 14 days, and 336."""
    harness.arrive([_scheduled(0, WEEKS[1]), _listed(1, {EVENT: WEEKS[0]})])
    harness.build(MODELS, END)
    assert _unmatched(harness) == {EVENT: ("no_game_at_that_time", 168.0)}
    harness.arrive([_scheduled(2, WEEKS[2]), _listed(3, {EVENT: WEEKS[0]})])
    harness.build(MODELS, END)
    assert _unmatched(harness) == {EVENT: ("no_game_at_that_time", 336.0)}
    _assert_as_built_at_once(harness)


def test_what_is_far_in_time_is_not_derived_again(harness: Harness) -> None:
    """The two teams meet twice. A wrong figure put into the match of the first game stays while the second one moves,
    and goes when the first one does."""
    ids = {EVENT: WEEKS[0], TWIN: WEEKS[2]}
    harness.arrive([_scheduled(0, WEEKS[0], WEEKS[2]), _listed(1, ids)])
    harness.build(MODELS, END)
    assert _matches(harness) == {EVENT: "teams_and_time", TWIN: "teams_and_time"}
    with harness.connection.session() as session, session.cursor() as cursor:
        cursor.execute("update marts.game_id_map set minutes_apart = 999 where source = 'odds_api'")
    hour = timedelta(hours=1)
    harness.arrive([_scheduled(2, WEEKS[0], WEEKS[2] + hour)])
    harness.build(MODELS, END)
    assert _apart(harness) == {EVENT: 999.0, TWIN: -60.0}
    harness.arrive([_scheduled(3, WEEKS[0] + hour, WEEKS[2] + hour)])
    harness.build(MODELS, END)
    assert _apart(harness) == {EVENT: -60.0, TWIN: -60.0}
    _assert_as_built_at_once(harness)


# -- the world


def _listed(hours: int, starts: dict[str, datetime]) -> Payload:
    """The board so many hours after noon of 1 November: Toronto at Charlotte under some ids, without prices."""
    events = [
        {
            "id": event,
            "sport_key": NBA,
            "sport_title": "NBA",
            "commence_time": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "home_team": "Charlotte Hornets",
            "away_team": "Toronto Raptors",
            "bookmakers": [],
        }
        for event, start in starts.items()
    ]
    return odds_answer(NBA, NOVEMBER + timedelta(hours=hours), events)


def _scheduled(hours: int, *starts: datetime) -> Payload:
    """The schedule so many hours after noon of 1 November: a game of these teams at each start, and one long after."""
    known = {row.game_id: row.build() for row in LEAGUE.games(int(NOVEMBER.timestamp()))}
    played = [_game(known[GAME], GAME + number, start) for number, start in enumerate(starts)]
    last = _game(known[LAST], LAST, WEEKS[3] + timedelta(weeks=9))
    return balldontlie_answer("games", NOVEMBER + timedelta(hours=hours), [*played, last])


def _game(row: dict[str, Any], game_id: int, start: datetime) -> dict[str, Any]:
    text = f"{start:%Y-%m-%dT%H:%M:%S.000Z}"
    return {**row, "id": game_id, "datetime": text, "status": text, "date": f"{start - timedelta(hours=5):%Y-%m-%d}"}


# -- the warehouse


def _matches(harness: Harness) -> dict[str, str]:
    return dict(_rows(harness, "select source_id, match_method from marts.game_id_map where source = 'odds_api'"))


def _apart(harness: Harness) -> dict[str, float]:
    query = "select source_id, minutes_apart::float from marts.game_id_map where source = 'odds_api'"
    return dict(_rows(harness, query))


def _unmatched(harness: Harness) -> dict[str, tuple[str, float]]:
    query = """
        select
            source_id, reason,
            round(abs(extract(epoch from
                (candidates -> 0 ->> 'commences_at')::timestamptz - commences_at
            )) / 3600, 1)::float
        from marts.unmatched_events
        where source = 'odds_api'
    """
    return {event: (reason, hours) for event, reason, hours in _rows(harness, query)}


def _assert_as_built_at_once(harness: Harness) -> None:
    grown = content_of(harness.connection)
    harness.build(MODELS, END, full_refresh=True)
    found = differences(grown, content_of(harness.connection))
    assert not found, "\n".join(["not what one full build gives:", *found])


def _rows(harness: Harness, query: str) -> list[tuple[Any, ...]]:
    with harness.connection.session() as session, session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()
