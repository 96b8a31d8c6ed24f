"""A cycle costs what is new: no statement scans a history, and each reads as many rows where more is kept."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks.feed import QUARTER, Feed, cycle, fill
from benchmarks.kept import History
from ops.settings import load_settings
from ops.tasks import open_pipeline
from ops.warehouse import Connection
from simulator import League, LeagueSettings
from tests.end_to_end.plans import Plans, Read, explained
from tests.end_to_end.warehouses import Warehouse, warehouse

FEED = Feed(League(LeagueSettings(date(2026, 11, 9), days=30, games_per_day=4, seed=4, lookahead_hours=30)))
BEGIN = datetime(2026, 11, 10, 16, tzinfo=UTC)
BOARDS = 40
PERIOD = timedelta(days=2)
LATER = datetime(2026, 11, 20, 20, tzinfo=UTC)

FEW, MANY = 60, 180
"""How often those ten hours are kept: no table of a history is so small that reading it whole is right."""

HISTORIES = {
    "intermediate.int_events_identified",
    "marts.closing_lines",
    "marts.event_versions",
    "marts.game_id_map",
    "marts.game_versions",
    "marts.games",
    "marts.line_movements",
    "marts.market_scores",
    "marts.market_sightings",
    "marts.markets",
    "marts.odds_snapshots",
    "ops.model_loads",
    "staging_balldontlie._dlt_loads",
    "staging_balldontlie.games",
    "staging_balldontlie.responses",
    "staging_odds_api._dlt_loads",
    "staging_odds_api.events",
    "staging_odds_api.odds",
    "staging_odds_api.responses",
    "staging_odds_api.scores",
}
"""What grows with every cycle or game, but for what is too short here to tell: scores, results and grades."""

MOST_TIMES = 2.2
"""What follows the history is read three times as often; the same rows twice, where the planner looks them up twice."""

LEEWAY = 200
"""Rows that a board of a quarter of an hour later may have more."""


@dataclass(frozen=True)
class Cost:
    """What a cycle reads where few and where many are kept, and how many rows each table has in the latter."""

    few: Plans
    many: Plans
    kept: dict[str, int]
    warehouse: Warehouse


@pytest.fixture(scope="module")
def cost(server: Connection, deployed: Connection, targets: Path) -> Iterator[Cost]:
    """Two cycles on each size. The second counts: the first has to end what was on offer in the copies."""
    settings = {"ODDS_API_SPORTS": "basketball_nba"}
    with warehouse(server, targets, deployed, **settings) as made, patch.dict(os.environ, made.environment()):
        measured = []
        with open_pipeline(load_settings(), BEGIN.isoformat()) as pipeline:
            fill(pipeline, FEED, BEGIN, BOARDS)
            history = History(made.connection, PERIOD, {"market_scores": 20})
            history.remember()
            for number, copies in enumerate((FEW, MANY)):
                history.grow(copies)
                at = LATER + 2 * number * QUARTER
                cycle(pipeline, FEED, at)
                with explained() as plans:
                    cycle(pipeline, FEED, at + QUARTER)
                measured.append(plans)
        kept = made.rows("select schemaname || '.' || relname, n_live_tup from pg_stat_user_tables")
        yield Cost(measured[0], measured[1], dict(kept), made)


def test_a_new_warehouse_knows_its_seeds(deployed: Connection) -> None:
    """Before autovacuum comes by: its first plans are those of a warehouse that has been there for long."""
    asked = "select relname, last_analyze is not null from pg_stat_user_tables where schemaname = 'reference'"
    with deployed.session() as session, session.cursor() as cursor:
        cursor.execute(asked)
        is_known = dict(cursor.fetchall())
    assert {"bookmakers", "market_types", "team_names"} <= is_known.keys()
    assert [name for name, known in is_known.items() if not known] == []


def test_every_history_is_long_enough_to_tell(cost: Cost) -> None:
    """Of a table of a few hundred rows nobody could tell a lookup from a scan."""
    assert {table: cost.kept.get(table, 0) for table in HISTORIES if cost.kept.get(table, 0) < 2_000} == {}
    assert cost.many.statements > 100


def test_no_statement_of_a_cycle_scans_a_history(cost: Cost) -> None:
    found = [str(read) for read in _scans(cost.many)]
    assert not found, "\n".join(found)


def test_a_cycle_reads_no_more_where_more_is_kept(cost: Cost) -> None:
    more = [
        f"{read}: {cost.few.rows[read]:,} rows, and {rows:,} where three times as much is kept"
        for read, rows in sorted(cost.many.rows.items(), key=str)
        if read.table in HISTORIES and rows > MOST_TIMES * cost.few.rows[read] + LEEWAY
    ]
    assert not more, "\n".join(more)


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from marts.odds_snapshots where price_american = 100",
        "create temporary table planted as (select sum(price_american) from marts.odds_snapshots)",
    ],
)
def test_a_planted_scan_is_found(cost: Cost, query: str) -> None:
    with explained() as plans:
        assert len(_rows_of(cost.warehouse, query)) <= 1
    [found] = _scans(plans)
    assert found.table == "marts.odds_snapshots"
    # Of a scan by several workers the plan tells the mean.
    assert plans.rows[found] == pytest.approx(cost.kept["marts.odds_snapshots"], rel=0.01)


def test_a_planted_read_of_a_whole_index_is_found(cost: Cost) -> None:
    """It has a condition, as a good one has; what tells is how many rows it visits."""
    with explained() as plans:
        cost.warehouse.rows(
            "select count(*) from ops.model_loads where model_name = 'markets' and source_schema = 'staging_odds_api'"
        )
    [(read, rows)] = plans.rows.items()
    assert read.table == "ops.model_loads"
    assert rows > MANY + LEEWAY


def _scans(plans: Plans) -> list[Read]:
    return sorted((read for read in plans.rows if read.table in HISTORIES and read.index is None), key=str)


def _rows_of(made: Warehouse, query: str) -> list[tuple[object, ...]]:
    with made.connection.session() as session, session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall() if cursor.description else []
