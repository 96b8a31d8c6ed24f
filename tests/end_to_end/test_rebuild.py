"""Every table built anew beside the old ones: what differs is found, and what only lands meanwhile is no difference."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.warehouse import Connection
from simulator import League, LeagueSettings, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.warehouses import Done, Warehouse, simulated, warehouse

LEAGUE = LeagueSettings(
    first_day=date(2026, 11, 8), days=6, games_per_day=4, seed=4, postponed_share=0.0, relisted_share=0.0
)
pytestmark = pytest.mark.long

CYCLES = [
    datetime(2026, 11, 10, 18, tzinfo=UTC),
    datetime(2026, 11, 11, 0, 30, tzinfo=UTC),
    datetime(2026, 11, 11, 4, 30, tzinfo=UTC),
]
"""The afternoon before the games of the 10th, when they begin, and after most have ended."""

MEANWHILE = CYCLES[-1] + timedelta(minutes=15)
SCHEMAS = "select nspname from pg_namespace where nspname like 'rebuilt%%' order by 1"
MARKET_TOO_MANY = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="module")
def league() -> Iterator[Simulator]:
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(CYCLES[-1]))) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def living(server: Connection, deployed: Connection, targets: Path, league: Simulator) -> Iterator[Warehouse]:
    """A warehouse after several cycles."""
    with warehouse(server, targets, deployed, **simulated(league.base_url)) as made:
        for at in CYCLES:
            league.set_clock(at)
            made.succeed("cycle", "--as-of", at.isoformat())
        yield made


def test_a_living_warehouse_is_what_its_payloads_give_and_lives_on_meanwhile(
    living: Warehouse, league: Simulator
) -> None:
    ended: list[Done] = []

    def rebuild() -> None:
        ended.append(living.start(sys.executable, "orchestrate.py", "rebuild", "--as-of", MEANWHILE.isoformat()))

    thread = threading.Thread(target=rebuild)
    thread.start()
    _wait_for(living, "rebuilt_marts.odds_snapshots")
    league.set_clock(MEANWHILE)
    loads = living.value("select count(*) from staging_odds_api._dlt_loads")
    living.succeed("cycle", "--as-of", MEANWHILE.isoformat())
    assert ended == [], "the cycle was to run while the tables are rebuilt"
    thread.join()
    [done] = ended
    assert done.code == 0, done.out + done.log
    assert "no rows differ" in done.out
    # What landed in the midst of it is in what was compared.
    assert living.value("select count(*) from staging_odds_api._dlt_loads") > loads
    landed = sum(
        living.value(f"select count(*) from staging_{source}._dlt_loads where status = 0")
        for source in ("odds_api", "balldontlie")
    )
    assert f"from {landed} loads" in done.out
    assert living.rows(SCHEMAS) == []


def _wait_for(living: Warehouse, table: str) -> None:
    deadline = time.monotonic() + 120
    while not living.value("select to_regclass(%s) is not null", [table]):
        assert time.monotonic() < deadline, f"{table} was not made"
        time.sleep(0.1)


def test_what_was_changed_by_hand_is_found_by_table_and_key(living: Warehouse, tmp_path: Path) -> None:
    planted = {
        "marts.odds_snapshots": _changed(
            living,
            "delete from marts.odds_snapshots as row using (select min(market_id::text)::uuid as market_id "
            "from marts.odds_snapshots) as one where row.market_id = one.market_id and change_kind = 'opened' "
            "returning row.event_id, row.market_id, row.captured_at",
        ),
        "marts.closing_lines": _changed(
            living,
            "update marts.closing_lines as row set price_american = 12345 from (select min(market_id::text)::uuid "
            "as market_id from marts.closing_lines) as one where row.market_id = one.market_id "
            "returning row.event_id, row.market_id",
        ),
        # Every cycle writes this table anew from its versions: it would be mended within a quarter of an hour.
        "marts.games": _changed(
            living,
            "update marts.games as row set status = 'cancelled' from (select min(game_id::text)::uuid as game_id "
            "from marts.games) as one where row.game_id = one.game_id returning row.game_id",
        ),
        "marts.markets": _changed(
            living,
            "insert into marts.markets select (jsonb_populate_record(row, %s)).* from marts.markets as row "
            "order by market_id limit 1 returning market_id",
            json.dumps({"market_id": MARKET_TOO_MANY}),
        ),
    }
    before = living.content(versions=True)
    file = tmp_path / "differences.json"
    done = living.run("rebuild", "--as-of", MEANWHILE.isoformat(), "--file", str(file), "--keep", "--rows", "1")
    assert done.code == 1
    [error] = done.errors
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert {one["table"]: [*one["key"].values()] for one in found} == planted
    assert len(found) == len(planted)
    for table, key in planted.items():
        assert f"{table} (1)" in error
        assert any(all(str(value) in line for value in key) for line in done.out.splitlines())
    row = {one["table"]: (one["warehouse"], one["rebuild"]) for one in found}
    assert row["marts.odds_snapshots"][0] is None
    assert row["marts.markets"][1] is None
    assert _columns_apart(*row["marts.games"]) == {"status"}
    assert _columns_apart(*row["marts.closing_lines"]) == {"price_american"}
    assert "price_american 12345 in the warehouse" in done.out
    # The warehouse itself is left as it is.
    assert living.content(versions=True) == before
    assert [name for (name,) in living.rows(SCHEMAS)] == [
        f"rebuilt_{name}" for name in ("intermediate", "marts", "ops", "reference", "staging")
    ]


def _changed(living: Warehouse, statement: str, *values: str) -> list[Any]:
    """Do something to one row by hand; its key as JSON has it."""
    [key] = living.rows(f"with changed as ({statement}) select to_jsonb(changed) from changed", values)
    return list(key[0].values())


def _columns_apart(first: dict[str, Any], second: dict[str, Any]) -> set[str]:
    return {name for name in first if first[name] != second[name]}
