"""What the statements that a block of code runs read, whoever sends them: dbt, dlt or the runner.

auto_explain would tell it too, but the embedded server does not come with it. Here every cursor of psycopg2 explains
each statement just before it runs it, in the same transaction and with the same statistics: it is run once for its
plan with the rows that came of it, undone, and run again.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import psycopg2
import sqlparse
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import cursor as Cursor

_EXPLAINABLE = re.compile(
    r"(select|with|insert|update|delete|create\s+(temporary\s+|temp\s+|unlogged\s+)?table\s+\S+\s+as)\b", re.IGNORECASE
)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_NODE = re.compile(r'"node_id": "([^"]+)"')
_NAME_OF_A_RUN = re.compile(r"__dbt_tmp\d+")


@dataclass(frozen=True, slots=True)
class Read:
    """A way in which a statement reads a table; `index` is None for a sequential scan."""

    table: str
    index: str | None
    statement: str

    def __str__(self) -> str:
        how = "scans" if self.index is None else f"reads by {self.index}"
        return f"{self.statement} {how} {self.table}"


@dataclass
class Plans:
    """What was explained: how many statements, and the rows that each read visited."""

    statements: int = 0
    rows: Counter[Read] = field(default_factory=Counter)


@contextmanager
def explained() -> Iterator[Plans]:
    """Explain every statement that this process sends while the block runs."""
    plans = Plans()
    connect = psycopg2.connect

    class Explaining(Cursor):
        def execute(self, query: Any, variables: Any = None) -> None:
            text = self.mogrify(query, variables).decode()
            node = _NODE.search(text)
            for statement in sqlparse.split(text):
                bare = _COMMENT.sub("", statement).strip().rstrip(";")
                if _EXPLAINABLE.match(bare):
                    plans.statements += 1
                    name = " ".join(_NAME_OF_A_RUN.sub("", bare).split())[:80]
                    plan = self._run_once(bare)
                    # One by one: a statement may read a table twice in the same way, and what it did not do is no read.
                    for read, visited in _reads(plan, f"{node.group(1)}: {name}" if node else name):
                        plans.rows += Counter({read: visited})
                if bare:
                    super().execute(statement)

        def _run_once(self, statement: str) -> dict[str, Any]:
            is_idle = self.connection.info.transaction_status == TRANSACTION_STATUS_IDLE
            begin, end = ("begin", "rollback") if is_idle else ("savepoint once", "rollback to savepoint once")
            super().execute(begin)
            super().execute(f"explain (analyze, verbose, timing off, format json) {statement}")
            [[[explained]]] = self.fetchall()
            super().execute(end)
            plan: dict[str, Any] = explained["Plan"]
            return plan

    def connect_explaining(*arguments: Any, **options: Any) -> Any:
        options.setdefault("cursor_factory", Explaining)
        return connect(*arguments, **options)

    with patch.object(psycopg2, "connect", connect_explaining):
        yield plans


def _reads(node: dict[str, Any], statement: str, table: str = "") -> Iterator[tuple[Read, int]]:
    """The reads of a plan and what is below, with the rows that each visited, those it threw away included."""
    how = node["Node Type"]
    table = f"{node['Schema']}.{node['Relation Name']}" if "Relation Name" in node else table
    if how in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"):
        thrown_away = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        visited = round(node["Actual Loops"] * (node["Actual Rows"] + thrown_away))
        yield Read(table, node.get("Index Name"), statement), visited
    for below in node.get("Plans", ()):
        yield from _reads(below, statement, table if how == "Bitmap Heap Scan" else "")
