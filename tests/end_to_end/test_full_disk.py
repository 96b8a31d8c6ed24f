"""A disk of the server that is full: what fails says so, and what was captured lands when there is room.

    mount -t tmpfs -o size=400m tmpfs /srv/small
    SMALL_DISK=/srv/small python -m pytest -n 0 -s tests/end_to_end/test_full_disk.py

fills that disk but for a part of what a cycle needs, runs the cycle, makes room and runs it again: with the tables
alone on it, and with the whole server, whose write-ahead log then has no room either.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from ops.embedded import EmbeddedServer
from ops.warehouse import Connection, drop_database
from simulator import League, LeagueSettings, SimulatorApp, SimulatorClock, serve
from tests.conftest import QUICK
from tests.end_to_end.arrivals import differences
from tests.end_to_end.crashing import Ground
from tests.end_to_end.warehouses import simulated

pytestmark = pytest.mark.skipif("SMALL_DISK" not in os.environ, reason="SMALL_DISK names a disk that may be filled")

DISK = Path(os.environ.get("SMALL_DISK", "."))
AT = datetime(2026, 11, 10, 18, tzinfo=UTC)
LEAGUE = LeagueSettings(first_day=date(2026, 11, 8), days=4, games_per_day=8, seed=4)
CYCLE = ("cycle", "--as-of", AT.isoformat())
SHARES = (0.1, 0.3, 0.5, 0.7)
"""How much of the room that the cycle needs there is."""


@pytest.fixture(scope="module")
def league() -> Iterator[str]:
    with serve(SimulatorApp(League(LEAGUE), SimulatorClock(AT))) as simulator:
        yield simulator.base_url


def _fill(but_for: int) -> None:
    with (DISK / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(DISK).free - but_for))


def _make_room() -> None:
    (DISK / "ballast").unlink()


def _go_through(
    ground: Ground,
    anew: Callable[[], None],
    strike: Callable[[], None] = lambda: None,
    remedy: Callable[[], None] = lambda: None,
    **settings: str,
) -> list[str]:
    """Run the cycle with too little room and again with enough, and compare; returns what was said each time.

    Args:
        anew: makes the warehouse as it was before.
        strike: called when the disk is full.
        remedy: called when there is room again.
    """
    anew()
    free = shutil.disk_usage(DISK).free
    ground.succeed(*CYCLE, **settings)
    needed, content = free - shutil.disk_usage(DISK).free, ground.content()
    assert content["odds_snapshots"][1]
    said = []
    for share in SHARES:
        anew()
        _fill(int(needed * share))
        try:
            strike()
            with ground.begin(*CYCLE, **settings) as command:
                errors = [] if command.has_ended(60) else ["it still waits for the server"]
                errors += [line.decode().strip() for line in command.log if line.startswith(b"error: ")]
        finally:
            _make_room()
        said.append("; ".join(errors))
        sys.stdout.write(f"room for {share:.0%} of {needed >> 10} kB: {said[-1][:1000]}\n")
        remedy()
        ground.succeed(*CYCLE, **settings)
        assert differences(ground.content(), content) == []
        ground.assert_nothing_half()
    return said


def test_tables_that_find_no_room_are_as_if_there_had_been_room_afterwards(
    server: Connection, deployed: Connection, targets: Path, league: str
) -> None:
    place, owner = DISK / "tables", server.in_database("postgres")
    place.mkdir()
    with owner.session() as session, session.cursor() as cursor:
        cursor.execute("show data_directory")
        [(folder,)] = cursor.fetchall()
        os.chown(place, Path(folder).stat().st_uid, Path(folder).stat().st_gid)
        cursor.execute(f"create tablespace small location '{place}'")
    ground = Ground(server.in_database("full_disk"), simulated(league), targets / "full_disk")

    def anew() -> None:
        drop_database(ground.connection)
        with owner.session() as session, session.cursor() as cursor:
            cursor.execute(f"create database full_disk template {deployed.database} tablespace small")
            cursor.execute("checkpoint")

    try:
        said = _go_through(ground, anew)
    finally:
        drop_database(ground.connection)
        with owner.session() as session, session.cursor() as cursor:
            cursor.execute("drop tablespace small")
        shutil.rmtree(place)
    assert all("No space left on device" in one for one in said)


def test_a_server_that_finds_no_room_at_all_is_started_again_and_has_lost_nothing(targets: Path, league: str) -> None:
    """It panics where its write-ahead log cannot grow, and may hang in its recovery: `db stop` ends it all the same."""
    home = DISK / "server"
    embedded = EmbeddedServer(home, options=QUICK)
    ours = {"PGHOST": "", "LINEKEEPER_WAREHOUSE_DIR": str(home)}
    try:
        owner = embedded.start()
        ground = Ground(owner.in_database("full_disk"), simulated(league), targets / "full_disk_server")
        day_before = (AT - timedelta(days=1)).isoformat()
        ground.succeed("run_grading", "--as-of", day_before, PGDATABASE="template_of_it", **ours)

        def anew() -> None:
            embedded.start()
            ground.restore("template_of_it")

        def switch() -> None:
            with contextlib.suppress(psycopg2.Error), owner.in_database("postgres").session() as session:
                for number in range(20):
                    with session.cursor() as cursor:
                        cursor.execute("select pg_logical_emit_message(true, 'fill', %s); ", [f"{number}"])
                        cursor.execute("select pg_switch_wal()")

        def stop() -> None:
            ground.succeed("db", "stop", **ours)

        said = _go_through(ground, anew, switch, stop, **ours)
    finally:
        embedded.stop()
        shutil.rmtree(home, ignore_errors=True)
    assert all(said)
