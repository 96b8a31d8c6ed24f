"""The embedded server: created, started, stopped, killed, and never open to others."""

import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg2
import pytest

from ops.embedded import EmbeddedServer, State, _postmaster, find_binaries
from ops.errors import WarehouseError
from ops.paths import ROOT
from ops.warehouse import prepare
from tests.conftest import QUICK

ORDINARY = next((user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0 and user.pw_name != "nobody"), 1)
STRANGER = 54321
"""An id without an entry in /etc/passwd, as containers give."""

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def home(folder_for_servers: Path) -> Path:
    return folder_for_servers / "own"


@pytest.fixture
def embedded(home: Path) -> Iterator[EmbeddedServer]:
    """A server of this module's own, stopped and started at will."""
    embedded = EmbeddedServer(home, options=QUICK)
    yield embedded
    embedded.stop()


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.02)


def test_before_the_first_start_there_is_nothing(tmp_path: Path) -> None:
    embedded = EmbeddedServer(tmp_path / "none")
    assert embedded.running() is None
    assert not embedded.status().is_created
    assert embedded.stop() is False
    assert not (tmp_path / "none").exists()


def test_it_starts_keeps_its_data_and_its_port_and_stops(embedded: EmbeddedServer) -> None:
    first = embedded.start()
    with first.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute("create table kept as select 7 as seven")
    assert embedded.stop() is True
    assert embedded.stop() is False
    assert embedded.running() is None
    second = embedded.start()
    assert second == first
    with second.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute("select seven from kept")
        assert cursor.fetchone() == (7,)


def test_a_second_start_is_the_same_server(embedded: EmbeddedServer) -> None:
    first = embedded.start()
    pid = embedded.status().pid
    assert embedded.start() == first
    assert embedded.status().pid == pid


def test_starts_at_once_make_one_server(folder_for_servers: Path) -> None:
    embedded = EmbeddedServer(folder_for_servers / "contended", options=QUICK)
    found = []
    threads = [threading.Thread(target=lambda: found.append(embedded.start())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    embedded.stop()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_killed_server_starts_again_with_its_data(embedded: EmbeddedServer) -> None:
    connection = embedded.start()
    with connection.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute("create table survived as select 1")
    pid = embedded.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _wait_until_gone(pid)
    assert embedded.running() is None
    again = embedded.start()
    assert embedded.status().pid != pid
    with again.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute("select count(*) from survived")
        assert cursor.fetchone() == (1,)


def test_the_number_of_a_killed_server_taken_by_a_stranger_does_not_block_it(embedded: EmbeddedServer) -> None:
    embedded.start()
    data = embedded.status().data
    assert data is not None
    embedded.stop()
    user = data.owner()
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", user=_uid_of(user))
    try:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n0\n")
        assert _postmaster(data) is None
        embedded.start()
        assert embedded.status().pid != stranger.pid
    finally:
        stranger.kill()
        stranger.wait()


def test_a_zombie_does_not_count_as_a_server(embedded: EmbeddedServer) -> None:
    embedded.start()
    data = embedded.status().data
    assert data is not None
    embedded.stop()
    # Nobody reaps it until wait() below: a zombie, as a killed server is where process 1 does not reap.
    child = subprocess.Popen([sys.executable, "-c", ""], cwd="/")
    deadline = time.monotonic() + 10
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (data / "postmaster.pid").write_text(f"{child.pid}\n{data}\n0\n")
    try:
        embedded.start()
        assert embedded.running() is not None
    finally:
        child.wait()


def test_a_port_taken_meanwhile_gives_way_to_another(embedded: EmbeddedServer) -> None:
    first = embedded.start()
    embedded.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first.port))
        squatter.listen()
        second = embedded.start()
    assert second.port != first.port


def test_nobody_gets_in_without_the_password(embedded: EmbeddedServer) -> None:
    connection = embedded.start()
    for password in ("", "wrong"):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(
                host=connection.host, port=connection.port, user=connection.user, password=password, dbname="postgres",
                passfile=os.devnull,
            )  # fmt: skip


def test_it_listens_on_loopback_only_and_on_no_socket(embedded: EmbeddedServer) -> None:
    connection = embedded.start()
    with connection.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute("select current_setting('listen_addresses'), current_setting('unix_socket_directories')")
        assert cursor.fetchone() == ("127.0.0.1", "")
        cursor.execute("select type, auth_method from pg_hba_file_rules where auth_method <> 'scram-sha-256'")
        assert cursor.fetchall() == []


def test_the_password_is_random_and_private(embedded: EmbeddedServer, home: Path) -> None:
    connection = embedded.start()
    file = home / "password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(connection.password) >= 20
    assert connection.password not in repr(connection)
    assert connection.password not in str(connection)
    leaks = [
        path
        for path in home.rglob("*")
        if path.is_file()
        and path != file
        and "base" not in path.parts
        and connection.password.encode() in path.read_bytes()
    ]
    assert leaks == []


def test_it_sorts_the_same_on_every_machine(embedded: EmbeddedServer) -> None:
    with embedded.start().in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute("select datlocprovider, datlocale, pg_encoding_to_char(encoding) from pg_database limit 1")
        assert cursor.fetchone() == ("b", "C.UTF-8", "UTF8")


def test_a_lost_password_is_said_with_its_remedy(folder_for_servers: Path) -> None:
    embedded = EmbeddedServer(folder_for_servers / "forgetful", options=QUICK)
    embedded.start()
    embedded.stop()
    (embedded.home / "password").unlink()
    with pytest.raises(WarehouseError, match="put it back, or remove"):
        embedded.start()


def test_data_of_another_major_version_is_refused(folder_for_servers: Path) -> None:
    embedded = EmbeddedServer(folder_for_servers / "older", options=QUICK)
    embedded.start()
    embedded.stop()
    (embedded.home / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(WarehouseError, match=r"was made by PostgreSQL 17, the binaries are 18: dump it"):
        embedded.start()


def test_a_server_that_does_not_start_says_why_in_one_line(folder_for_servers: Path) -> None:
    embedded = EmbeddedServer(folder_for_servers / "broken", options={"shared_buffers": "'nonsense'"})
    with pytest.raises(WarehouseError) as error:
        embedded.start()
    assert "shared_buffers" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_creation_cut_short_is_done_again(folder_for_servers: Path) -> None:
    home = folder_for_servers / "halfway"
    (home / "data.unfinished").mkdir(parents=True)
    (home / "data.unfinished" / "PG_VERSION").write_text("18\n")
    embedded = EmbeddedServer(home, options=QUICK)
    embedded.start()
    embedded.stop()


def test_a_checkout_that_moved_finds_its_data(folder_for_servers: Path) -> None:
    embedded = EmbeddedServer(folder_for_servers / "before", options=QUICK)
    embedded.start()
    embedded.stop()
    moved = embedded.home.rename(folder_for_servers / "after")
    again = EmbeddedServer(moved, options=QUICK)
    again.start()
    assert again.status().data == moved / "data"
    again.stop()


def test_the_newest_binaries_of_the_wheel_are_found() -> None:
    assert (find_binaries() / "initdb").exists()
    assert find_binaries().parent.name == "pginstall18"


@is_root
def test_as_root_it_runs_as_nobody(embedded: EmbeddedServer) -> None:
    embedded.start()
    status = embedded.status()
    assert status.runs_as == "nobody"
    assert status.pid is not None
    assert psutil.Process(status.pid).uids().effective == pwd.getpwnam("nobody").pw_uid
    assert status.data is not None
    assert status.data.owner() == "nobody"
    assert stat.S_IMODE(status.data.stat().st_mode) == 0o700


@is_root
def test_where_nobody_cannot_reach_the_checkout_it_lives_elsewhere_and_says_so(
    monkeypatch: pytest.MonkeyPatch, folder_for_servers: Path
) -> None:
    outside = folder_for_servers / "var-lib"
    monkeypatch.setattr("ops.embedded.UNREACHABLE_HOME", outside)
    with tempfile.TemporaryDirectory() as private:
        mode = stat.S_IMODE(Path(private).stat().st_mode)
        assert mode == 0o700
        embedded = EmbeddedServer(Path(private) / "checkout" / ".warehouse", options=QUICK)
        prepare(embedded.start())
        status = embedded.status()
        embedded.stop()
        assert stat.S_IMODE(Path(private).stat().st_mode) == mode
        assert (embedded.home / "password").exists()
    assert status.data is not None
    assert outside in status.data.parents
    assert status.binaries is not None
    assert outside in status.binaries.parents
    assert status.note is not None
    assert "outside the checkout" in status.note


@is_root
def test_an_ordinary_user_runs_it_as_themselves(folder_for_servers: Path) -> None:
    _skip_unless_reachable()
    home = folder_for_servers / "ordinary"
    home.mkdir()
    os.chown(home, ORDINARY, ORDINARY)
    embedded = EmbeddedServer(home / "warehouse", options=QUICK)
    said = _as_ordinary_user(lambda: embedded.start().port)
    status = EmbeddedServer(home / "warehouse").status()
    try:
        assert said == str(status.port)
        assert status.pid is not None
        assert psutil.Process(status.pid).uids().effective == ORDINARY
        assert stat.S_IMODE((home / "warehouse").stat().st_mode) == 0o700
    finally:
        assert _as_ordinary_user(embedded.stop) == "True"


@is_root
def test_a_folder_of_another_user_is_refused_in_one_line(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    said = _as_ordinary_user(EmbeddedServer(home).start)
    assert said.startswith(f"WarehouseError: {home} cannot be used by user")
    assert "LINEKEEPER_WAREHOUSE_DIR" in said
    assert "\n" not in said


@is_root
def test_an_id_that_is_no_user_is_told_what_to_do(folder_for_servers: Path) -> None:
    _skip_unless_reachable()
    home = folder_for_servers / "stranger"
    home.mkdir()
    os.chown(home, STRANGER, STRANGER)
    said = _as_ordinary_user(EmbeddedServer(home / "warehouse").start, STRANGER)
    assert said.startswith("WarehouseError: ")
    assert f"user id {STRANGER} has no entry in /etc/passwd" in said
    assert "PGHOST" in said


def _as_ordinary_user(action: Callable[[], object], uid: int = ORDINARY) -> str:
    """Do something in a process of an ordinary user; returns its result or error as text.

    A fork, because the interpreter itself may lie where that user cannot reach it.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            said = str(action())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as file:
        return file.read()


def _skip_unless_reachable() -> None:
    program = [str(find_binaries() / "postgres"), "--version"]
    try:
        subprocess.run(program, user=ORDINARY, group=ORDINARY, extra_groups=[], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the binaries lie where no ordinary user can reach them")


def _uid_of(name: str) -> int | None:
    return pwd.getpwnam(name).pw_uid if os.geteuid() == 0 else None


def test_its_state_is_what_the_file_says(embedded: EmbeddedServer) -> None:
    connection = embedded.start()
    state = embedded._read_state()
    assert isinstance(state, State)
    assert state.port == connection.port
    assert ROOT not in Path(state.data).parents
