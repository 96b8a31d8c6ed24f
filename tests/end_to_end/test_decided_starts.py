"""When a game really started is decided by its event, the schedule and the scores: whatever of them changes, closes and
what follows them are those of a full build, though nothing that was ever asked about the event has landed since."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.warehouse import Connection
from simulator import League
from simulator.source import Wanted
from tests.end_to_end.arrivals import TAGS, Harness, Payload, content_of, differences
from tests.end_to_end.warehouses import unmade, working_folder
from tests.end_to_end.worlds import BOOKS, FEATURED, NBA, NBA_LEAGUE, balldontlie_answer, odds_answer

LEAGUE = League(NBA_LEAGUE)
PLANNED = datetime(2026, 11, 10, 23, 30, tzinfo=UTC)
"""When the feed had the event begin, until it left: before that."""

PLAYED = datetime(2026, 11, 11, 0, 30, tzinfo=UTC)
"""When the schedule says that its game began: an hour later, far more than a start moves at the tip."""

EVENT = "eb0f6528ee5c0b618e4914c9a9481cfd"
GAME, NEXT_EVENING = 20156963, "20156979"
"""Toronto at Charlotte, in the odds and in the schedule; and a game of other teams a day later."""

LISTED = [datetime(2026, 11, 10, hour, minute, tzinfo=UTC) for hour, minute in ((15, 0), (18, 0), (21, 0), (23, 20))]
AFTER = datetime(2026, 11, 11, 1, tzinfo=UTC)
END = datetime(2026, 11, 11, 2, tzinfo=UTC)
FOLLOWERS = ("closing_lines", "line_movements", "consensus_movements", "pick_clv")


@pytest.fixture(scope="module")
def evening(server: Connection, deployed: Connection, targets: Path) -> Iterator[Harness]:
    """The evening, built once; each test has a copy."""
    connection = unmade(server)
    before = Harness(connection, deployed, working_folder(targets, connection), END)
    before.make_anew()
    before.arrive([*_boards(), _schedule(LISTED[0], PLAYED)])
    before.build(TAGS, END)
    connection = unmade(server)
    made = Harness(connection, before.connection, working_folder(targets, connection), END)
    yield made
    made.drop()
    before.drop()


@pytest.fixture
def harness(evening: Harness) -> Harness:
    evening.make_anew()
    return evening


def test_closes_follow_a_match_that_somebody_decided(harness: Harness) -> None:
    """The row of the seed takes the event its game, so the feed's word stands; without it the schedule's does again.

    The last quotes are of 23:20, so 70 minutes old at 00:30, which is stale, and ten minutes old at 23:30.
    """
    assert _starts(harness) == {(PLAYED, "stale")}
    before = content_of(harness.connection)
    assert all(before[table][1] for table in FOLLOWERS)
    _decide(harness, None)
    for _ in range(2):  # the second time nothing is new
        harness.build(TAGS, END)
        assert _starts(harness) == {(PLANNED, "measured")}
    _assert_as_built_at_once(harness)
    _execute(harness, "delete from reference.match_overrides")
    harness.build(TAGS, END)
    assert not differences(content_of(harness.connection), before)


def test_closes_go_where_the_event_turns_out_not_to_have_started(harness: Harness) -> None:
    """Another game of that team, of the next evening: no capture is as late as its start."""
    _decide(harness, NEXT_EVENING)
    harness.build(TAGS, END)
    assert _starts(harness) == set()
    status = "select distinct close_status from marts.{} where event_id = %s"
    assert _rows(harness, status.format("line_movements"), [EVENT]) == [(None,)]
    assert _rows(harness, status.format("pick_clv"), [EVENT]) == [("not_started",)]
    _assert_as_built_at_once(harness)


def test_closes_follow_a_game_whose_start_the_schedule_corrects(harness: Harness) -> None:
    """The schedule has the game begin five minutes earlier: 65 minutes after the last quotes."""
    corrected = PLAYED - timedelta(minutes=5)
    harness.arrive([_schedule(AFTER, corrected)])
    harness.build(TAGS, END)
    assert _starts(harness) == {(corrected, "stale")}
    _assert_as_built_at_once(harness)


def test_closes_go_where_the_game_was_called_off_and_come_back_with_it(harness: Harness) -> None:
    before = content_of(harness.connection)
    [row] = [row.build() for row in LEAGUE.games(int(LISTED[0].timestamp())) if row.game_id == GAME]
    rows = [{**row, "datetime": f"{PLAYED:%Y-%m-%dT%H:%M:%S.000Z}", "status": "Postponed", "postponed": True}]
    harness.arrive([balldontlie_answer("games", AFTER, rows)])
    harness.build(TAGS, END)
    assert _starts(harness) == set()
    harness.arrive([_schedule(AFTER + timedelta(minutes=1), PLAYED)])
    harness.build(TAGS, END)
    assert _starts(harness) == {(PLAYED, "stale")}
    after = content_of(harness.connection)
    assert not [line for line in differences(after, before) if "closing_lines" in line]
    _assert_as_built_at_once(harness)


def test_a_model_that_was_not_told_finds_it_when_everything_is_due(harness: Harness) -> None:
    """As in the first build after an upgrade, from a project in which nobody told the closes."""
    _decide(harness, None)
    harness.build(("ingest", "results"), END)
    _execute(harness, "delete from ops.due_rows where model_name = 'closing_lines'")
    harness.build(TAGS, END)
    assert _starts(harness) == {(PLAYED, "stale")}
    _execute(harness, "insert into ops.due_rows (model_name, told_by, row_key) values ('closing_lines', 'deploy', '*')")
    harness.build(TAGS, END)
    assert _starts(harness) == {(PLANNED, "measured")}
    _assert_as_built_at_once(harness)


@pytest.mark.parametrize(
    ("teller", "planted"),
    [
        ("closing_lines", {"line_movements": "move_count", "pick_clv": "close_age_seconds"}),
        ("line_movements", {"consensus_movements": "move_count"}),
    ],
)
def test_what_follows_a_model_that_was_built_from_nothing_is_derived_again(
    harness: Harness, teller: str, planted: dict[str, str]
) -> None:
    before = content_of(harness.connection)
    for table, column in planted.items():
        _execute(harness, f"update marts.{table} set {column} = 999")
    harness.build(TAGS, END)
    after = content_of(harness.connection)
    assert {table for table in after if after[table] != before[table]} == set(planted), "nobody was told anything"
    told = "insert into ops.due_rows (model_name, told_by, row_key) select name, %s, '*' from unnest(%s) as told (name)"
    _execute(harness, told, [teller, [*planted]])
    harness.build(TAGS, END)
    assert not differences(content_of(harness.connection), before)


# -- the world


def _boards() -> Iterator[Payload]:
    for at in (*LISTED, AFTER):
        events = LEAGUE.odds(NBA, int(at.timestamp()), Wanted(frozenset(FEATURED), frozenset(), BOOKS))
        kept = [
            {**event, "commence_time": f"{PLANNED:%Y-%m-%dT%H:%M:%SZ}"} if event["id"] == EVENT else event
            for event in events
            if event["id"] != EVENT or at != AFTER
        ]
        yield odds_answer(NBA, at, kept)


def _schedule(at: datetime, starts_at: datetime) -> Payload:
    """The schedule as it was before these games, that of the event at a start of our own."""
    rows = [row.build() for row in LEAGUE.games(int(LISTED[0].timestamp()))]
    start = f"{starts_at:%Y-%m-%dT%H:%M:%S.000Z}"
    moved = [{**row, "datetime": start, "status": start} if row["id"] == GAME else row for row in rows]
    return balldontlie_answer("games", at + timedelta(seconds=20), moved)


# -- the warehouse


def _decide(harness: Harness, game: str | None) -> None:
    """Add a row to the seed, as dbt would: the event means this game, or none."""
    _execute(
        harness,
        "insert into reference.match_overrides values ('odds_api', %s, 'nba', %s, 'a test', 'to see', '2026-11-11')",
        [EVENT, game],
    )


def _starts(harness: Harness) -> set[tuple[datetime, str]]:
    query = "select distinct starts_at, close_status from marts.closing_lines where event_id = %s"
    return {(starts_at.astimezone(UTC), status) for starts_at, status in _rows(harness, query, [EVENT])}


def _assert_as_built_at_once(harness: Harness) -> None:
    grown = content_of(harness.connection)
    harness.build(TAGS, END, full_refresh=True)
    found = differences(grown, content_of(harness.connection))
    assert not found, "\n".join(["not what one full build gives:", *found])


def _rows(harness: Harness, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with harness.connection.session() as session, session.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall()


def _execute(harness: Harness, statement: str, values: Sequence[Any] = ()) -> None:
    with harness.connection.session() as session, session.cursor() as cursor:
        cursor.execute(statement, values or None)
