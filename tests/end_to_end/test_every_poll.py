"""The odds history of all 1,852 recorded WNBA polls, held against plain Python over the same files."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from extract import history
from extract.landing import land
from ops.clock import Clock
from ops.ledger import Ledger
from ops.transform import Project
from ops.warehouse import Connection
from tests.end_to_end.recordings import POLLS, Offer, Outcomes, Poll, account, extract, live_polls, names_of, offers
from tests.end_to_end.warehouses import TOOK, Warehouse, kept_changes, warehouse


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
            built = Project(target=made.target).invoke(
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


