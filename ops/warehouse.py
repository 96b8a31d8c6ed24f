"""The warehouse: which PostgreSQL, how to reach it, and that it is ready for use.

Two kinds: the embedded server (see ops.embedded), which is started when needed,
or any PostgreSQL 15 to 18 named by libpq's own variables PGHOST, PGPORT, PGUSER,
PGPASSWORD and PGDATABASE.
"""

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2 import sql

from ops.errors import WarehouseError
from ops.paths import MIGRATIONS
from ops.settings import Settings

SESSION_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "timezone": "UTC",
        # A statement whose client is gone ends within two seconds, and with it the locks it holds.
        "client_connection_check_interval": "2s",
        # A machine that is gone without a word is noticed within two minutes.
        "tcp_keepalives_idle": "60",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "6",
        # A runner that hangs in the middle of a transaction does not hold its locks for ever.
        "idle_in_transaction_session_timeout": "15min",
    }.items()
)
"""What every session of the runner, of dlt and of dbt is opened with."""

OLDEST_MAJOR, NEWEST_MAJOR = 15, 18
MIGRATION_LOCK = 4_722_531_097_461_153_025
"""Advisory lock held while migrations are applied. Any constant does, if nothing else uses it."""


@dataclass(frozen=True)
class Connection:
    """How to reach one database.

    Attributes:
        remedy: what to try when it cannot be reached; it ends the error message.
        role: whose rights the sessions have, see ops.roles; all those of `user` if None.
        admin: who makes, drops and migrates the database, where that is somebody else.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    remedy: str = field(default="check PGHOST and PGPORT, and that the server runs", compare=False)
    role: str | None = None
    admin: "Connection | None" = field(default=None, repr=False, compare=False)

    @property
    def url(self) -> str:
        """The connection as an address, password and role included: for libraries, never for a log."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = quote(f"{SESSION_OPTIONS} {self._role_option}", safe="")
        return (
            f"postgresql://{quote(self.user, safe='')}:{quote(self.password, safe='')}"
            f"@{host}:{self.port}/{quote(self.database, safe='')}?options={options}"
        )

    @property
    def _role_option(self) -> str:
        """The role as a start option of a session: `reset role` and a rollback do not undo it, as they do a `set`."""
        return f"-crole={self.role or 'none'}"

    def __str__(self) -> str:
        """Name the connection without its password."""
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    def environment(self) -> dict[str, str]:
        """Return libpq's variables for this connection, password included; PGOPTIONS only where there is a role."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
            **({"PGOPTIONS": self._role_option} if self.role else {}),
        }

    def activate(self) -> None:
        """Set libpq's variables in this process, which is what dbt's profile and libpq itself read."""
        # The user's own options stay, the role of another warehouse of this process does not.
        others = re.sub(r"(^|\s)-crole=\S+", "", os.environ.pop("PGOPTIONS", "")).strip()
        ours = self.environment()
        options = [] if SESSION_OPTIONS in others else [SESSION_OPTIONS]
        ours["PGOPTIONS"] = " ".join(part for part in (*options, others, ours.get("PGOPTIONS", "")) if part)
        os.environ.update(ours)

    def in_database(self, name: str) -> "Connection":
        """Return the connection to another database of the same server."""
        return replace(self, database=name, admin=self.admin and replace(self.admin, database=name))

    def acting_as(self, role: str | None) -> "Connection":
        """Return the connection whose sessions have the rights of a role; of all that the user has, if None."""
        return replace(self, role=role)

    @property
    def owner(self) -> "Connection":
        """The connection that may make, drop and migrate the database."""
        return self.admin or self.acting_as(None)

    def connect(self, *, autocommit: bool = True) -> psycopg2.extensions.connection:
        """Open a session in UTC.

        Raises:
            WarehouseError: the server cannot be reached or refuses; names host, port and the remedy.
        """
        try:
            session = psycopg2.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=self.database,
                connect_timeout=10,
                application_name="linekeeper",
                options=f"{SESSION_OPTIONS} {self._role_option}",
            )
        except psycopg2.OperationalError as error:
            raise WarehouseError(
                f"cannot use PostgreSQL at {self.host}:{self.port}: {_reason(error)}; {self.remedy}"
            ) from None
        session.autocommit = autocommit
        return session

    @contextmanager
    def session(self) -> Iterator[psycopg2.extensions.connection]:
        """Open an autocommit session and close it afterwards."""
        session = self.connect()
        try:
            yield session
        finally:
            session.close()


def _reason(error: Exception) -> str:
    """Return the first line of what libpq says, without the address it repeats."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.rpartition(" failed: ")[2].removeprefix("FATAL:  ").removeprefix("FATAL: ").strip()


def prepare(connection: Connection) -> None:
    """Make a database ready: version checked, created where absent, migrations applied.

    Raises:
        WarehouseError: the server is too old or too new, cannot be reached, or refuses.
    """
    create_database(connection)
    check_version(connection)
    migrate(connection)


def check_version(connection: Connection) -> int:
    """Return the server's major version.

    Raises:
        WarehouseError: it is none of 15 to 18.
    """
    with connection.session() as session:
        major = session.server_version // 10000
    if not OLDEST_MAJOR <= major <= NEWEST_MAJOR:
        raise WarehouseError(
            f"PostgreSQL at {connection.host}:{connection.port} is version {major}: "
            f"Linekeeper needs {OLDEST_MAJOR} to {NEWEST_MAJOR}; set PGHOST and PGPORT to such a server"
        )
    return major


def create_database(connection: Connection) -> bool:
    """Create the connection's database if it does not exist. Returns whether it did so.

    Raises:
        WarehouseError: it does not exist and the user may not create it.
    """
    try:
        connection.connect().close()
        return False
    except WarehouseError as unreachable:
        # Which refusal it was is told only in the server's own language: ask its catalog instead.
        try:
            maintenance = connection.in_database("postgres").connect()
        except WarehouseError:
            raise unreachable from None
        try:
            with maintenance.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", (connection.database,))
                if cursor.fetchone() is not None:
                    raise unreachable from None
                statement = sql.SQL("create database {} encoding 'UTF8' template template0")
                try:
                    cursor.execute(statement.format(sql.Identifier(connection.database)))
                except (psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
                    return False
                except psycopg2.errors.InsufficientPrivilege:
                    raise WarehouseError(
                        f"database {connection.database!r} does not exist at {connection.host}:{connection.port} "
                        f"and user {connection.user!r} may not create it: have it created with "
                        f'`create database "{connection.database}" owner "{connection.user}"`, '
                        "or set PGDATABASE to one that exists"
                    ) from None
                return True
        finally:
            maintenance.close()


def drop_database(connection: Connection) -> None:
    """Drop the connection's database, ending the sessions in it.

    Not `with (force)`: that fails for an ordinary role while the server's own vacuum is in the database.
    """
    with connection.owner.in_database("postgres").session() as session, session.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = %s and backend_type = 'client backend' and pg_has_role(usesysid, 'member')",
            (connection.database,),
        )
        cursor.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(connection.database)))


def migrate(connection: Connection, folder: Path = MIGRATIONS) -> list[str]:
    """Apply the migrations that are not applied yet. Returns their names.

    Runners that start at the same moment wait for each other.

    Raises:
        WarehouseError: a migration fails; names it.
    """
    from yoyo import exceptions, get_backend, read_migrations  # type: ignore[import-untyped]

    # yoyo logs each statement with its own formatting.
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    with connection.session() as session, session.cursor() as cursor:
        try:
            if _applied(cursor) >= {path.stem for path in folder.glob("*.sql") if ".rollback" not in path.name}:
                return []
            cursor.execute("select pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        except psycopg2.errors.InsufficientPrivilege:
            raise WarehouseError(
                f"user {connection.user!r} may not see which migrations {connection.database!r} has: "
                "set PGUSER and PGPASSWORD to the user of the pipeline"
            ) from None
        backend = get_backend(connection.url)
        try:
            pending = backend.to_apply(read_migrations(str(folder)))
            for migration in pending:
                backend.apply_one(migration)
        except (psycopg2.Error, exceptions.BadMigration, exceptions.MigrationConflict) as error:
            raise WarehouseError(
                f"a migration of {connection} failed: {_reason(error)}; nothing of it was applied, "
                "see the tables _yoyo_migration and _yoyo_log"
            ) from None
        finally:
            backend.connection.close()
        return [migration.id for migration in pending]


def roll_back(connection: Connection, count: int = 1, folder: Path = MIGRATIONS) -> list[str]:
    """Take the latest migrations back, the newest first. Returns their names.

    Raises:
        WarehouseError: a rollback fails, or would drop landed payloads; names the migration.
    """
    from yoyo import exceptions, get_backend, read_migrations

    logging.getLogger("yoyo").setLevel(logging.WARNING)
    with connection.session() as session, session.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        backend = get_backend(connection.url)
        try:
            chosen = list(backend.to_rollback(read_migrations(str(folder))))[:count]
            if {"0001.ops", "0002.landing"} & {migration.id for migration in chosen} and _has_payloads(cursor):
                raise WarehouseError(
                    f"rolling back to before 0003 would drop the payloads that have landed in {connection}: "
                    "they are kept for ever; take back fewer migrations, or drop the database yourself"
                )
            # yoyo prints what a statement returns.
            with contextlib.redirect_stdout(io.StringIO()):
                for migration in chosen:
                    backend.rollback_one(migration)
        except (psycopg2.Error, exceptions.BadMigration) as error:
            raise WarehouseError(f"a rollback of {connection} failed: {_reason(error)}") from None
        finally:
            backend.connection.close()
        return [migration.id for migration in chosen]


def _has_payloads(cursor: psycopg2.extensions.cursor) -> bool:
    for table in ("staging_odds_api.responses", "staging_balldontlie.responses"):
        cursor.execute("select to_regclass(%s) is not null", (table,))
        if cursor.fetchone() == (True,):
            cursor.execute(f"select exists (select from {table})")  # noqa: S608 - the names stand here
            if cursor.fetchone() == (True,):
                return True
    return False


def _applied(cursor: psycopg2.extensions.cursor) -> set[str]:
    """Return the names of the applied migrations: one query, where yoyo's own check takes a dozen."""
    cursor.execute("select to_regclass('_yoyo_migration') is not null")
    if cursor.fetchone() != (True,):
        return set()
    cursor.execute("select migration_id from _yoyo_migration")
    return {str(row[0]) for row in cursor.fetchall()}


def external(settings: Settings) -> Connection | None:
    """Return the connection to the user's own server, or None where the embedded one is used."""
    if settings.pghost is None or settings.pguser is None or settings.pgpassword is None:
        return None
    return Connection(
        host=settings.pghost,
        port=settings.pgport,
        user=settings.pguser,
        password=settings.pgpassword.get_secret_value(),
        database=settings.pgdatabase,
        remedy="check PGHOST, PGPORT, PGUSER, PGPASSWORD and that the server runs, "
        "or unset PGHOST to use the embedded server",
    )
