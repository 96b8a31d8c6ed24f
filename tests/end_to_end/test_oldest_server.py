"""PostgreSQL 15, the oldest that is supported: a small past and a cycle work there as well."""

from datetime import UTC, date, datetime
from pathlib import Path

from ops.warehouse import Connection
from simulator import League, LeagueSettings, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.warehouses import simulated, warehouse

NOW = datetime(2026, 11, 12, 5, 0, tzinfo=UTC)


def test_a_backfill_and_a_cycle_work_on_postgresql_15(server15: Connection, targets: Path) -> None:
    app = SimulatorApp(
        League(LeagueSettings(first_day=date(2026, 11, 9), days=5, games_per_day=3, seed=3)), SimulatorClock(NOW)
    )
    with serve(app) as simulator, warehouse(server15, targets, None, **simulated(simulator.base_url)) as made:
        as_of = ("--as-of", NOW.isoformat())
        made.succeed("backfill", "--from", "2026-11-10", "--to", "2026-11-12", "--step", "6h", "--yes", *as_of)
        made.succeed("cycle", *as_of)
        assert made.value("show server_version").startswith("15.")
        assert made.value("select count(*) from marts.odds_snapshots") > 500
        assert made.value("select count(*) from marts.game_results") >= 6
        assert made.value("select count(*) from marts.team_stats where possessions is not null") >= 12
        graded = "select count(*) from marts.grades where is_latest and outcome in ('win', 'loss', 'push')"
        assert made.value(graded) > 0
