"""The odds history of all 1,852 recorded WNBA polls, held against plain Python over the same files."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from extract import history
from extract.landing import land
from ops.clock import Clock
from ops.ledger import Ledger
from ops.transform import project_in
from ops.warehouse import Connection
from tests.end_to_end.recordings import (
    POLLS,
    Offer,
    Outcomes,
    Poll,
    account,
    board,
    extract,
    instant,
    live_polls,
    names_of,
    offers,
)
from tests.end_to_end.warehouses import TOOK, Warehouse, assert_closes, kept_changes, warehouse


@pytest.fixture(scope="module")
def polls_folder(recording: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All polls as files."""
    archive, folder = recording(POLLS), tmp_path_factory.mktemp("every_poll")
    extract(archive, folder, set(names_of(archive)))
    return folder


@pytest.fixture(scope="module")
def polls(polls_folder: Path) -> list[Poll]:
    """All polls, in order of time."""
    read = live_polls(polls_folder)
    assert len(read) == 1852
    return read


@pytest.fixture(scope="module")
def expected(polls: list[Poll]) -> Outcomes:
    """What becomes of each outcome, by the rule of `account`."""
    return account(polls)


@pytest.fixture(scope="module")
def kept(server: Connection, deployed: Connection, targets: Path, polls_folder: Path) -> Iterator[Warehouse]:
    """All polls landed, and the odds side built from them."""
    with warehouse(server, targets, deployed) as made:
        clock = Clock()
        with Ledger(made.connection, clock) as ledger:
            for extraction in history.recorded(
                [polls_folder], now=clock.now(), is_landed=lambda *_: False, ledger=ledger
            ):
                land(made.connection.url, extraction)
            ledger.analyze()
        with patch.dict(os.environ, made.environment()):
            built = project_in(made.target).invoke(
                "build",
                ["--select", "+price_offers", "+closing_lines", "--exclude-resource-type", "test", "unit_test"],
                as_of=clock.now(),
            )
        TOOK["the odds history of 1,852 polls"] = built.seconds
        yield made


def test_every_change_is_the_one_that_the_files_show(kept: Warehouse, expected: Outcomes) -> None:
    assert expected.rejected == {}
    found = kept_changes(kept)
    assert Counter(change.kind for change in found) == Counter(change.kind for change in expected.changes)
    assert Counter(found) == Counter(expected.changes)


def test_more_than_85_percent_of_the_rows_are_not_stored_again(kept: Warehouse) -> None:
    quotes = kept.value("select count(*) from staging.stg_odds_api__quotes")
    stored = kept.value("select count(*) from marts.odds_snapshots")
    assert quotes == 582_292
    assert stored < 0.15 * quotes


def test_until_when_each_price_was_on_offer_is_right(kept: Warehouse, polls: list[Poll]) -> None:
    found = [
        Offer(*row)
        for row in kept.rows(
            """
            select
                event_id, bookmaker_key, market_key, outcome_name, price_american, line_points::float,
                offered_from_at, offered_until_at, ended_at, ended_by
            from marts.price_offers
            """
        )
    ]
    assert len(found) > 60_000
    assert Counter(found) == Counter(offers(polls))


def test_a_close_is_the_last_price_from_before_the_real_start(kept: Warehouse, polls: list[Poll]) -> None:
    """The feed rewrites a start to the real one; a close that is missing is nowhere in the polls around it."""
    assert_closes(kept, polls, at_least=2500)
    starts = {event["id"]: instant(event["commence_time"]) for poll in polls for event in poll.events}
    moved = {event["id"] for poll in polls for event in poll.events if _start(event) != starts[event["id"]]}
    assert len(moved) > 20
    last_before: dict[str, datetime] = {}
    for poll in polls:
        for event in poll.events:
            if poll.captured_at < starts[event["id"]]:
                last_before[event["id"]] = poll.captured_at
    quoted_before = {
        (event["id"], bookmaker["key"], market["key"], outcome["name"])
        for poll in polls
        for event in poll.events
        if last_before.get(event["id"], starts[event["id"]]) <= poll.captured_at
        and poll.captured_at < starts[event["id"]] + timedelta(minutes=20)
        for bookmaker in event["bookmakers"]
        for market in bookmaker["markets"]
        if instant(market["last_update"]) < starts[event["id"]]
        for outcome in market["outcomes"]
    }
    found = kept.rows(
        """
        select
            event_id, bookmaker_key, market_key, outcome_name, starts_at, quoted_at, price_american,
            line_points, close_age_seconds, close_status
        from marts.closing_lines
        """
    )
    for event_id, bookmaker, market, name, starts_at, quoted_at, *close in found:
        assert starts_at == starts[event_id]
        if (event_id, bookmaker, market, name) in quoted_before:
            assert quoted_at < starts_at
            assert close[3] in ("measured", "stale")
        else:
            assert close[:3] == [None, None, None]
            assert close[3] in ("book_missing", "market_missing", "no_snapshot")
    assert Counter(row[-1] for row in found).keys() >= {"measured", "book_missing", "market_missing", "no_snapshot"}


def test_the_board_at_any_instant_is_the_poll_of_that_instant(kept: Warehouse, polls: list[Poll]) -> None:
    """Exactly at a poll, and a minute later: the same board, a minute older."""
    assert not board_at(kept, polls[0].captured_at - timedelta(seconds=1))
    for poll in polls[::29]:
        expected = board(poll)
        for later in (0, 60):
            found = board_at(kept, poll.captured_at + timedelta(seconds=later))
            assert {key: offer[:2] for key, offer in found.items()} == expected
            assert {offer[2:] for offer in found.values()} == {(poll.captured_at, later)}


def board_at(kept: Warehouse, instant: datetime) -> dict[tuple[str, str, str, str], tuple[Any, ...]]:
    """Price, line, when last seen and how long ago that was, by event, bookmaker, market and outcome."""
    found = kept.rows(
        """
        select
            event_id, bookmaker_key, market_key, outcome_name,
            price_american, line_points::float, seen_at, seen_age_seconds
        from marts.board_at(%s)
        """,
        [instant],
    )
    assert len({row[:4] for row in found}) == len(found)
    return {row[:4]: row[4:] for row in found}


def _start(event: dict[str, Any]) -> datetime:
    return instant(event["commence_time"])
