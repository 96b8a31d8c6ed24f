"""Indexes that a model got, or lost, while its table was there."""

import pytest

from ops import changes
from ops.errors import TransformError
from ops.transform import TableIndexes
from ops.warehouse import Connection

BY_DBT = "0123456789abcdef0123456789abcdef"
"""As dbt names an index: by a hash."""


def of_games(*definitions: str) -> list[TableIndexes]:
    return [TableIndexes("games", "marts", "games", frozenset(definitions))]


def found(warehouse: Connection) -> dict[str, str]:
    """The indexes of the table, name and definition."""
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("select indexname, indexdef from pg_indexes where schemaname = 'marts'")
        return {name: definition.partition(" USING ")[2] for name, definition in cursor.fetchall()}


@pytest.fixture
def games(warehouse: Connection) -> Connection:
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("create schema marts")
        cursor.execute("create table marts.games (game_id uuid primary key, league text, commences_at timestamptz)")
        cursor.execute("insert into marts.games values (gen_random_uuid(), 'nba', now())")
    return warehouse


def test_an_index_that_a_model_has_got_is_made_once(games: Connection) -> None:
    wanted = of_games("btree (league, commences_at)", "unique btree (commences_at, game_id)", "hash (league)")
    changes.make_indexes(games, wanted, ())
    made = found(games)
    assert sorted(made.values()) == [
        "btree (commences_at, game_id)", "btree (game_id)", "btree (league, commences_at)", "hash (league)"
    ]  # fmt: skip
    changes.make_indexes(games, wanted, ())
    changes.drop_indexes(games, wanted)
    assert found(games) == made


def test_an_index_that_a_model_has_no_more_goes_if_dbt_made_it(games: Connection) -> None:
    with games.session() as session, session.cursor() as cursor:
        cursor.execute(f'create index "{BY_DBT}" on marts.games (commences_at)')
        cursor.execute("create index by_somebody on marts.games (commences_at)")
    changes.drop_indexes(games, of_games("btree (commences_at)"))
    assert found(games).keys() == {"games_pkey", "by_somebody", BY_DBT}
    changes.drop_indexes(games, of_games("btree (commences_at, league)"))
    assert found(games).keys() == {"games_pkey", "by_somebody"}


def test_an_index_of_another_kind_is_another_index(games: Connection) -> None:
    with games.session() as session, session.cursor() as cursor:
        cursor.execute(f'create unique index "{BY_DBT}" on marts.games (commences_at)')
    changes.make_indexes(games, of_games("btree (commences_at)"), ())
    assert len(found(games)) == 3
    changes.drop_indexes(games, of_games("btree (commences_at)"))
    assert found(games).keys() & {BY_DBT} == set()
    assert len(found(games)) == 2


def test_a_table_that_is_not_there_or_is_made_anew_gets_none(games: Connection) -> None:
    changes.make_indexes(games, of_games("btree (league)"), ["games"])
    changes.make_indexes(games, [TableIndexes("teams", "marts", "teams", frozenset(["btree (league)"]))], ())
    assert found(games).keys() == {"games_pkey"}


def test_who_reads_a_table_keeps_no_index_from_it_and_keeps_one_for_a_minute_at_most(
    games: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.changes.LOCK_MILLISECONDS", 100)
    monkeypatch.setattr("ops.changes.LOCK_SECONDS", 0.3)
    reader = games.connect(autocommit=False)
    reader.cursor().execute("select * from marts.games")
    changes.make_indexes(games, of_games("btree (league)"), ())
    with pytest.raises(TransformError, match="games cannot lose an index: somebody has kept it in use"):
        changes.drop_indexes(games, of_games())
    reader.close()
    changes.drop_indexes(games, of_games())
    assert found(games).keys() == {"games_pkey"}
