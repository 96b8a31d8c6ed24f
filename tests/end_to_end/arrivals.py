"""Payloads that arrive in any order, twice, apart and late, and what the warehouse makes of them.

A world is what was ever answered. A plan says in which loads its answers arrive and what is built after each. Landing
and dbt are the real ones; only HTTP is left out, as a response is landed the same way wherever it came from.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import NAMESPACE_URL, uuid5

from hypothesis import strategies as st
from psycopg2 import sql

from extract.contracts import CHECKS, Breach
from extract.extraction import Problems, extraction
from extract.landing import land
from extract.payloads import Response, digest
from ops.clock import Clock
from ops.comparison import Row, columns_of, gathered, key_of, rows_apart
from ops.ledger import Ledger
from ops.transform import Project, project_in
from ops.warehouse import Connection, drop_database
from tests.end_to_end.warehouses import OPERATIONS

TAGS = ("ingest", "snapshot", "scoring", "results", "grading")
"""What the tasks build, in the order in which a cycle runs them."""

CACHES = frozenset({"int_quotes_unpacked"})
"""Tables that hold again, for a while, what stands elsewhere: what is in them depends on the last runs."""

TASKS_RUN = (
    TAGS,
    ("ingest",),
    ("ingest", "snapshot"),
    ("ingest", "snapshot", "scoring"),
    ("results",),
    ("results", "grading"),
    ("snapshot",),
    (),
)
"""What may have been built after a load: all that was due, less where a task failed, nothing after a crash."""

TIMES_ARRIVED = (0, 1, 1, 1, 1, 1, 2)
IS_SPLIT = (False, False, False, False, False, True)
LATENESS = (0, 0, 0, 0, 0, 1, 2)

Content = dict[str, tuple[list[str], dict[str, Row]]]
"""By table, the columns of its key, and its rows by the values of these."""


@dataclass(frozen=True, eq=False)
class Payload:
    """An answer of one of the two APIs, or a part of one that was asked in parts at the same instant."""

    source: str
    response: Response
    part_of: "Payload | None" = None

    @property
    def whole(self) -> "Payload":
        """The answer itself, or the one that this is a part of."""
        return self.part_of or self

    @property
    def is_divisible(self) -> bool:
        """Whether parts say what the whole does: not where an element is refused, of which one part would know."""
        elements = self.response.elements
        return len(elements) > 1 and not any(element["id"] is None or _is_refused(element) for element in elements)

    def halves(self) -> "tuple[Payload, Payload]":
        """The same elements in two answers."""
        elements = self.response.elements
        middle = len(elements) // 2
        first, second = (
            Payload(
                self.source,
                replace(
                    self.response, elements=part, response_hash=digest(part), request_id=str(uuid5(NAMESPACE_URL, name))
                ),
                self,
            )
            for part, name in (
                (elements[:middle], f"{self.response.request_id}/1"),
                (elements[middle:], f"{self.response.request_id}/2"),
            )
        )
        return first, second

    def __repr__(self) -> str:
        response = self.response
        what = f"{response.sport_key or self.source} {response.endpoint} {response.captured_at:%m-%d %H:%M:%S}"
        return f"<{'half of ' if self.part_of else ''}{what} {response.response_hash[:4]}>"


World = Sequence[Payload]
"""Every answer, in order of time."""


@dataclass(frozen=True)
class Load:
    """Payloads that arrive together, and the tags that are built then."""

    payloads: tuple[Payload, ...]
    tags: tuple[str, ...]

    def __repr__(self) -> str:
        return f"\n  {', '.join(map(repr, self.payloads))} then build {' '.join(self.tags) or 'nothing'}"


Plan = tuple[Load, ...]


@st.composite
def plans(draw: st.DrawFn, world: World, most_loads: int) -> Plan:
    """Any way in which some of a world's payloads may arrive. After the last load everything is built.

    Half of the plans are shuffled through and through; in the others most payloads arrive when they should.
    The simplest plan has one payload.
    """
    answers = [payload for payload in world for _ in range(draw(st.sampled_from(TIMES_ARRIVED)))] or [world[0]]
    arriving = [part for answer in answers for part in _parts(answer, draw(st.sampled_from(IS_SPLIT)))]
    count = draw(st.integers(1, most_loads))
    if draw(st.booleans()):
        numbered = [
            (min(place * count // len(arriving) + draw(st.sampled_from(LATENESS)), count - 1), payload)
            for place, payload in enumerate(arriving)
        ]
    else:
        numbered = [(draw(st.integers(0, count - 1)), payload) for payload in draw(st.permutations(arriving))]
    loads = [tuple(payload for number, payload in numbered if number == wanted) for wanted in range(count)]
    loads = [payloads for payloads in loads if payloads]
    return tuple(
        Load(payloads, draw(st.sampled_from(TASKS_RUN)) if number < len(loads) else TAGS)
        for number, payloads in enumerate(loads, start=1)
    )


def _parts(answer: Payload, is_split: bool) -> tuple[Payload, ...]:
    return answer.halves() if is_split and answer.is_divisible else (answer,)


def _is_refused(element: dict[str, Any]) -> bool:
    try:
        CHECKS["events" if "commence_time" in element else "games"](element)
    except Breach:
        return True
    return False


@dataclass
class Harness:
    """Lives through plans, each in a fresh copy of a warehouse without data.

    Args:
        connection: a database that is made anew for each; always of the same name, so that dbt parses once.
        template: the warehouse to copy.
        target: where dbt works.
        end: the time as of which everything is built in the end, after the last payload.
    """

    connection: Connection
    template: Connection
    target: Path
    end: datetime
    _project: Project = field(init=False, repr=False)
    _built_at_once: dict[frozenset[Payload], Content] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._project = project_in(self.target)

    def live_through(self, plan: Plan) -> Content:
        """What the marts hold after the loads of a plan, each built as of the last payload that is here by then."""
        self.make_anew()
        last = max(payload.response.captured_at for payload in plan[0].payloads)
        for load in plan[:-1]:
            last = max(last, *(payload.response.captured_at for payload in load.payloads))
            self.arrive(load.payloads)
            self.build(load.tags, last + timedelta(seconds=30))
        self.arrive(plan[-1].payloads)
        self.build(plan[-1].tags, self.end)
        return content_of(self.connection)

    def build_at_once(self, plan: Plan) -> Content:
        """What the marts hold where each answer of a plan arrives once, whole and in order, built from nothing."""
        payloads = {payload.whole: None for load in plan for payload in load.payloads}
        known = frozenset(payloads)
        if known not in self._built_at_once:
            self.make_anew()
            self.arrive(sorted(payloads, key=lambda payload: payload.response.captured_at))
            self.build(TAGS, self.end, full_refresh=True)
            self._built_at_once[known] = content_of(self.connection)
        return self._built_at_once[known]

    def drop(self) -> None:
        """Drop the database."""
        drop_database(self.connection)

    def make_anew(self) -> None:
        """Begin again with a copy of the template."""
        drop_database(self.connection)
        with self.connection.in_database("postgres").session() as session, session.cursor() as cursor:
            names = [sql.Identifier(name) for name in (self.connection.database, self.template.database)]
            cursor.execute(sql.SQL("create database {} template {}").format(*names))

    def arrive(self, payloads: Iterable[Payload]) -> None:
        """Land payloads: one load of each source, as a task does."""
        by_source: dict[str, list[Response]] = {}
        for payload in payloads:
            by_source.setdefault(payload.source, []).append(payload.response)
        with Ledger(self.connection, Clock()) as ledger:
            for source, responses in by_source.items():
                land(
                    self.connection.url,
                    extraction(source, {"recorded": iter(responses)}, Problems(), ledger, batch=len(responses)),
                )

    def build(self, tags: Sequence[str], as_of: datetime, *, full_refresh: bool = False) -> None:
        """Build the models of some tasks."""
        if not tags:
            return
        # Views without a task stand already, unless a table below them is made anew, which drops them.
        views = ["config.materialized:view"] if full_refresh else []
        selected = ["--select", *(f"tag:{tag}" for tag in tags), *views]
        with patch.dict(os.environ, self.connection.environment()):
            self._project.invoke("run", selected, as_of=as_of, full_refresh=full_refresh)


def content_of(connection: Connection, without: Collection[str] = ()) -> Content:
    """What the marts and intermediate tables hold, without some columns."""
    with connection.session() as session, session.cursor() as cursor:
        cursor.execute(
            "select nspname, relname from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid "
            "where nspname in ('marts', 'intermediate') and relkind = 'r' order by relname"
        )
        tables = [(schema, table) for schema, table in cursor.fetchall() if table not in OPERATIONS | CACHES]
        content = {}
        for place in tables:
            key = [name for name in key_of(session, place) or columns_of(session, place) if name not in without]
            rows = sql.SQL("select to_jsonb(kept) - %s::text[] from {} as kept").format(sql.Identifier(*place))
            cursor.execute(rows, [sorted(without)])
            content[place[1]] = (key, _by_key(key, [row for (row,) in cursor]))
        return content


def _by_key(key: Sequence[str], rows: Iterable[Row]) -> dict[str, Row]:
    """Rows by their key; one that is there twice, in a table without a primary key, by its number too."""
    kept: dict[str, Row] = {}
    times: Counter[str] = Counter()
    for row in rows:
        values = json.dumps([row[name] for name in key])
        kept[f"{values} {times[values]}"] = row
        times[values] += 1
    return kept


def differences(grown: Content, built: Content, shown: int = 3) -> list[str]:
    """Rows that one of two warehouses has and the other has not, both ways, a few of each table."""
    found = []
    for table in sorted(grown.keys() | built.keys()):
        (key, here), (_, there) = (content.get(table, ([], {})) for content in (grown, built))
        difference = gathered(table, rows_apart(here, there, key), shown)
        if difference is not None:
            found += difference.lines("after the loads", "in the full build")
    return found
