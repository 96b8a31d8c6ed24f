"""Two tables are compared by the server, both ways."""

from collections.abc import Iterator

import pytest
from psycopg2.extensions import connection as Session

from ops.comparison import RowDifference, columns_apart, gathered, rows_apart, tables_apart
from ops.warehouse import Connection


@pytest.fixture
def session(empty_database: Connection) -> Iterator[Session]:
    with empty_database.session() as opened, opened.cursor() as cursor:
        cursor.execute("create schema old; create schema new")
        opened.autocommit = False
        yield opened


def _tables(session: Session, columns: str, old: str, new: str) -> list[RowDifference]:
    with session.cursor() as cursor:
        for schema, rows in (("old", old), ("new", new)):
            cursor.execute(f"create table {schema}.prices ({columns}); insert into {schema}.prices values {rows}")
    return list(tables_apart(session, ("old", "prices"), ("new", "prices")))


def test_rows_are_told_apart_by_key(session: Session) -> None:
    found = _tables(
        session,
        "book text, side text, price numeric, seen jsonb, primary key (book, side)",
        """('a', 'home', 1.0000000000000000000001, '{}'), ('a', 'away', null, '{}'), ('b', 'home', 2, '{"x": 1}'),
           ('only old', 'home', 3, '{}'), ('same', 'home', null, null)""",
        """('a', 'home', 1.0000000000000000000002, '{}'), ('a', 'away', 5, '{}'), ('b', 'home', 2, '{"x": 2}'),
           ('only new', 'home', 3, '{}'), ('same', 'home', null, null)""",
    )
    assert [(*one.key.values(), *one.columns, one.first is None, one.second is None) for one in found] == [
        ("a", "away", "price", False, False),
        ("a", "home", "price", False, False),
        ("b", "home", "seen", False, False),
        ("only new", "home", True, False),
        ("only old", "home", False, True),
    ]
    difference = gathered("prices", found, shown=2)
    assert difference is not None
    assert difference.lines("before", "after") == [
        "prices: 1 only before, 1 only after, 3 with other values",
        "  book=a, side=away: price null before, 5 after",
        "  book=a, side=home: price 1.0000000000000000000001 before, 1.0000000000000000000002 after",
        "  and 3 more",
    ]


def test_without_a_key_rows_are_compared_whole_and_counted(session: Session) -> None:
    found = _tables(session, "book text, price int", "('a', 1), ('a', 1), ('b', null)", "('a', 1), ('b', null)")
    assert found == [RowDifference({"book": "a", "price": 1}, {"book": "a", "price": 1}, None)]


def test_a_column_that_only_one_has_is_named(session: Session) -> None:
    assert _tables(session, "book text primary key", "('a')", "('a')") == []
    with session.cursor() as cursor:
        cursor.execute("alter table old.prices add column note text default 'by hand'")
    assert columns_apart(session, ("old", "prices"), ("new", "prices")) == ["note"]
    assert list(tables_apart(session, ("old", "prices"), ("new", "prices"))) == []


def test_the_same_rows_in_memory_differ_in_nothing() -> None:
    rows = {"1": {"id": 1, "price": 2}, "2": {"id": 2, "price": 3}}
    assert list(rows_apart(rows, dict(rows), ["id"])) == []
    [found] = rows_apart(rows, {"1": rows["1"]}, ["id"])
    assert (found.key, found.second) == ({"id": 2}, None)
