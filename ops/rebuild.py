"""Every table built anew from the landed payloads, beside the old ones, and compared with them both ways.

The second build has schemas of its own (`rebuilt_marts`, …), claims of its own
among them, so it takes nothing from the first. Tasks go on meanwhile. In the end
their locks are held for as long as it takes to have both builds take in the same
loads, mostly no time at all; what is then compared is one snapshot of the database,
in which nothing that lands later is to be seen.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Session

from ops.comparison import RowDifference, TableDifference, columns_apart, gathered, tables_apart
from ops.errors import LinekeeperError
from ops.roles import transforming
from ops.tasks import Pipeline, Task, deployed_hash
from ops.transform import Project

PREFIX = "rebuilt_"
LANDING_SCHEMAS = ("staging_balldontlie", "staging_odds_api")

CLAIMS = ("model_loads", "model_instants", "due_rows", "model_seeds")
"""Tables of `ops` in which models keep what they have taken in and have still to derive again, and as of when."""

OPERATIONS = ("api_credit_usage", "data_freshness", "pipeline_health")
"""Marts about the runs themselves: views on the runner's tables, the same whoever builds them."""

OPERATIONS_PATH = "path:dbt_project/models/marts/operations"
LOCK_SECONDS = 900
"""How long to wait for the tasks that are running: longer than the longest cycle may take."""

MOST_ROUNDS = 10
"""How often loads may land between taking in and looking, a second apart, before giving up."""

logger = structlog.get_logger(__name__)

OnRow = Callable[[str, RowDifference], None]
"""Called with the name of the table and each row that differs."""


class NotAsLanded(LinekeeperError):
    """The warehouse does not hold what its landed payloads give."""


@dataclass
class Rebuilt:
    """What a rebuild found.

    Attributes:
        differences: by table, first the warehouse and second the rebuild.
        table_count, row_count: what was compared, as the rebuild has it.
        model_count: models built.
        load_count: loads they were built from.
        late_models: models of the warehouse that had loads still to take in, and were built before the comparison.
        seconds: how long it took, and how long thereof tasks had to wait.
    """

    differences: list[TableDifference] = field(default_factory=list)
    table_count: int = 0
    row_count: int = 0
    model_count: int = 0
    load_count: int = 0
    late_models: tuple[str, ...] = ()
    seconds: float = 0
    locked_seconds: float = 0

    def raise_differences(self) -> None:
        """Fail if there are any.

        Raises:
            NotAsLanded: one line with the tables.
        """
        if self.differences:
            tables = ", ".join(f"{one.table} ({one.total:,})" for one in self.differences)
            raise NotAsLanded(
                f"the warehouse does not hold what its landed payloads give: rows differ in {tables}; "
                "a `dbt build --full-refresh` of a table makes it anew"
            )


def rebuild(
    pipeline: Pipeline, tasks: Sequence[Task], *, shown: int = 5, keep: bool = False, on_row: OnRow | None = None
) -> Rebuilt:
    """Build every table anew in schemas of its own and compare them with those of the warehouse.

    Args:
        tasks: all tasks, in the order in which their models are built from nothing.
        shown: differing rows to keep of each table.
        keep: leave the schemas standing; the next rebuild drops them.
        on_row: told of every row that differs.

    Raises:
        TaskLockedError: another rebuild is running, or a task that does not end.
        TransformError: a model cannot be built.
        LinekeeperError: the project was changed meanwhile.
    """
    began = time.monotonic()
    ledger, second = pipeline.ledger, pipeline.project.beside(PREFIX)
    with ledger.run("rebuild", wait_seconds=pipeline.wait_seconds) as run:
        deployed = deployed_hash(ledger)
        found = Rebuilt()
        _drop(pipeline, second)
        try:
            _make_schemas(pipeline, second)
            found.model_count = _build_from_nothing(pipeline, second, tasks)
            with _same_loads(pipeline, second, tasks, found) as session:
                if deployed_hash(ledger) != deployed:
                    raise LinekeeperError("the dbt project was changed during the rebuild: rebuild again")
                found.load_count = _count(session, _LOADS)
                _compare(session, pipeline.project, found, shown, on_row)
            run.row_count = found.row_count
        finally:
            if not keep:
                _drop(pipeline, second)
    found.seconds = time.monotonic() - began
    return found


@contextmanager
def written_to(path: Path | None) -> Iterator[OnRow | None]:
    """Give what writes each differing row to a file, one JSON object a line; None without a file.

    Raises:
        LinekeeperError: the file cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise LinekeeperError(f"{path} cannot be written: {error.strerror}; give another --file") from None
    with file:

        def write(table: str, row: RowDifference) -> None:
            said = {"table": table, "key": row.key, "warehouse": row.first, "rebuild": row.second}
            file.write(json.dumps(said, default=str, ensure_ascii=False) + "\n")

        yield write


def _drop(pipeline: Pipeline, second: Project) -> None:
    for schema in sorted({*second.schemas(), f"{PREFIX}ops"}):
        assert schema.startswith(PREFIX)
        _execute(pipeline, "drop schema if exists {} cascade", sql.Identifier(schema))


def _make_schemas(pipeline: Pipeline, second: Project) -> None:
    """Make the schemas, and the claims in theirs: of whoever dbt is, which may make no schema itself."""
    maker = transforming(pipeline.connection).role
    of_the_maker = [sql.Identifier(maker)] if maker else []
    schema = f"{PREFIX}ops"
    for each in sorted({*second.schemas(), schema}):
        made = "create schema {}" + " authorization {}" * len(of_the_maker)
        _execute(pipeline, made, sql.Identifier(each), *of_the_maker)
    for table in CLAIMS:
        _execute(
            pipeline,
            "create table {} (like {} including all)",
            sql.Identifier(schema, table),
            sql.Identifier("ops", table),
        )
        if of_the_maker:
            _execute(pipeline, "alter table {} owner to {}", sql.Identifier(schema, table), *of_the_maker)


def _execute(pipeline: Pipeline, statement: str, *names: sql.Identifier) -> None:
    with pipeline.connection.owner.session() as session, session.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*names))


def _build_from_nothing(pipeline: Pipeline, second: Project, tasks: Sequence[Task]) -> int:
    """Build everything, task by task, so that PostgreSQL can count what one has written before the next reads it."""
    as_of, on_node = pipeline.clock.now(), pipeline.on_node
    second.invoke("seed", [], as_of=as_of, full_refresh=True, on_node=on_node)
    count, built = 0, [OPERATIONS_PATH]
    for select in [*(f"+tag:{tag}" for task in tasks for tag in task.builds), "*"]:
        arguments = ["--select", select, "--exclude", *built]
        result = second.invoke("run", arguments, as_of=as_of, full_refresh=True, on_node=on_node)
        built.append(select)
        count += len(result.nodes)
        pipeline.ledger.analyze()
    return count


# -- the same loads in both

_LOADS = sql.SQL(" union all ").join(
    sql.SQL("select {} as source_schema, load_id from {} where status = 0").format(
        sql.Literal(schema), sql.Identifier(schema, "_dlt_loads")
    )
    for schema in LANDING_SCHEMAS
)

_BEHIND = sql.SQL(
    """
    with loads as ({loads}),
    readers as (
        select model_name, source_schema from {second}.model_loads
        union
        select model_name, source_schema from ops.model_loads as kept
        where not exists (
            select from {second}.model_loads as claimed where claimed.source_schema = kept.source_schema
        )
    )
    select distinct coalesce(readers.model_name, loads.source_schema)
    from loads
    left join readers on loads.source_schema = readers.source_schema
    where not exists (
        select from {claims}.model_loads as taken_in
        where taken_in.model_name = readers.model_name
            and taken_in.source_schema = loads.source_schema
            and taken_in.load_id = loads.load_id
            and taken_in.is_done
    )
    union
    select model_name from {claims}.due_rows
    """
)
"""Models that have a load still to take in, the name of the landing schema where no model ever has; and those that
have rows to derive again. Which models read a schema the rebuild tells: the warehouse may have claims of models of
before."""

_INSTANTS = sql.SQL(
    """
    select first.model_name, first.as_of
    from ops.model_instants as first
    left join {second}.model_instants as second using (model_name)
    where first.as_of is distinct from second.as_of
    """
)
"""Views that the two builds made as of different instants, and that of the warehouse."""


@dataclass(frozen=True)
class _State:
    """What of the landed payloads is not in the tables yet."""

    late_first: frozenset[str]
    late_second: frozenset[str]
    instants: tuple[tuple[str, Any], ...]

    @property
    def is_same(self) -> bool:
        return not (self.late_first or self.late_second or self.instants)


@contextmanager
def _same_loads(pipeline: Pipeline, second: Project, tasks: Sequence[Task], found: Rebuilt) -> Iterator[Session]:
    """Give a snapshot in which both builds have taken in every load, and ask as of the same instants.

    The warehouse is not touched but for models that have loads to take in, which the next cycle would do.
    """
    with closing(_snapshot(pipeline)) as session:
        state = _state(session)
    # What landed during the build is taken in before anybody has to wait.
    _catch_up(pipeline, second, state)
    with pipeline.ledger.lock("cycle", *(task.name for task in tasks), wait_seconds=LOCK_SECONDS):
        began = time.monotonic()
        for _ in range(MOST_ROUNDS):
            session = _snapshot(pipeline)
            state = _state(session)
            if state.is_same:
                break
            session.close()
            if state.late_first:
                late = pipeline.project.made_after(state.late_first)
                logger.info("building what has landed and is not in the tables", models=late)
                pipeline.project.invoke("run", ["--select", *late], as_of=pipeline.clock.now())
                found.late_models = tuple(sorted({*found.late_models, *state.late_first}))
            _catch_up(pipeline, second, state)
        found.locked_seconds = time.monotonic() - began
    if session.closed:
        raise LinekeeperError("payloads land faster than they can be taken in: rebuild at a quieter time")
    try:
        yield session
    finally:
        session.close()


def _snapshot(pipeline: Pipeline) -> Session:
    """Open a session that sees the database as it is at its first query, and changes nothing."""
    session = pipeline.connection.owner.connect(autocommit=False)
    session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
    return session


def _state(session: Session) -> _State:
    first, second = sql.Identifier("ops"), sql.Identifier(f"{PREFIX}ops")
    with session.cursor() as cursor:

        def rows(query: sql.SQL, **names: sql.Composable) -> list[tuple[Any, ...]]:
            cursor.execute(query.format(second=second, **names))
            return cursor.fetchall()

        return _State(
            frozenset(name for (name,) in rows(_BEHIND, loads=_LOADS, claims=first)),
            frozenset(name for (name,) in rows(_BEHIND, loads=_LOADS, claims=second)),
            tuple(rows(_INSTANTS)),
        )


def _catch_up(pipeline: Pipeline, second: Project, state: _State) -> None:
    """Take in what the second build lacks, and make its views as of the same instants as those of the first."""
    if state.late_second:
        exclude = ["--exclude", "config.materialized:view"]
        second.invoke("run", exclude, as_of=pipeline.clock.now(), on_node=pipeline.on_node)
    for view, as_of in state.instants:
        second.invoke("run", ["--select", *second.made_after([view])], as_of=as_of, on_node=pipeline.on_node)


# -- the comparison


def _compare(session: Session, first: Project, found: Rebuilt, shown: int, on_row: OnRow | None) -> None:
    for schema, name in first.tables():
        here, there = (schema, name), (f"{PREFIX}{schema}", name)
        table = f"{schema}.{name}"
        found.table_count += 1
        found.row_count += _count(session, sql.SQL("select 1 from {}").format(sql.Identifier(*there)))
        rows = _told(table, tables_apart(session, here, there), on_row)
        difference = gathered(table, rows, shown)
        if columns := columns_apart(session, here, there):
            difference = difference or TableDifference(table)
            difference.columns = columns
        if difference is not None:
            found.differences.append(difference)


def _told(table: str, rows: Iterator[RowDifference], on_row: OnRow | None) -> Iterator[RowDifference]:
    for row in rows:
        if on_row is not None:
            on_row(table, row)
        yield row


def _count(session: Session, query: sql.Composable) -> int:
    with session.cursor() as cursor:
        cursor.execute(sql.SQL("select count(*) from ({}) as counted").format(query))
        [(count,)] = cursor.fetchall()
        return int(count)
