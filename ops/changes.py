"""What a changed project means for the tables that are there.

A table follows its model in one of two ways, and readers have it all the while:

- *Refilled*: it got columns, or lost some that no index and no view of the marts has.
  That is done at once, under a lock of a moment; the build then derives every row from
  the landed payloads and writes what differs. Who reads meanwhile reads the old rows.
- *Remade*: anything else. The build makes the table anew beside the old one and
  exchanges the two in one transaction. A snapshot that is older than the exchange
  finds the new table empty: that is PostgreSQL's way, and why it is the second choice.

dbt makes the indexes of a table with the table; those that a model has got since, or lost,
are made and dropped here.

See docs/schema_changes.md.
"""

import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import psycopg2.errors
import psycopg2.extensions
import structlog
from psycopg2 import sql

from ops.errors import TransformError
from ops.transform import TableContract, TableIndexes
from ops.warehouse import Connection

TO_BE_FILLED = "to be filled by the next build"
"""Comment of a column that was added and not filled yet: it outlives a build that fails."""

LOCK_MILLISECONDS = 500
"""How long readers may wait behind us while we wait for one of them."""

LOCK_SECONDS = 60
"""How long it is tried again."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Changes:
    """Names of the models and seeds that a build has to derive from nothing."""

    refilled: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()

    def variables(self) -> dict[str, list[str]]:
        """Return the dbt vars that tell a build."""
        return {"refilled": list(self.refilled), "remade": list(self.remade)}


def prepare(connection: Connection, contracts: Sequence[TableContract]) -> Changes:
    """Change the columns that can be changed in place, and say what the build has to derive from nothing.

    Args:
        connection: the owner of the tables.
        contracts: what the tables should be.

    Raises:
        TransformError: somebody has kept a table locked for a minute.
    """
    refilled, remade = [], []
    with connection.session() as session, session.cursor() as cursor:
        present = _present(cursor, contracts)
        for contract in contracts:
            columns = present.get((contract.schema, contract.table))
            if columns is None:
                continue  # there is no such table yet
            kept = {name: kind for name, kind, _ in columns}
            wanted = _known_types(cursor, contract)
            added = sorted(wanted.keys() - kept.keys())
            lost = sorted(kept.keys() - wanted.keys())
            is_retyped = any(wanted.get(name, kind) not in (kind, None) for name, kind in kept.items())
            if not is_retyped and not added and not lost:
                if any(comment == TO_BE_FILLED for _, _, comment in columns):
                    refilled.append(contract.name)
            elif (
                contract.can_be_refilled
                and not is_retyped
                and contract.not_null.isdisjoint(added)
                and not _are_needed(cursor, contract, lost)
            ):
                logger.warning("a table's columns change", table=contract.name, added=added, lost=lost)
                _change_columns(cursor, contract, added, lost)
                refilled.append(contract.name)
            else:
                logger.warning("a table is made anew, for its columns have changed", table=contract.name)
                remade.append(contract.name)
    return Changes(tuple(refilled), tuple(remade))


def drop_indexes(connection: Connection, indexes: Sequence[TableIndexes]) -> None:
    """Drop the indexes that dbt made and would not make now; those that somebody else made stay.

    Raises:
        TransformError: somebody has kept a table in use for a minute.
    """
    with connection.session() as session, session.cursor() as cursor:
        for table in indexes:
            for name, definition in _made_by_dbt(cursor, table):
                if definition not in table.definitions:
                    logger.warning("an index goes, for its model has it no more", table=table.name, index=definition)
                    index = sql.SQL(".").join(map(sql.Identifier, (table.schema, name)))
                    _patiently(cursor, f"{table.name} cannot lose an index", sql.SQL("drop index {}").format(index))


def make_indexes(connection: Connection, indexes: Sequence[TableIndexes], remade: Collection[str]) -> None:
    """Make the indexes that dbt would have made on tables that are there already, and named as it would have.

    Readers read on meanwhile; nobody writes, for whoever does holds the lock of a task.

    Args:
        remade: models whose tables are made anew, indexes and all.

    Raises:
        TransformError: somebody has kept a table in use for a minute.
    """
    with connection.session() as session, session.cursor() as cursor:
        for table in indexes:
            place = sql.Identifier(table.schema, table.table)
            cursor.execute("select to_regclass(%s) is not null", (place.as_string(cursor),))
            if table.name in remade or cursor.fetchone() != (True,):
                continue
            present = {definition for _, definition in _made_by_dbt(cursor, table)}
            for definition in sorted(table.definitions - present):
                logger.warning("a table gets an index", table=table.name, index=definition)
                is_unique, described = definition.startswith("unique "), definition.removeprefix("unique ")
                statement = sql.SQL("create {} index {} on {} using {}").format(
                    sql.SQL("unique" if is_unique else ""),
                    sql.Identifier(uuid.uuid4().hex),
                    place,
                    # As the model has it: what is indexed cannot be a parameter.
                    sql.SQL(described),
                )
                _patiently(cursor, f"{table.name} cannot get an index", statement)


def tell_all_due(connection: Connection, contracts: Sequence[TableContract]) -> None:
    """Tell every model that derives what is due that all its rows are: the project that derives them is another one."""
    with connection.session() as session, session.cursor() as cursor:
        cursor.execute(
            """
            insert into ops.due_rows (model_name, told_by, row_key)
            select model_name, 'deploy', '*' from unnest(%s::text[]) as models (model_name)
            on conflict (model_name, told_by, row_key) do nothing
            """,
            ([contract.name for contract in contracts if contract.derives_what_is_due],),
        )


def settle(connection: Connection, contracts: Sequence[TableContract]) -> None:
    """Note that every column is filled; call it when the build has succeeded."""
    with connection.session() as session, session.cursor() as cursor:
        for (schema, table), columns in _present(cursor, contracts).items():
            for name, _, comment in columns:
                if comment == TO_BE_FILLED:
                    column = sql.SQL(".").join(map(sql.Identifier, (schema, table, name)))
                    statement = sql.SQL("comment on column {} is null").format(column)
                    _patiently(cursor, f"{schema}.{table} cannot change its columns", statement)


def _present(
    cursor: psycopg2.extensions.cursor, contracts: Sequence[TableContract]
) -> dict[tuple[str, str], list[tuple[str, int, str | None]]]:
    """Return name, type and comment of each column of the tables that are there."""
    cursor.execute(
        """
        select nspname, relname, attname, atttypid::bigint, col_description(pg_class.oid, attnum)
        from unnest(%s::text[], %s::text[]) as wanted (schema_name, table_name)
        inner join pg_namespace on wanted.schema_name = nspname
        inner join pg_class
            on wanted.table_name = relname and pg_namespace.oid = relnamespace and relkind = 'r'
        inner join pg_attribute on pg_class.oid = attrelid and attnum > 0 and not attisdropped
        order by nspname, relname, attnum
        """,
        ([contract.schema for contract in contracts], [contract.table for contract in contracts]),
    )
    found: dict[tuple[str, str], list[tuple[str, int, str | None]]] = {}
    for schema, table, name, kind, comment in cursor.fetchall():
        found.setdefault((schema, table), []).append((name, int(kind), comment))
    return found


def _made_by_dbt(cursor: psycopg2.extensions.cursor, table: TableIndexes) -> list[tuple[str, str]]:
    """Return name and definition of the indexes of a table that dbt made: it names them by a hash of 32 digits.

    One that could not be made to its end is none that anybody wants.
    """
    cursor.execute(
        """
        select
            indexes.relname,
            case when indisvalid then
                lower(concat(
                    case when indisunique then 'unique ' end,
                    substring(pg_get_indexdef(indexrelid) from ' USING (.*)$')
                ))
            end
        from pg_index
        inner join pg_class as indexes on indexrelid = indexes.oid
        inner join pg_class as tables on indrelid = tables.oid
        inner join pg_namespace on tables.relnamespace = pg_namespace.oid
        where nspname = %s and tables.relname = %s and indexes.relname ~ '^[0-9a-f]{32}$'
        order by indexes.oid
        """,
        (table.schema, table.table),
    )
    return cursor.fetchall()


def _known_types(cursor: psycopg2.extensions.cursor, contract: TableContract) -> dict[str, int | None]:
    """Return the type that each column should have, None where nobody says."""
    names = list(contract.columns)
    cursor.execute(
        "select name, to_regtype(kind)::oid::bigint from unnest(%s::text[], %s::text[]) as wanted (name, kind)",
        (names, [contract.columns[name] for name in names]),
    )
    return dict(cursor.fetchall())


def _are_needed(cursor: psycopg2.extensions.cursor, contract: TableContract, lost: Sequence[str]) -> bool:
    """Whether an index or a view of the marts has one of these columns. Other views are made anew by the build."""
    if not lost:
        return False
    cursor.execute(
        """
        with recursive lost as (
            select attrelid, attnum from pg_attribute
            where attrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass and attname = any(%(lost)s)
        ),
        views as (
            select ev_class
            from lost
            inner join pg_depend on refobjid = attrelid and refobjsubid = attnum
            inner join pg_rewrite on objid = pg_rewrite.oid and classid = 'pg_rewrite'::regclass
            union
            select pg_rewrite.ev_class
            from views
            inner join pg_depend on refobjid = views.ev_class
            inner join pg_rewrite on objid = pg_rewrite.oid and classid = 'pg_rewrite'::regclass
        )
        select
            exists (
                select from views
                inner join pg_class on ev_class = pg_class.oid
                where relnamespace = 'marts'::regnamespace
            )
            or exists (select from lost inner join pg_index on indrelid = attrelid and attnum = any(indkey))
        """,
        {"schema": contract.schema, "table": contract.table, "lost": list(lost)},
    )
    return cursor.fetchone() == (True,)


def _change_columns(
    cursor: psycopg2.extensions.cursor, contract: TableContract, added: Iterable[str], lost: Iterable[str]
) -> None:
    table = sql.SQL(".").join(map(sql.Identifier, (contract.schema, contract.table)))
    statements: list[sql.Composable] = []
    for name in lost:
        statements.append(sql.SQL("alter table {} drop column {} cascade").format(table, sql.Identifier(name)))
    for name in added:
        # A type cannot be a parameter; it comes from the project, as the model itself does.
        kind = sql.SQL(str(contract.columns[name]))
        statements.append(sql.SQL("alter table {} add column {} {}").format(table, sql.Identifier(name), kind))
        statements.append(
            sql.SQL("comment on column {}.{} is {}").format(table, sql.Identifier(name), sql.Literal(TO_BE_FILLED))
        )
    _patiently(cursor, f"{contract.name} cannot change its columns", sql.SQL("; ").join(statements))


def _patiently(cursor: psycopg2.extensions.cursor, problem: str, statement: sql.Composable) -> None:
    """Run what locks a table for a moment. While a reader has it, others do not wait behind us for longer than that."""
    deadline = time.monotonic() + LOCK_SECONDS
    cursor.execute(f"set lock_timeout = {LOCK_MILLISECONDS}")
    while True:
        try:
            cursor.execute(statement)
            return
        except psycopg2.errors.LockNotAvailable:
            if time.monotonic() > deadline:
                raise TransformError(
                    f"{problem}: somebody has kept it in use for {LOCK_SECONDS} s; "
                    "end that session (see pg_stat_activity), the next task tries again"
                ) from None
            time.sleep(LOCK_MILLISECONDS / 1000)
