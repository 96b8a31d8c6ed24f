"""A long history out of a short one: every kept row of a few days again and again, further and further back.

A few days are landed and built by the real code. Then each table that history is kept in is multiplied in the database:
copy number n has the same rows, n periods earlier, of other events, games, loads and responses. So keys, indexes,
widths and how values are spread are those of a real history, and columns are found in the catalog, whatever the models
are by then. Each copy is of other teams, so that two teams meet about as often as they do. What nobody reads of an old
payload, its prices, is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from ops.warehouse import Connection

SCHEMAS = ("marts", "intermediate", "staging_odds_api", "staging_balldontlie")
SEED = "benchmark_seed"

NOT_HISTORY = frozenset(
    {
        "teams",
        "players",
        "track_record",
        "unmatched_events",
        "unknown_team_names",
        "int_quotes_unpacked",
        "_dlt_version",
        "_dlt_pipeline_state",
    }
)
"""Tables that do not grow with time, or only with what is wrong."""

HASHED = frozenset({"event_id", "asked_event_id", "request_id", "response_hash", "payload_hash", "_dlt_id"})
"""Texts that name one thing: another copy has other names, of the length of a hash."""

NUMBERED = frozenset({"balldontlie_game_id", "game_id", "stat_id", "balldontlie_stat_id"})
"""Integers that name one thing."""

TEAM_COLUMNS = {"balldontlie_team_id": "balldontlie_team_id", "team_id": "team_id", "team_name": "odds_name"}
"""How names of columns about a team end, the longest first, and the column of `_TEAMS` that says the same."""

TEAMS_APART = 7
"""The next copy's teams are so many further in the list: 30 copies pass before a fixture is played again."""

IDS_OF_A_COPY = 10_000
LOADS_OF_A_COPY = 1_000_000


@dataclass(frozen=True)
class Table:
    """A table to multiply: its columns with their types, in order."""

    schema: str
    name: str
    columns: Mapping[str, str]

    @property
    def kept(self) -> sql.Identifier:
        """The table itself."""
        return sql.Identifier(self.schema, self.name)

    @property
    def seed(self) -> sql.Identifier:
        """Its rows as they were before any copy."""
        return sql.Identifier(SEED, f"{self.schema}.{self.name}")


@dataclass
class History:
    """A warehouse whose history is to grow.

    Args:
        connection: a warehouse that holds the few days and nothing else.
        period: longer than those days.
        thinned: by table, of how many copies one has its rows; for tables that would take too much room.
        tell: called with what is being done.
    """

    connection: Connection
    period: timedelta
    thinned: Mapping[str, int] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _: None
    copies: int = field(default=0, init=False)
    _tables: list[Table] = field(default_factory=list, init=False)

    def remember(self) -> None:
        """Set the few days aside: they are what is multiplied, however much is added to the tables."""
        with self.connection.owner.session() as session, session.cursor() as cursor:
            self._tables = _tables(cursor)
            cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(SEED)))
            cursor.execute(_TEAMS)
            for table in self._tables:
                cursor.execute(sql.SQL("create table {} as table {}").format(table.seed, table.kept))

    def grow(self, copies: int) -> None:
        """Have so many copies of the few days beside them; then vacuum and analyze.

        Indexes are dropped for it and made again, as that is faster from a tenth of the rows on.
        """
        first, last = self.copies + 1, copies
        with self.connection.owner.session() as session, session.cursor() as cursor:
            cursor.execute("set synchronous_commit = off; set maintenance_work_mem = '1GB'; set work_mem = '256MB'")
            for table in self._tables:
                step = self.thinned.get(table.name, 1)
                if -(-first // step) * step > last:
                    continue
                with _without_indexes(cursor, table):
                    for begin in range(first, last + 1, 100):
                        self.tell(f"{table.name}: copies {begin} to {min(begin + 99, last)} of {last}")
                        self._copy(cursor, table, begin, min(begin + 99, last), step)
                    self.tell(f"{table.name}: indexes")
            self._copy_claims(cursor, first, last)
            self.tell("vacuum and analyze")
            cursor.execute("vacuum (analyze)")
            # A real warehouse is not in the middle of writing all of its history.
            cursor.execute("checkpoint")
        self.copies = copies

    def _copy(self, cursor: Cursor, table: Table, first: int, last: int, step: int) -> None:
        names = sql.SQL(", ").join(sql.Identifier(name) for name in table.columns)
        values = sql.SQL(", ").join(self._value(name, kind) for name, kind in table.columns.items())
        cursor.execute(
            sql.SQL(
                "insert into {} ({}) overriding system value select {} from {} as seed "
                "cross join generate_series(%s::integer, %s::integer) as copy (number) where copy.number %% %s = 0"
            ).format(table.kept, names, values, table.seed),
            (first, last, step),
        )

    def _value(self, name: str, kind: str) -> sql.Composable:
        """What a column of a copy holds."""
        column = sql.SQL("seed.{}").format(sql.Identifier(name))
        hashed = sql.SQL("md5({} || copy.number)").format(column)
        if name == "game_id" and kind == "uuid":
            return _GAME_ID
        if kind == "uuid":
            return sql.SQL("md5({}::text || copy.number)::uuid").format(column)
        if kind in ("timestamp with time zone", "timestamp without time zone"):
            return sql.SQL("{} - copy.number * {}").format(column, self._period)
        if kind == "date":
            return sql.SQL("({} - copy.number * {})::date").format(column, self._period)
        for ending, told in TEAM_COLUMNS.items():
            if name == ending or name.endswith(f"_{ending}"):
                return _other_team(column, sql.Identifier(told))
        if name in HASHED:
            return hashed
        if name == "feed_id":
            return sql.SQL("case when {0} = seed.sport_key then {0} else {1} end").format(column, hashed)
        if name in ("source_id", "schedule_source_id"):
            number = sql.SQL("({}::bigint + copy.number * {})::text").format(column, sql.Literal(IDS_OF_A_COPY))
            return sql.SQL("case when {} ~ '^\\d{{1,9}}$' then {} else {} end").format(column, number, hashed)
        if name in ("_dlt_load_id", "load_id"):
            return sql.SQL("{} || '-' || copy.number").format(column)
        if name == "landed_number":
            return sql.SQL("{} - copy.number * {}").format(column, sql.Literal(LOADS_OF_A_COPY))
        if name in NUMBERED and kind in ("bigint", "integer"):
            return sql.SQL("{} + copy.number * {}").format(column, sql.Literal(IDS_OF_A_COPY))
        if name == "payload" and kind == "jsonb":
            return sql.SQL("{} - 'bookmakers'").format(column)
        return column

    @property
    def _period(self) -> sql.Composable:
        return sql.SQL("interval {}").format(sql.Literal(f"{self.period.total_seconds():.0f} seconds"))

    def _copy_claims(self, cursor: Cursor, first: int, last: int) -> None:
        """Tell the models that they have taken the copies in."""
        cursor.execute(
            """
            insert into ops.model_loads (model_name, source_schema, load_id, is_done, landed_number)
            select model_name, source_schema, load_id || '-' || number, is_done, landed_number - number * %(loads)s
            from ops.model_loads
            cross join generate_series(%(first)s::integer, %(last)s::integer) as copy (number)
            where load_id not like '%%-%%'
            """,
            {"first": first, "last": last, "loads": LOADS_OF_A_COPY},
        )


_TEAMS = sql.SQL(
    """
    create table {} as
    select
        league_teams.team_id,
        league_teams.balldontlie_team_id,
        team_names.source_name as odds_name,
        row_number() over (order by league_teams.team_id) as place,
        count(*) over () as team_count
    from reference.league_teams
    inner join reference.team_names using (team_id)
    where team_names.source = 'odds_api' and league_teams.league = 'nba'
    """
).format(sql.Identifier(SEED, "teams"))


def _other_team(column: sql.Composable, told: sql.Identifier) -> sql.Composable:
    """The team that plays in a copy in the place of another; what is no team stays."""
    return sql.SQL(
        """
        coalesce(
            (
                select other.{told}
                from {teams} as team
                inner join {teams} as other
                    on other.place = 1 + (team.place - 1 + copy.number * {apart}) %% team.team_count
                where team.{told} = {column}
            ),
            {column}
        )
        """
    ).format(told=told, teams=sql.Identifier(SEED, "teams"), apart=sql.Literal(TEAMS_APART), column=column)


# As int_games_scheduled makes it of what the schedule, or the feed, calls the game.
_GAME_ID = sql.SQL(
    """
    (
        select md5(
            length(named.league) || ':' || named.league
            || length(named.schedule_source) || ':' || named.schedule_source
            || length(named.id) || ':' || named.id
        )::uuid
        from (
            select
                games.league,
                games.schedule_source,
                case
                    when games.balldontlie_game_id is null then md5(games.schedule_source_id || copy.number)
                    else (games.balldontlie_game_id + copy.number * {number})::text
                end as id
            from {games} as games
            where games.game_id = seed.game_id
        ) as named
    )
    """
).format(number=sql.Literal(IDS_OF_A_COPY), games=sql.Identifier(SEED, "marts.games"))


def _tables(cursor: Cursor) -> list[Table]:
    cursor.execute(
        """
        select
            pg_namespace.nspname, pg_class.relname,
            array_agg(attname order by attnum), array_agg(format_type(atttypid, null) order by attnum)
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        inner join pg_attribute on pg_attribute.attrelid = pg_class.oid and attnum > 0 and not attisdropped
        where pg_namespace.nspname = any(%s) and pg_class.relkind = 'r' and pg_class.relname <> all(%s)
        group by 1, 2
        order by 1, 2
        """,
        (list(SCHEMAS), list(NOT_HISTORY)),
    )
    return [Table(schema, name, dict(zip(columns, types, strict=True))) for schema, name, columns, types in cursor]


@contextmanager
def _without_indexes(cursor: Cursor, table: Table) -> Iterator[None]:
    """Take a table's indexes and keys away, and make them again after the block; leave it to no other vacuum."""
    kept = sql.SQL("{}").format(table.kept).as_string(cursor)
    cursor.execute(sql.SQL("alter table {} set (autovacuum_enabled = false)").format(table.kept))
    cursor.execute(
        "select conname, pg_get_constraintdef(oid) from pg_constraint "
        "where conrelid = %s::regclass and contype in ('p', 'u')",
        (kept,),
    )
    constraints = cursor.fetchall()
    for name, _ in constraints:
        cursor.execute(sql.SQL("alter table {} drop constraint {}").format(table.kept, sql.Identifier(name)))
    cursor.execute(
        "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index where indrelid = %s::regclass",
        (kept,),
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"drop index {name}")
    yield
    for name, definition in constraints:
        add = sql.SQL("alter table {} add constraint {} {}")
        cursor.execute(add.format(table.kept, sql.Identifier(name), sql.SQL(definition)))
    for _, definition in indexes:
        cursor.execute(definition)
    cursor.execute(sql.SQL("alter table {} reset (autovacuum_enabled)").format(table.kept))
