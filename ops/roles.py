"""Who may do what: roles for loading, transforming and reading.

The pipeline logs in once and gives each part only its own rights: a session starts in
the role of what it does (`-crole=` among libpq's options). That guards against
mistakes; what bounds the worst is that the login is no superuser. People and BI tools
read as a login of their own. The rights themselves stand in roles.sql.

The embedded server has the roles from the start. A server of one's own has them once
`db roles` was run; without it one user does everything.
"""

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2 import sql

from ops.embedded import EmbeddedServer
from ops.errors import SettingsError, WarehouseError
from ops.paths import MIGRATIONS
from ops.settings import Settings
from ops.warehouse import MIGRATION_LOCK, Connection, external, prepare

LOADER, TRANSFORMER, READER = "linekeeper_loader", "linekeeper_transformer", "linekeeper_reader"
PIPELINE = "linekeeper_pipeline"
"""The login of the pipeline on the embedded server."""

RIGHTS = Path(__file__).with_name("roles.sql")

# Each can be changed for a session by the reader; what keeps it from writing is that it has no right to.
READER_SETTINGS: Mapping[str, str] = {
    "search_path": "marts",
    "default_transaction_read_only": "on",
    # A forgotten transaction keeps a table from being replaced, and then everybody waits for it.
    "idle_in_transaction_session_timeout": "5min",
    "statement_timeout": "10min",
}
READER_CONNECTIONS = 20
"""Sessions of the reader at once, so that dashboards leave some of the server's for the pipeline."""


@dataclass(frozen=True)
class Standing:
    """How a database stands with the roles.

    Attributes:
        is_in_force: whether what dbt makes belongs to the transformer.
        is_current: whether all of it does, and the rights are as roles.sql has them now.
        is_member: whether the login may act as loader and as transformer.
    """

    is_in_force: bool
    is_current: bool
    is_member: bool


def open_warehouse(settings: Settings, database: str | None = None) -> Connection:
    """Return a warehouse ready for use: server started where it is ours, database there, migrations and rights applied.

    Also sets libpq's variables in this process, for dbt, which acts as the transformer where there are roles.

    Args:
        database: another database on the same server than the configured one.

    Returns:
        The connection of the runner and of dlt, which act as the loader where there are roles.

    Raises:
        WarehouseError: see `ops.warehouse.prepare`, `EmbeddedServer.start` and `apply`.
    """
    name = database or settings.pgdatabase
    connection = _external(settings)
    if connection is not None:
        connection = connection.in_database(name)
        prepare(connection)
        found = standing(connection)
        if found.is_in_force and found.is_member and not found.is_current:
            apply(connection)
        connection = _acting(connection, found)
    else:
        server = EmbeddedServer(settings.linekeeper_warehouse_dir)
        admin = server.start().in_database(name)
        prepare(admin)
        connection = _of_the_embedded(server, admin)
    transforming(connection).activate()
    return connection


def running_warehouse(settings: Settings) -> Connection:
    """Return the configured warehouse as it stands, nothing started and nothing changed.

    Raises:
        WarehouseError: the embedded server does not run, or the server cannot be reached.
    """
    connection = _external(settings)
    if connection is not None:
        return _acting(connection, standing(connection))
    server = EmbeddedServer(settings.linekeeper_warehouse_dir)
    admin = server.running()
    if admin is None:
        raise WarehouseError("the embedded server does not run: start it with `python orchestrate.py db start`")
    admin = admin.in_database(settings.pgdatabase)
    return _pipeline(server, admin) if standing(admin).is_in_force else admin


def transforming(connection: Connection) -> Connection:
    """Return the connection as dbt uses it."""
    return connection if connection.role is None else connection.acting_as(TRANSFORMER)


def reading(settings: Settings) -> Connection:
    """Return the connection of people and BI tools, who read the marts and nothing else.

    Raises:
        SettingsError: on a server of one's own, LINEKEEPER_READER_PASSWORD is not set.
        WarehouseError: there are no roles, or the server cannot be reached.
    """
    connection = running_warehouse(settings)
    if not standing(connection.owner).is_in_force:
        raise WarehouseError(f"{connection} has no role for reading: make it with `python orchestrate.py db roles`")
    if connection.admin is not None:
        password = EmbeddedServer(settings.linekeeper_warehouse_dir).password_of(READER)
    elif settings.linekeeper_reader_password is not None:
        password = settings.linekeeper_reader_password.get_secret_value()
    else:
        raise SettingsError(
            "LINEKEEPER_READER_PASSWORD is not set: set it to the password of "
            f"{READER} that `db roles` printed, or to a new one and run `python orchestrate.py db roles` again"
        )
    return replace(connection, user=READER, password=password, role=None, admin=None)


def standing(connection: Connection) -> Standing:
    """Return how a database stands with the roles."""
    with connection.acting_as(None).session() as session, session.cursor() as cursor:
        cursor.execute(
            """
            with made as (
                select nspname, pg_get_userbyid(nspowner) as owner
                from pg_namespace
                where nspname in ('marts', 'intermediate', 'staging', 'reference')
                union all
                select null, pg_get_userbyid(relowner)
                from pg_class
                inner join pg_namespace on relnamespace = pg_namespace.oid
                where nspname in ('marts', 'intermediate', 'staging', 'reference') and relkind in ('r', 'p', 'v', 'm')
            )
            select
                coalesce(bool_or(owner = %(transformer)s) filter (where nspname = 'marts'), false),
                coalesce(bool_and(owner = %(transformer)s), false)
                and coalesce(obj_description(to_regnamespace('ops'), 'pg_namespace') like %(mark)s, false),
                (
                    select count(*) = 2 from pg_roles
                    where rolname in (%(loader)s, %(transformer)s) and pg_has_role(oid, 'member')
                )
            from made
            """,
            {"transformer": TRANSFORMER, "loader": LOADER, "mark": f"%{_mark()}"},
        )
        row = cursor.fetchone()
    assert row is not None
    return Standing(*row)


def make(admin: Connection, login: str, passwords: Mapping[str, str]) -> bool:
    """Make the roles where they are absent, give a login its part, and apply the rights in the database.

    Args:
        admin: somebody who may make roles and owns the database's tables; need not be a superuser.
        login: the user as whom the pipeline logs in.
        passwords: of logins, which are made where they are absent.

    Returns:
        Whether the rights are complete, see `apply`.

    Raises:
        WarehouseError: the admin may not do so; says what is missing.
    """
    with admin.session() as session, session.cursor() as cursor:
        for attempt in range(5):
            try:
                _make_roles(cursor, login, passwords)
                break
            except (psycopg2.errors.InternalError_, psycopg2.errors.DuplicateObject, psycopg2.errors.UniqueViolation):
                # Roles belong to the whole server: beside us, somebody makes them for another database.
                if attempt == 4:
                    raise
                time.sleep(0.1 * 2**attempt)
            except psycopg2.errors.InsufficientPrivilege as error:
                raise WarehouseError(
                    f"user {admin.user!r} may not make roles at {admin.host}:{admin.port} ({_first_line(error)}): "
                    f'have a superuser say `alter role "{admin.user}" createrole`, or run `db roles` as a user who may'
                ) from None
            except psycopg2.errors.UndefinedObject:
                raise WarehouseError(
                    f"there is no user {login!r} at {admin.host}:{admin.port}: make it first, "
                    "or name another one with --login"
                ) from None
    return apply(admin)


def apply(admin: Connection) -> bool:
    """Give the roles their rights in a database. Changes nothing where they have them.

    Returns:
        Whether the rights are complete: only a superuser can keep the reader from taking advisory locks, by which
        runners keep out of each other's way, and from keeping large objects.

    Raises:
        WarehouseError: the admin does not own the tables.
    """
    with admin.session() as session, session.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        session.autocommit = False
        try:
            cursor.execute(RIGHTS.read_text(encoding="utf-8"))
            cursor.execute("comment on schema ops is %s", (f"The runner's own tables. {_mark()}",))
            cursor.execute("select rolsuper from pg_roles where rolname = current_user")
            is_complete = cursor.fetchone() == (True,)
            session.commit()
        except psycopg2.errors.InsufficientPrivilege as error:
            raise WarehouseError(
                f"user {admin.user!r} may not give the roles their rights in {admin.database!r} "
                f"({_first_line(error)}): run `python orchestrate.py db roles` as the user who owns its tables"
            ) from None
    return is_complete


def unmake(admin: Connection) -> None:
    """Go back to one user who does everything. The roles stay, without any right in this database.

    Raises:
        WarehouseError: the admin may not do so.
    """
    kept, reader = sql.SQL(", ").join(map(sql.Identifier, (LOADER, TRANSFORMER))), sql.Identifier(READER)
    with admin.session() as session, session.cursor() as cursor:
        session.autocommit = False
        try:
            cursor.execute(sql.SQL("reassign owned by {} to current_user").format(kept))
            # Nothing is owned any more: what is dropped are rights.
            cursor.execute(sql.SQL("grant {} to current_user").format(reader))
            for role in (TRANSFORMER, LOADER, READER):
                cursor.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
            cursor.execute(sql.SQL("revoke {} from current_user").format(reader))
            cursor.execute(sql.SQL("grant temporary on database {} to public").format(sql.Identifier(admin.database)))
            cursor.execute("comment on schema ops is null")
            session.commit()
        except psycopg2.errors.InsufficientPrivilege as error:
            raise WarehouseError(
                f"user {admin.user!r} may not take the roles' rights back in {admin.database!r} "
                f"({_first_line(error)}): run it as the user who ran `db roles`"
            ) from None


def new_password() -> str:
    """Return a password that nobody can guess."""
    return secrets.token_urlsafe(24)


def has_role(admin: Connection, role: str) -> bool:
    """Whether the server knows a role."""
    with admin.session() as session, session.cursor() as cursor:
        cursor.execute("select exists (select from pg_roles where rolname = %s)", (role,))
        return cursor.fetchone() == (True,)


def _make_roles(cursor: psycopg2.extensions.cursor, login: str, passwords: Mapping[str, str]) -> None:
    roles = (LOADER, TRANSFORMER, READER, *passwords)
    cursor.execute("select rolname from pg_roles where rolname = any(%s)", (list(roles),))
    present = {row[0] for row in cursor.fetchall()}
    for role in dict.fromkeys(roles):
        if role not in present:
            can_login = sql.SQL("nologin" if role in (LOADER, TRANSFORMER) else "login")
            cursor.execute(sql.SQL("create role {} {}").format(sql.Identifier(role), can_login))
    if READER not in present:
        reader = sql.Identifier(READER)
        limit = sql.SQL("alter role {} connection limit {}").format(reader, sql.Literal(READER_CONNECTIONS))
        cursor.execute(limit)
        for name, value in READER_SETTINGS.items():
            setting = sql.SQL("alter role {} set {} = {}").format(reader, sql.Identifier(name), sql.Literal(value))
            cursor.execute(setting)
    for role, password in passwords.items():
        # Hashed here, so that no log of the server ever has it.
        hashed = psycopg2.extensions.encrypt_password(password, role, cursor.connection, "scram-sha-256")
        cursor.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(hashed)))
    cursor.execute("select current_user, rolsuper from pg_roles where rolname = current_user")
    [(admin, is_superuser)] = cursor.fetchall()
    # Who hands tables over to a role has to be a member of it.
    for member in {login} if is_superuser else {login, admin}:
        if member not in (LOADER, TRANSFORMER):
            groups = sql.SQL(", ").join(map(sql.Identifier, (LOADER, TRANSFORMER)))
            cursor.execute(sql.SQL("grant {} to {}").format(groups, sql.Identifier(member)))


def _external(settings: Settings) -> Connection | None:
    """Return the connection to a server of one's own, None for the embedded one.

    Where the variables of `db env` are set, they name the embedded server: it is no other for that.
    """
    connection = external(settings)
    if connection is not None and connection.user == PIPELINE:
        embedded = EmbeddedServer(settings.linekeeper_warehouse_dir).running()
        if embedded is not None and (embedded.host, embedded.port) == (connection.host, connection.port):
            return None
    return connection


def _acting(connection: Connection, found: Standing) -> Connection:
    """Return the connection of the runner on a server of one's own.

    Raises:
        WarehouseError: there are roles, and the login is not a member of them.
    """
    if not found.is_in_force:
        return connection
    if not found.is_member:
        raise WarehouseError(
            f"user {connection.user!r} may act neither as {LOADER} nor as {TRANSFORMER} in {connection.database!r}: "
            f"have `python orchestrate.py db roles --login {connection.user}` run by who made these roles, "
            "or set PGUSER to the user of the pipeline"
        )
    return connection.acting_as(LOADER)


def _of_the_embedded(server: EmbeddedServer, admin: Connection) -> Connection:
    """Return the connection of the runner on the embedded server; its roles are made where they are not right."""
    pipeline = _pipeline(server, admin)
    passwords = {role: server.password_of(role) for role in (PIPELINE, READER)}
    logins = [replace(admin, user=role, password=password) for role, password in passwords.items()]
    if not standing(admin).is_current or not all(map(_can_log_in, logins)):
        make(admin, PIPELINE, passwords)
        with admin.session() as session, session.cursor() as cursor:
            for database in ("postgres", "template1", admin.database):
                cursor.execute(sql.SQL("revoke connect on database {} from public").format(sql.Identifier(database)))
    return pipeline


def _pipeline(server: EmbeddedServer, admin: Connection) -> Connection:
    return replace(admin, user=PIPELINE, password=server.password_of(PIPELINE), role=LOADER, admin=admin)


def _can_log_in(connection: Connection) -> bool:
    try:
        connection.connect().close()
    except WarehouseError:
        return False
    return True


def _mark() -> str:
    """Say which rights these are, for the comment that tells whether a database has them.

    A new migration makes new tables, whose rights are then given too.
    """
    migrations = " ".join(sorted(path.name for path in MIGRATIONS.glob("*.sql")))
    return f"Rights {hashlib.sha256(RIGHTS.read_bytes() + migrations.encode()).hexdigest()[:16]}."


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).strip()
