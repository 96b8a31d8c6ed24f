"""An element that was refused and lands after all: the tables are as if it had landed at once."""

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


def test_a_refused_element_that_is_replayed_late_leaves_no_trace(harness: Harness) -> None:
    """Its event was withdrawn and had returned: that is taken back, in the odds of all its bookmakers."""
    boards = [_board(at) for at in (BEFORE, REFUSED, AFTER)]
    sizes = sorted(len(json.dumps(event, separators=(",", ":"))) for event in boards[1].response.elements)
    for board in boards:
        with patch("extract.payloads.LARGEST_ELEMENT", sizes[-1] - 1 if board is boards[1] else sizes[-1] * 2):
            harness.arrive([board])
        harness.build(TAGS, board.response.captured_at)
    with Ledger(harness.connection, Clock(END)) as ledger:
        [letter] = dead_letters.find(ledger, kind="element")
        changes = "select count(*) from marts.odds_snapshots where captured_at = %s and change_kind = 'withdrawn'"
        assert ledger.query(changes, [REFUSED]) > [(0,)]
        pipeline = Pipeline(load_settings(), harness.connection, Clock(END), ledger, Project())
        assert replay(pipeline, letter) == 1
    harness.build(TAGS, END)
    grown = content_of(harness.connection)
    found = differences(grown, harness.build_at_once((Load(tuple(boards), TAGS),)))
    assert not found, "\n".join(["not as if it had landed at once:", *found])


def _board(at: datetime) -> Payload:
    return odds_answer(NBA, at, LEAGUE.odds(NBA, int(at.timestamp()), Wanted(frozenset(FEATURED), frozenset(), BOOKS)))
