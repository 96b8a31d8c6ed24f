"""What two builds of the same table hold that the other has not: row by row, by key, both ways."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Session

Key = dict[str, Any]
Row = dict[str, Any]
Place = tuple[str, str]
"""Schema and name of a table."""

ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that only one of two tables has, or that they have with other values."""

    key: Key
    first: Row | None
    second: Row | None

    @property
    def columns(self) -> list[str]:
        """The columns in which two rows of the same key differ; none if there is one row only."""
        if self.first is None or self.second is None:
            return []
        return sorted(name for name in self.first if self.first[name] != self.second.get(name))


@dataclass(slots=True)
class TableDifference:
    """How two tables differ: columns that only one has, how many rows in which way, and some of them."""

    table: str
    columns: list[str] = field(default_factory=list)
    only_first: int = 0
    only_second: int = 0
    changed: int = 0
    rows: list[RowDifference] = field(default_factory=list)

    def count(self, row: RowDifference) -> None:
        """Count one more row that differs."""
        if row.second is None:
            self.only_first += 1
        elif row.first is None:
            self.only_second += 1
        else:
            self.changed += 1

    @property
    def total(self) -> int:
        """All rows that differ."""
        return self.only_first + self.only_second + self.changed

    def lines(self, first: str, second: str) -> list[str]:
        """Say it to a person.

        Args:
            first, second: what the two builds are called, such as `in the warehouse`.
        """
        counts = (
            (self.only_first, f"only {first}"),
            (self.only_second, f"only {second}"),
            (self.changed, "with other values"),
        )
        said = [f"{count:,} {what}" for count, what in counts if count]
        if self.columns:
            said.append(f"not both have the columns {', '.join(self.columns)}")
        found = [f"{self.table}: {', '.join(said)}"]
        for row in self.rows:
            named = ", ".join(f"{name}={_shown(value)}" for name, value in row.key.items())
            if row.first is None or row.second is None:
                found.append(f"  {named}: only {second if row.first is None else first}")
            else:
                values = "; ".join(
                    f"{name} {_shown(row.first[name])} {first}, {_shown(row.second.get(name))} {second}"
                    for name in row.columns
                )
                found.append(f"  {named}: {values}")
        if self.total > len(self.rows):
            found.append(f"  and {self.total - len(self.rows):,} more")
        return found


def gathered(table: str, rows: Iterable[RowDifference], shown: int) -> TableDifference | None:
    """Count differing rows and keep the first few; None if there are none."""
    found = TableDifference(table)
    for row in rows:
        found.count(row)
        if len(found.rows) < shown:
            found.rows.append(row)
    return found if found.total else None


def columns_apart(session: Session, first: Place, second: Place) -> list[str]:
    """Return the names of the columns that only one of two tables has."""
    return sorted({*columns_of(session, first)} ^ {*columns_of(session, second)})


def rows_apart(first: dict[str, Row], second: dict[str, Row], key: Sequence[str]) -> Iterator[RowDifference]:
    """Yield what two tables in memory, rows by their key, do not have in common."""
    for place in sorted(first.keys() | second.keys()):
        here, there = first.get(place), second.get(place)
        if here != there:
            row = here or there or {}
            yield RowDifference({name: row[name] for name in key}, here, there)


def columns_of(session: Session, place: Place) -> list[str]:
    """Return the names of a table's columns, in order of name."""
    return _names(
        session,
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by 1",
        place,
    )


def key_of(session: Session, place: Place) -> list[str]:
    """Return the columns of a table's primary key; none if it has none."""
    return _names(
        session,
        "select attname from pg_index cross join unnest(indkey) with ordinality as keys (number, position) "
        "inner join pg_attribute on attrelid = indrelid and attnum = number "
        "where indrelid = %s::regclass and indisprimary order by position",
        place,
    )


def _names(session: Session, query: str, place: Place) -> list[str]:
    with session.cursor() as cursor:
        cursor.execute(query, [sql.Identifier(*place).as_string(session)])
        return [name for (name,) in cursor.fetchall()]


def tables_apart(session: Session, first: Place, second: Place) -> Iterator[RowDifference]:
    """Yield the rows of two tables of a database that differ, in order of key; compared by the server.

    Of a table without a primary key all columns are the key. Columns that only one of two has are left out.

    Args:
        session: in a transaction: the rows come through a cursor, so that any number of them may differ.
    """
    here, there = columns_of(session, first), columns_of(session, second)
    columns = [name for name in here if name in there]
    key = key_of(session, first)
    query = (_by_key if key else _by_row)(_selected(first, columns), _selected(second, columns), key, columns)
    with session.cursor("differing_rows") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(query)
        for first_text, second_text in cursor:
            before, after = _row(first_text), _row(second_text)
            row = before or after or {}
            yield RowDifference({name: row[name] for name in key or columns}, before, after)


def _selected(place: Place, columns: Sequence[str]) -> sql.Composed:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("select {} from {}").format(listed, sql.Identifier(*place))


def _by_key(first: sql.Composed, second: sql.Composed, key: Sequence[str], columns: Sequence[str]) -> sql.Composed:
    def listed(pattern: str, names: Sequence[str], between: str) -> sql.Composed:
        return sql.SQL(between).join(sql.SQL(pattern).format(name=sql.Identifier(name)) for name in names)

    return sql.SQL(
        "select case when f.{one} is not null then to_jsonb(f)::text end, "
        "case when s.{one} is not null then to_jsonb(s)::text end "
        "from ({first}) as f full join ({second}) as s on {same_key} "
        "where f.{one} is null or s.{one} is null or {differs} order by {order}"
    ).format(
        one=sql.Identifier(key[0]),
        first=first,
        second=second,
        same_key=listed("f.{name} = s.{name}", key, " and "),
        differs=listed("f.{name} is distinct from s.{name}", columns, " or "),
        order=listed("coalesce(f.{name}, s.{name})", key, ", "),
    )


def _by_row(first: sql.Composed, second: sql.Composed, key: Sequence[str], columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(
        "select to_jsonb(f)::text, null::text from (({first}) except all ({second})) as f "
        "union all select null::text, to_jsonb(s)::text from (({second}) except all ({first})) as s order by 1, 2"
    ).format(first=first, second=second)


def _row(text: str | None) -> Row | None:
    # As decimals: two numbers that differ in the twentieth digit must be seen to differ.
    return None if text is None else json.loads(text, parse_float=Decimal)


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, (str, Decimal)) else json.dumps(value, default=str, ensure_ascii=False)
