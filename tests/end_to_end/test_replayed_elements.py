"""An element that was refused takes nothing away; where it lands after all, the tables are as if it had at once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

from ops import dead_letters
from ops.clock import Clock
from ops.ledger import Ledger
from ops.replay import replay
from ops.settings import load_settings
from ops.tasks import Pipeline
from ops.transform import Project
from ops.warehouse import Connection
from simulator import League
from simulator.source import Wanted
from tests.end_to_end.arrivals import TAGS, Harness, Load, Payload, content_of, differences
from tests.end_to_end.warehouses import unmade, working_folder
from tests.end_to_end.worlds import BOOKS, FEATURED, NBA, NBA_LEAGUE, odds_answer

LEAGUE = League(NBA_LEAGUE)
BEFORE, REFUSED, AFTER, END = (datetime(2026, 11, 10, hour, tzinfo=UTC) for hour in (15, 16, 17, 18))


@pytest.fixture
def harness(server: Connection, deployed: Connection, targets: Path) -> Iterator[Harness]:
    connection = unmade(server)
    made = Harness(connection, deployed, working_folder(targets, connection), END)
    made.make_anew()
    yield made
    made.drop()


@pytest.mark.parametrize(
    ("replayed_after", "is_there_after"),
    [(REFUSED, False), (AFTER, True)],
    ids=["before the next capture, which does not have it", "after the next capture, which has it"],
)
def test_a_refused_element_that_is_replayed_leaves_no_trace(
    harness: Harness, replayed_after: datetime, is_there_after: bool
) -> None:
    """Nothing was withdrawn by the capture that refused it; it was by the next, where that does not have it."""
    boards = [_board(at) for at in (BEFORE, REFUSED, AFTER)]
    sizes = sorted(len(json.dumps(event, separators=(",", ":"))) for event in boards[1].response.elements)
    [refused] = [
        event["id"]
        for event in boards[1].response.elements
        if len(json.dumps(event, separators=(",", ":"))) == sizes[-1]
    ]
    if not is_there_after:
        boards[2] = _board(AFTER, without=refused)
    for board in boards:
        at = board.response.captured_at
        with patch("extract.payloads.LARGEST_ELEMENT", sizes[-1] - 1 if at == REFUSED else sizes[-1] * 2):
            harness.arrive([board])
        harness.build(TAGS, at)
        gone = _gone(harness, refused)
        assert gone == ({"withdrawn": {AFTER}, "left": {AFTER}} if at == AFTER and not is_there_after else {})
        if at == replayed_after:
            _replay(harness)
    harness.build(TAGS, END)
    assert _gone(harness, refused) == ({} if is_there_after else {"withdrawn": {AFTER}, "left": {AFTER}})
    grown = content_of(harness.connection)
    found = differences(grown, harness.build_at_once((Load(tuple(boards), TAGS),)))
    assert not found, "\n".join(["not as if it had landed at once:", *found])


def _replay(harness: Harness) -> None:
    with Ledger(harness.connection, Clock(END)) as ledger:
        [letter] = dead_letters.find(ledger, kind="element")
        pipeline = Pipeline(load_settings(), harness.connection, Clock(END), ledger, Project())
        assert replay(pipeline, letter) == 1


def _gone(harness: Harness, event_id: str) -> dict[str, set[datetime]]:
    """When markets of an event were withdrawn, and when it left the feed."""
    found: dict[str, set[datetime]] = {}
    with harness.connection.session() as session, session.cursor() as cursor:
        cursor.execute(
            """
            select 'withdrawn', captured_at from marts.odds_snapshots
            where event_id = %(event_id)s and change_kind = 'withdrawn'
            union
            select 'left', first_seen_at from marts.event_versions
            where event_id = %(event_id)s and status <> 'listed'
            """,
            {"event_id": event_id},
        )
        for what, at in cursor:
            found.setdefault(what, set()).add(at)
    return found


def _board(at: datetime, without: str | None = None) -> Payload:
    events = LEAGUE.odds(NBA, int(at.timestamp()), Wanted(frozenset(FEATURED), frozenset(), BOOKS))
    return odds_answer(NBA, at, [event for event in events if event["id"] != without])
