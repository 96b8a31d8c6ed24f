"""Recorded files are taken apart while the next are landed; whatever becomes of that, the build after it is whole."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from extract import history
from ops import backfill
from ops.ahead import built_ahead
from ops.ledger import Ledger
from ops.settings import load_settings
from ops.tasks import Pipeline, open_pipeline
from ops.transform import Project
from ops.warehouse import Connection
from orchestrate import INGEST, PRICES
from simulator import League
from simulator.source import Wanted
from tests.end_to_end.recordings import account, live_polls
from tests.end_to_end.warehouses import Warehouse, kept_changes, warehouse
from tests.end_to_end.worlds import BOOKS, FEATURED, NBA, NBA_LEAGUE

FIRST, POLLS, POLLS_A_LOAD = datetime(2026, 11, 10, 15, tzinfo=UTC), 6, 2


@pytest.fixture(scope="module")
def polls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boards of a simulated league an hour apart, a file each."""
    folder, league = tmp_path_factory.mktemp("polls"), League(NBA_LEAGUE)
    for at in (FIRST + timedelta(hours=hours) for hours in range(POLLS)):
        board = league.odds(NBA, int(at.timestamp()), Wanted(frozenset(FEATURED), frozenset(), BOOKS))
        (folder / f"{at:%Y-%m-%dT%H%M%SZ}.json").write_text(json.dumps(board))
    return folder


@pytest.fixture
def made(
    server: Connection, deployed: Connection, targets: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    monkeypatch.setattr(history, "FILES_PER_LOAD", POLLS_A_LOAD)
    with warehouse(server, targets, deployed) as empty:
        yield empty


@pytest.fixture
def pipeline(made: Warehouse) -> Iterator[Pipeline]:
    with patch.dict(os.environ, made.environment()), open_pipeline(load_settings()) as opened:
        yield opened


def test_what_has_landed_is_taken_apart_while_the_rest_is_landed(
    made: Warehouse, pipeline: Pipeline, polls_folder: Path
) -> None:
    """Nothing but the quotes is built, of loads that are here; the last load is left to the build."""
    outcome = backfill.fetch_files(pipeline, [polls_folder], ahead=lambda: built_ahead(pipeline, INGEST))
    assert outcome.state == "succeeded"
    taken = made.rows("select load_id, count(distinct captured_at) from intermediate.int_quotes_unpacked group by 1")
    assert 1 <= len(taken) <= POLLS // POLLS_A_LOAD
    assert {count for _, count in taken} == {POLLS_A_LOAD}
    assert made.value("select count(*) from marts.odds_snapshots") == 0
    assert backfill.build(pipeline, PRICES).state == "succeeded"
    _assert_whole(made, polls_folder)


@pytest.mark.parametrize("trouble", ["a cycle is under way", "the project is broken"])
def test_what_is_not_built_ahead_is_left_to_the_build(
    made: Warehouse, pipeline: Pipeline, polls_folder: Path, tmp_path: Path, trouble: str
) -> None:
    with ExitStack() as held, capture_logs() as logs:
        working = pipeline
        if trouble == "a cycle is under way":
            held.enter_context(held.enter_context(Ledger(made.connection)).lock("cycle"))
        else:
            working = replace(pipeline, project=Project(tmp_path / "nowhere"))
        outcome = backfill.fetch_files(pipeline, [polls_folder], ahead=lambda: built_ahead(working, INGEST))
    assert outcome.state == "succeeded"
    assert made.value("select count(*) from intermediate.int_quotes_unpacked") == 0
    assert "nothing is built ahead" in {log["event"] for log in logs}
    assert backfill.build(pipeline, PRICES).state == "succeeded"
    _assert_whole(made, polls_folder)


def test_an_error_that_nobody_expects_is_not_swallowed(pipeline: Pipeline) -> None:
    has_begun = threading.Event()

    class Broken(Project):
        def parse(self) -> None:
            has_begun.set()
            raise RuntimeError("a mistake in the code")

    def land() -> None:
        with built_ahead(replace(pipeline, project=Broken()), INGEST) as begin:
            begin()
            has_begun.wait()

    with pytest.raises(RuntimeError, match="a mistake in the code"):
        land()


def test_the_command_builds_ahead(made: Warehouse, polls_folder: Path) -> None:
    """The quotes are built more than once, and of that nothing is left: the same changes, each load claimed once."""
    done = made.succeed("--verbose", "backfill", "--files", str(polls_folder))
    assert sum("dbt node" in line and "int_quotes_unpacked" in line for line in done.log.splitlines()) > 1
    _assert_whole(made, polls_folder)
    claims = made.rows(
        "select count(*), bool_and(is_done) from ops.model_loads where model_name = 'int_quotes_unpacked'"
    )
    assert claims == [(POLLS // POLLS_A_LOAD, True)]


def _assert_whole(made: Warehouse, polls_folder: Path) -> None:
    expected = account(live_polls(polls_folder))
    assert expected.total > 0
    assert sorted(kept_changes(made), key=str) == sorted(expected.changes, key=str)
