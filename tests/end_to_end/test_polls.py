"""The recorded WNBA polls: another sport key through the same code, in any slices and any order."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from psycopg2 import sql

from extract import history
from extract.landing import land
from ops.clock import Clock
from ops.ledger import Ledger
from ops.transform import project_in
from ops.warehouse import Connection
from tests.end_to_end.recordings import POLLS, Poll, account, extract, instant, live_polls, names_of
from tests.end_to_end.warehouses import TOOK, Warehouse, assert_closes, kept_changes, warehouse

ARCHIVE = slice(160, 460)
"""Three days, from the morning of 16 July to the midday of 19 July 2026."""

DAY = slice(150, 270)
"""Thirty hours: a game withdrawn, an evening with prices in play, the morning after."""

LOADS = 3

WITHDRAWN_ID = "51f9e00bb8d7debd5a922a21f0736e36"
NEW_ID = "f8d499fa23c7a4576854388ba749a0ad"
"""New York @ Dallas: the event that left the feed on 16 July, and the one that came on the 19th."""


@pytest.fixture(scope="module")
def polls_between(
    recording: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[slice], Path]:
    """A folder with the polls of a slice of the archive."""
    archive = recording(POLLS)
    names = names_of(archive)
    assert len(names) == 1852

    def between(wanted: slice) -> Path:
        folder = tmp_path_factory.mktemp("polls")
        extract(archive, folder, set(names[wanted]))
        return folder

    return between


@pytest.fixture(scope="module")
def loads(polls_between: Callable[[slice], Path]) -> list[Path]:
    """The polls of the day in folders of their own, in order of time."""
    size = (DAY.stop - DAY.start) // LOADS
    return [polls_between(slice(begin, begin + size)) for begin in range(DAY.start, DAY.stop, size)]


@pytest.fixture(scope="module")
def archive(
    server: Connection, deployed: Connection, targets: Path, polls_between: Callable[[slice], Path]
) -> Iterator[tuple[Warehouse, list[Poll]]]:
    """Three days of polls, landed and built at once."""
    folder = polls_between(ARCHIVE)
    with warehouse(server, targets, deployed) as made:
        done = made.succeed("backfill", "--files", str(folder))
        TOOK[f"{ARCHIVE.stop - ARCHIVE.start} polls at once"] = done.seconds
        yield made, live_polls(folder)


@pytest.fixture(scope="module")
def in_order(server: Connection, deployed: Connection, targets: Path, loads: list[Path]) -> Iterator[Warehouse]:
    """The day load by load, each built as of its last poll, as live cycles would have."""
    with warehouse(server, targets, deployed) as made:
        for folder in loads:
            made.succeed("backfill", "--files", str(folder), "--as-of", _after([folder]).isoformat())
        yield made


def test_polls_of_another_league_build_through_the_same_code(archive: tuple[Warehouse, list[Poll]]) -> None:
    made, polls = archive
    outcomes = account(polls)
    assert outcomes.rejected == {}
    assert made.value("select count(*) from staging.stg_odds_api__quotes") == outcomes.total
    assert Counter(kept_changes(made)) == Counter(outcomes.changes)
    assert made.rows("select distinct sport_key from marts.markets") == [("basketball_wnba",)]
    assert made.value("select count(*) from marts.odds_snapshots where is_in_play") > 1000
    assert made.value("select count(*) from ops.dead_letters") == 0


def test_games_come_from_the_odds_events_where_there_is_no_schedule(archive: tuple[Warehouse, list[Poll]]) -> None:
    made, polls = archive
    last_listed = {event["id"]: event for poll in polls for event in poll.events}
    found = made.rows(
        """
        select source_id, games.commences_at, home.full_name, away.full_name, games.league, games.schedule_source
        from marts.game_id_map
        inner join marts.games using (game_id)
        inner join marts.teams as home on games.home_team_id = home.team_id
        inner join marts.teams as away on games.away_team_id = away.team_id
        """
    )
    expected = [
        (event_id, instant(event["commence_time"]), event["home_team"], event["away_team"], "wnba", "odds_api")
        for event_id, event in last_listed.items()
    ]
    assert sorted(found) == sorted(expected)
    # No two of these events are of one game.
    assert made.value("select count(*) from marts.games") == len(last_listed)


def test_a_withdrawn_game_and_its_later_listing_are_two_ids_and_two_games(
    archive: tuple[Warehouse, list[Poll]],
) -> None:
    made, polls = archive
    times = {
        event_id: [poll.captured_at for poll in polls if any(event["id"] == event_id for event in poll.events)]
        for event_id in (WITHDRAWN_ID, NEW_ID)
    }
    gone_at = min(poll.captured_at for poll in polls if poll.captured_at > times[WITHDRAWN_ID][-1])
    assert gone_at == instant("2026-07-16T16:00:54Z")
    assert times[NEW_ID][0] == instant("2026-07-19T02:45:27Z")

    last = """
        select distinct on (market_id) change_kind, captured_at
        from marts.odds_snapshots
        where event_id = %s
        order by market_id, captured_at desc
    """
    withdrawals = made.rows(last, [WITHDRAWN_ID])
    assert withdrawals
    assert {kind for kind, _ in withdrawals} == {"withdrawn"}
    assert max(captured_at for _, captured_at in withdrawals) == gone_at
    first = "select min(captured_at) from marts.odds_snapshots where event_id = %s and change_kind = 'opened'"
    assert made.value(first, [NEW_ID]) == times[NEW_ID][0]
    assert made.value("select bool_or(is_open) from marts.markets where event_id = %s", [WITHDRAWN_ID]) is False

    games = dict(
        made.rows(
            "select source_id, game_id from marts.game_id_map where source_id in (%s, %s)", [WITHDRAWN_ID, NEW_ID]
        )
    )
    assert len(set(games.values())) == 2
    # Never settled by the later game: nothing says what became of the first.
    assert made.value("select status from marts.games where game_id = %s", [games[WITHDRAWN_ID]]) == "withdrawn"
    graded = made.rows(
        "select distinct outcome from marts.grades inner join marts.picks using (pick_id) where picks.event_id = %s",
        [WITHDRAWN_ID],
    )
    assert graded in ([], [("pending",)])


def test_a_close_is_the_last_price_quoted_before_the_start(archive: tuple[Warehouse, list[Poll]]) -> None:
    made, polls = archive
    assert_closes(made, polls, at_least=500)


def test_props_that_are_asked_after_the_board_hide_no_close(
    in_order: Warehouse, server: Connection, deployed: Connection, targets: Path, loads: list[Path], tmp_path: Path
) -> None:
    """As a cycle by the real clock asks: the board, and seconds later each event that starts within the hour."""
    for folder in loads:
        for poll in live_polls(folder):
            at = poll.captured_at + timedelta(seconds=2)
            for event in poll.events:
                if timedelta(0) < instant(event["commence_time"]) - at < timedelta(hours=1):
                    prop = {"name": "Over", "description": "Somebody", "point": 9.5, "price": -110}
                    market = {"key": "player_points", "last_update": f"{at:%FT%TZ}", "outcomes": [prop]}
                    body = event | {"bookmakers": [{"key": "fanduel", "title": "FanDuel", "markets": [market]}]}
                    (tmp_path / f"{event['id']}_{at:%Y-%m-%dT%H%M%SZ}.json").write_text(json.dumps(body))
    query = "select * from marts.closing_lines where market_key <> 'player_points' order by event_id, market_id"
    with warehouse(server, targets, deployed) as made:
        made.succeed("backfill", "--files", *map(str, loads), str(tmp_path))
        props = (
            "select close_status, price_american, count(*) from marts.closing_lines where market_key = 'player_points'"
        )
        [(status, price, count)] = made.rows(f"{props} group by 1, 2")
        assert (status, price) == ("measured", -110)
        assert count == in_order.value("select count(distinct event_id) from marts.closing_lines")
        assert made.rows(query) == in_order.rows(query)


def test_a_full_rebuild_equals_what_grew_load_by_load(in_order: Warehouse, loads: list[Path]) -> None:
    """And every data test holds on it, the nightly ones among them."""
    marts = in_order.marts()
    with in_order.connection.session() as session, session.cursor() as cursor:
        cursor.execute("create schema grown")
        for mart in marts:
            cursor.execute(sql.SQL("create table grown.{0} as table marts.{0}").format(sql.Identifier(mart)))
    with patch.dict(os.environ, in_order.environment()):
        built = project_in(in_order.target).invoke(
            "build", ["--exclude-resource-type", "unit_test"], as_of=_after(loads), full_refresh=True
        )
    assert sum(node.resource_type == "test" for node in built.nodes) > 100
    for mart in marts:
        for one, other in (("grown", "marts"), ("marts", "grown")):
            query = sql.SQL("(table {}.{name} except all table {}.{name}) limit 3")
            missing = in_order.rows(query.format(sql.Identifier(one), sql.Identifier(other), name=sql.Identifier(mart)))
            assert missing == [], f"{mart}: in {one} and not in {other}"
    assert in_order.value("select count(*) from grown.odds_snapshots") > 1000
    assert in_order.value("select count(*) from grown.market_scores") > 1000


@pytest.mark.long
def test_loads_out_of_order_and_twice_end_in_the_same_tables(
    in_order: Warehouse, server: Connection, deployed: Connection, targets: Path, loads: list[Path]
) -> None:
    first, second, last = loads
    as_of = _after(loads).isoformat()
    with warehouse(server, targets, deployed) as made:
        made.succeed("backfill", "--files", str(second), "--as-of", as_of)
        assert _land_regardless(made, [second]) == len(list(second.iterdir()))
        made.succeed("backfill", "--files", str(last), str(first), "--as-of", as_of)
        assert made.content() == in_order.content()


def _land_regardless(made: Warehouse, folders: Sequence[Path]) -> int:
    """Land files that have landed before, as a runner would that lost its memory. Returns how many responses."""
    clock = Clock()
    landed = 0
    with Ledger(made.connection, clock) as ledger:
        again = history.recorded(folders, now=clock.now(), is_landed=lambda *_: False, ledger=ledger)
        for extraction in again:
            landed += land(made.connection.url, extraction).rows["responses"]
    return landed


def _after(folders: Sequence[Path]) -> datetime:
    """A minute after the last poll of some folders."""
    return max(instant(file.stem) for folder in folders for file in folder.iterdir()) + timedelta(minutes=1)
