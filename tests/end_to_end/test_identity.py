"""Which game an id means, and what a result is, where the sources make it hard: on recorded answers, and on some of
them altered where no recording has the case."""

import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.warehouse import Connection
from tests.end_to_end.recordings import (
    OTHER_NAMES,
    SEASON_GAMES,
    SEASON_ODDS,
    extract,
    instant,
    season_games,
    season_polls,
)
from tests.end_to_end.warehouses import Warehouse, warehouse

Json = dict[str, Any]

IN_NOVEMBER = "balldontlie/games_2023_captured_2023-11.json.xz"
NOVEMBER = "2023-11-05T120000Z"
"""A time for that file, whose name has only the month: after the last game it calls final, before the next."""

DAYS = ("2023-10-24", "2023-10-25", "2024-01-17", "2024-01-18", "2024-02-15", "2024-02-16", "2024-02-26", "2024-02-27")
"""The postponed game as it was listed, the game as it was played, and the one whose teams were swapped."""

POSTPONED_ID = "36e7461f05a993188963028c3eef01ec"
POSTPONED_GAME, SWAPPED_GAME = 1038168, 1038420


@pytest.fixture(scope="module")
def schedules(recording: Callable[[str], Path]) -> tuple[dict[int, Json], dict[int, Json]]:
    """The season as it was known in November 2023, and as it was played, by id."""
    return tuple({row["id"]: row for row in season_games(recording(name))} for name in (IN_NOVEMBER, SEASON_GAMES))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def versioned(
    server: Connection,
    deployed: Connection,
    targets: Path,
    recording: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Warehouse, dict[str, list[tuple[Any, ...]]]]]:
    """The schedule of November with some days of odds, then the schedule as it was played.

    Gives the warehouse, and what it had found before the second schedule came.
    """
    folder = tmp_path_factory.mktemp("november")
    (folder / f"games_{NOVEMBER}.json.xz").write_bytes(recording(IN_NOVEMBER).read_bytes())
    extract(recording(SEASON_ODDS), folder, {f"odds_{day}_featured.json" for day in DAYS})
    with warehouse(server, targets, deployed) as made:
        made.succeed("backfill", "--files", str(folder))
        before = {
            "matches": made.rows(MATCHES),
            "games": made.rows("select balldontlie_game_id, game_id from marts.games"),
        }
        made.succeed("backfill", "--files", str(recording(SEASON_GAMES)))
        yield made, before


MATCHES = """
    select source_id, balldontlie_game_id, match_method, is_swapped, minutes_apart::float
    from marts.game_id_map
    inner join marts.games using (game_id)
    where source = 'odds_api'
"""


def test_the_file_whose_name_says_only_the_month_is_refused(
    server: Connection, deployed: Connection, targets: Path, recording: Callable[[str], Path]
) -> None:
    """As of now it would overrule what has become known since."""
    with warehouse(server, targets, deployed) as made:
        done = made.run("backfill", "--files", str(recording(IN_NOVEMBER)))
        assert done.code == 1
        assert "2023-11" in done.errors[0]


def test_what_changed_in_the_schedule_is_a_version(
    versioned: tuple[Warehouse, dict[str, list[tuple[Any, ...]]]], schedules: tuple[dict[int, Json], dict[int, Json]]
) -> None:
    """One game with its teams swapped, 36 starts and 4 days of them changed, by comparing the two files."""
    made, _ = versioned
    then, now = schedules
    found = {
        game_id: (starts, days, homes)
        for game_id, starts, days, homes in made.rows(
            """
            select
                balldontlie_game_id,
                array_agg(starts_at order by first_seen_at),
                array_agg(source_date_et::text order by first_seen_at),
                array_agg(home_balldontlie_team_id order by first_seen_at)
            from marts.game_versions
            group by balldontlie_game_id
            """
        )
    }
    assert set(found) == set(now)
    starts = days = swaps = 0
    for game_id, row in now.items():
        known = [then[game_id], row] if game_id in then else [row]
        expected_starts = [_start(version) for version in known]
        expected_days = [version["date"][:10] for version in known]
        expected_homes = [version["home_team"]["id"] for version in known]
        # Versions that say the same are one; those of games that were over say more now, and are two.
        assert found[game_id] in (
            (expected_starts, expected_days, expected_homes),
            (expected_starts[-1:], expected_days[-1:], expected_homes[-1:]),
        )
        assert len(found[game_id][0]) == len(known)
        is_open = len(known) == 2 and expected_starts[0] is not None
        starts += is_open and expected_starts[0] != expected_starts[1]
        days += len(known) == 2 and expected_days[0] != expected_days[1]
        swaps += len(known) == 2 and expected_homes[0] != expected_homes[1]
    assert (starts, days, swaps) == (36, 4, 1)


def test_no_game_is_lost_or_doubled_by_a_later_schedule(
    versioned: tuple[Warehouse, dict[str, list[tuple[Any, ...]]]], schedules: tuple[dict[int, Json], dict[int, Json]]
) -> None:
    made, before = versioned
    then, now = schedules
    first = dict(before["games"])
    later = dict(made.rows("select balldontlie_game_id, game_id from marts.games"))
    assert (set(first), set(later)) == (set(then), set(now))
    assert (len(first), len(later)) == (1200, 1319)
    assert {game_id: later[game_id] for game_id in first} == first
    assert made.value("select count(*) from marts.game_results") == 1319


def test_an_instant_finds_the_start_that_was_believed_then(
    versioned: tuple[Warehouse, dict[str, list[tuple[Any, ...]]]],
) -> None:
    made, _ = versioned
    believed = """
        select starts_at
        from marts.game_versions
        where
            balldontlie_game_id = %s
            and first_seen_at <= %s
            and (superseded_at > %s or superseded_at is null)
    """
    for at, start in (
        ("2024-01-17T14:05:00Z", "2024-01-18T02:00:00Z"),
        ("2090-01-01T00:00:00Z", "2024-02-16T02:00:00Z"),
    ):
        assert made.value(believed, [POSTPONED_GAME, at, at]) == instant(start)
    before = "2023-11-05T11:59:59Z"
    assert made.rows(believed, [POSTPONED_GAME, before, before]) == []


def test_a_postponed_game_is_followed_by_its_id(
    versioned: tuple[Warehouse, dict[str, list[tuple[Any, ...]]]],
) -> None:
    """Golden State at Utah, listed for 17 January 2024 and played on 15 February under another id.

    The schedule as it is now has no trace of the first date (see test_season): it takes the version of November.
    """
    made, before = versioned
    first = {row[0]: row[1:] for row in before["matches"]}
    assert first[POSTPONED_ID] == (POSTPONED_GAME, "teams_and_time", False, 10.0)
    rows = {row[0]: row[1:] for row in made.rows(MATCHES) if row[1] == POSTPONED_GAME}
    # From 18 January 02:10 to 16 February 02:00 are 29 days less ten minutes: 41,750 minutes.
    assert rows.pop(POSTPONED_ID) == (POSTPONED_GAME, "followed", False, -41750.0)
    [(method, is_swapped, apart)] = [row[1:] for row in rows.values()]
    assert (method, is_swapped) == ("teams_and_time", False)
    assert abs(apart) <= 60
    assert made.value("select count(*) from marts.unmatched_events where source_id = %s", [POSTPONED_ID]) == 0
    spans = made.rows(
        "select valid_from_at, valid_to_at from marts.game_id_map inner join marts.games using (game_id) "
        "where source = 'odds_api' and balldontlie_game_id = %s order by 1",
        [POSTPONED_GAME],
    )
    assert len(spans) == 2
    assert spans[0][1] < spans[1][0]


def test_a_swapped_game_is_matched_and_flagged_until_the_schedule_is_corrected(
    versioned: tuple[Warehouse, dict[str, list[tuple[Any, ...]]]],
) -> None:
    """In November New York was to visit Detroit on 26 February; it was the other way round."""
    made, before = versioned
    [(_, _, method, is_swapped, _)] = [row for row in before["matches"] if row[1] == SWAPPED_GAME]
    assert (method, is_swapped) == ("swapped_teams_and_time", True)
    [(_, _, method, is_swapped, _)] = [row for row in made.rows(MATCHES) if row[1] == SWAPPED_GAME]
    assert (method, is_swapped) == ("teams_and_time", False)


# -- cases that no recording has, made of one recorded evening

EVENING = "2024-02-14"
CAPTURES = [instant(f"2024-02-14T{hour}:00:00Z") for hour in (12, 14, 16, 18)]
AFTER = instant("2024-02-15T12:00:00Z")
LATER = instant("2024-02-15T18:00:00Z")


@pytest.fixture(scope="module")
def troubled(
    server: Connection,
    deployed: Connection,
    targets: Path,
    recording: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Warehouse, "Evening"]]:
    """An evening of ten games, each with a trouble of its own, landed from files and built once."""
    folder = tmp_path_factory.mktemp("evening")
    evening = Evening(recording)
    evening.write(folder)
    with warehouse(server, targets, deployed) as made:
        # A team that no seed knows fails the run at its end, when everything else is built.
        done = made.run("backfill", "--files", str(folder), "--as-of", LATER.isoformat())
        evening.code, evening.errors = done.code, done.errors
        yield made, evening


class Evening:
    """The recorded board of an evening and its games, altered."""

    def __init__(self, recording: Callable[[str], Path]) -> None:
        self.code, self.errors = 0, list[str]()
        polls = season_polls(recording(SEASON_ODDS))
        board = next(poll for poll in polls if poll.captured_at.date().isoformat() == EVENING)
        games = {
            tuple(
                OTHER_NAMES.get(row[side]["full_name"], row[side]["full_name"])
                for side in ("home_team", "visitor_team")
            ): row
            for row in season_games(recording(SEASON_GAMES))
            if row["date"] == EVENING
        }
        events = [event for event in board.events if (event["home_team"], event["away_team"]) in games]
        self.pairs = [(event, games[event["home_team"], event["away_team"]]) for event in events]
        assert len(self.pairs) >= 7

    def event(self, number: int) -> Json:
        return self.pairs[number][0]

    def game(self, number: int) -> Json:
        return self.pairs[number][1]

    def write(self, folder: Path) -> None:
        """The answers of the evening as files, named by their time."""
        for at in CAPTURES:
            board = [event for number in range(len(self.pairs)) for event in self._listed(number, at)]
            _write(folder, "odds", at, board)
        _write(folder, "games", CAPTURES[0], [_scheduled(game) for _, game in self.pairs])
        for at in (AFTER, LATER):
            _write(folder, "games", at, [self._ended(number, at) for number in range(len(self.pairs))])
            scores = [self._scored(number) for number in (3, 4, 5, 6)]
            _write(folder, "scores", at + timedelta(minutes=1), scores)

    def _listed(self, number: int, at: datetime) -> list[Json]:
        event = deepcopy(self.event(number))
        when = CAPTURES.index(at)
        twin = {**deepcopy(event), "id": f"{number:032d}"}
        if number == 0:  # beside it a second id, three hours off, for one capture
            return [event, {**twin, "commence_time": _moved(event, hours=3)}] if when == 1 else [event]
        if number == 1:  # taken off, and listed again under another id, days later
            return [event] if when < 2 else [{**twin, "commence_time": _moved(event, hours=96)}] if when == 3 else []
        if number == 2:  # moved to the real tip-off, with seconds, and a quarter of an hour back
            start = instant(event["commence_time"])
            moves = (timedelta(0), timedelta(minutes=16), -timedelta(minutes=16), timedelta(minutes=3, seconds=53))
            return [{**event, "commence_time": _iso(start + moves[when])}]
        if number == 6 and when == 0:  # under a name that nobody knows
            return [_renamed(event, event["home_team"], "Seattle SuperSonics")]
        return [event]

    def _ended(self, number: int, at: datetime) -> Json:
        game = deepcopy(self.game(number))
        if number == 2 and at == AFTER:  # called final without points
            game.update(home_team_score=0, visitor_team_score=0)
        if number == 3 and at == LATER:  # corrected
            game["home_team_score"] += 1
        return game

    def _scored(self, number: int) -> Json:
        event, game = self.pairs[number]
        home, away = game["home_team_score"], game["visitor_team_score"]
        if number == 3:
            home += 1  # agrees with the correction, not with what was said first
        if number == 4:  # frozen at halftime
            home, away = 49, 62
        if number == 5:
            home, away = away, home
        scores = [{"name": event["home_team"], "score": str(home)}, {"name": event["away_team"], "score": str(away)}]
        kept = {
            key: event[key] for key in ("id", "sport_key", "sport_title", "commence_time", "home_team", "away_team")
        }
        return {**kept, "completed": True, "scores": scores, "last_update": "2024-02-15T09:30:00Z"}


Troubled = tuple[Warehouse, Evening]


def test_of_two_ids_on_offer_together_the_one_that_stays_is_kept(troubled: Troubled) -> None:
    made, evening = troubled
    [(game_id,)] = made.rows(
        "select balldontlie_game_id from marts.game_id_map inner join marts.games using (game_id) where source_id = %s",
        [evening.event(0)["id"]],
    )
    assert game_id == evening.game(0)["id"]
    assert _unmatched(made, f"{0:032d}") == "duplicate_listing"


def test_a_withdrawn_event_and_its_new_id_are_never_linked_across_days(troubled: Troubled) -> None:
    """The id that was listed first means the game of that evening; the one four days later means none."""
    made, evening = troubled
    first = evening.event(1)["id"]
    matched = (
        "select balldontlie_game_id from marts.game_id_map inner join marts.games using (game_id) where source_id = %s"
    )
    assert made.rows(matched, [first]) == [(evening.game(1)["id"],)]
    assert made.rows(matched, [f"{1:032d}"]) == []
    assert _unmatched(made, f"{1:032d}") == "not_in_schedule_yet"
    kept = made.rows("select status, first_seen_at from marts.event_versions where event_id = %s order by 2", [first])
    assert kept == [("listed", CAPTURES[0]), ("withdrawn", CAPTURES[2])]


def test_a_start_that_moves_is_a_version_of_the_same_event(troubled: Troubled) -> None:
    made, evening = troubled
    start = instant(evening.event(2)["commence_time"])
    moves = (timedelta(0), timedelta(minutes=16), -timedelta(minutes=16), timedelta(minutes=3, seconds=53))
    assert made.rows(
        "select commences_at, first_seen_at, last_seen_at from marts.event_versions where event_id = %s order by 2",
        [evening.event(2)["id"]],
    ) == [(start + move, at, at) for move, at in zip(moves, CAPTURES, strict=True)]
    matched = "select match_method from marts.game_id_map where source_id = %s"
    assert made.rows(matched, [evening.event(2)["id"]]) == [("teams_and_time",)]


def test_a_final_without_points_is_no_result_until_it_has_some(troubled: Troubled) -> None:
    made, evening = troubled
    game = evening.game(2)
    assert _versions(made, game) == [("final", game["home_team_score"], game["visitor_team_score"], LATER)]


def test_a_corrected_score_is_a_new_version_of_the_result(troubled: Troubled) -> None:
    """The odds feed had the corrected score a minute after the first one was final: till the correction, a dispute."""
    made, evening = troubled
    game = evening.game(3)
    home, away = game["home_team_score"], game["visitor_team_score"]
    assert _versions(made, game) == [
        ("final", home, away, AFTER),
        ("disputed", home, away, AFTER + timedelta(minutes=1)),
        ("final", home + 1, away, LATER),
    ]
    found = "select home_score, cross_check, result_version from marts.game_results where game_id = %s"
    assert made.rows(found, [_game_id(made, game)]) == [(home + 1, "agrees", 3)]


@pytest.mark.parametrize(("number", "reason"), [(4, "scores_disagree"), (5, "scores_swapped")])
def test_where_the_sources_disagree_there_is_a_dead_letter_and_no_result(
    troubled: Troubled, number: int, reason: str
) -> None:
    made, evening = troubled
    game = evening.game(number)
    assert _versions(made, game)[-1][0] == "disputed"
    assert made.value("select count(*) from marts.game_results where game_id = %s", [_game_id(made, game)]) == 0
    letters = made.rows(
        "select reason, detail from ops.dead_letters where kind = 'result' and state = 'open' and natural_key = %s",
        [str(game["id"])],
    )
    [(found, detail)] = letters
    assert found == reason
    assert f"{game['home_team_score']}-{game['visitor_team_score']}" in detail
    assert made.value("select max(rejected_result_count) from marts.pipeline_health") == 2


def test_an_unknown_team_fails_loudly_and_blocks_only_what_carries_it(troubled: Troubled) -> None:
    """The event had its own name again two hours later: by then it has its game, and the alarm is over."""
    made, evening = troubled
    assert evening.code == 0, evening.errors
    assert made.value("select count(*) from marts.unknown_team_names") == 0
    assert made.value("select count(*) from marts.game_results") == len(evening.pairs) - 2


def test_an_unknown_team_is_named_with_its_source_and_count(
    server: Connection, deployed: Connection, targets: Path, recording: Callable[[str], Path], tmp_path: Path
) -> None:
    evening = Evening(recording)
    board = [event for number, (event, _) in enumerate(evening.pairs) if number != 6]
    event = evening.event(6)
    strange = [
        _renamed({**deepcopy(event), "id": f"{number:032d}"}, event["home_team"], "Seattle SuperSonics")
        for number in (1, 2)
    ]
    _write(tmp_path, "odds", CAPTURES[0], [*board, *strange])
    _write(tmp_path, "games", CAPTURES[0], [_scheduled(game) for _, game in evening.pairs])
    with warehouse(server, targets, deployed) as made:
        arguments = ("backfill", "--files", str(tmp_path), "--as-of", CAPTURES[0].isoformat())
        done = made.run(*arguments)
        assert done.code == 1
        [error] = done.errors
        for word in ("odds_api", "'Seattle SuperSonics'", "2 games", "seeds/team_names.csv"):
            assert word in error
        # Everything else is there, and what carries the name is set aside with its reason.
        assert made.value("select count(*) from marts.game_id_map where source = 'odds_api'") == len(board)
        assert made.value("select count(distinct event_id) from marts.market_scores") > 0
        reasons = Counter(made.rows("select reason from marts.unmatched_events where source = 'odds_api'"))
        assert reasons == {("unknown_team",): 2}
        # Set aside on purpose, it is no alarm any more.
        for (letter,) in made.rows("select dead_letter_id::text from ops.dead_letters where reason = 'unknown_team'"):
            made.succeed("dead-letters", "discard", letter, "--reason", "a name made up for a test")
        assert made.run(*arguments).code == 0


def _unmatched(made: Warehouse, source_id: str) -> str:
    return str(made.value("select reason from marts.unmatched_events where source_id = %s", [source_id]))


def _game_id(made: Warehouse, game: Json) -> str:
    return str(made.value("select game_id from marts.games where balldontlie_game_id = %s", [game["id"]]))


def _versions(made: Warehouse, game: Json) -> list[tuple[Any, ...]]:
    return made.rows(
        "select result_status, home_score, away_score, finalized_at from marts.game_result_versions "
        "where game_id = %s order by result_version",
        [_game_id(made, game)],
    )


def _scheduled(game: Json) -> Json:
    """A row as it was before the game."""
    start = game["datetime"].replace(".000Z", "Z")
    return {**game, "status": start, "period": 0, "time": None, "home_team_score": 0, "visitor_team_score": 0} | {
        key: None for key in game if key.startswith(("home_q", "home_ot", "visitor_q", "visitor_ot"))
    }


def _start(row: Json) -> datetime | None:
    """When a row says its game starts; rows of November have no field for it, and none at all once it is over."""
    if "datetime" in row:
        return instant(row["datetime"])
    return instant(row["status"]) if row["status"][:2] == "20" else None


def _moved(event: Json, *, hours: int) -> str:
    return _iso(instant(event["commence_time"]) + timedelta(hours=hours))


def _renamed(event: Json, name: str, other: str) -> Json:
    return json.loads(json.dumps(event).replace(json.dumps(name), json.dumps(other)))  # type: ignore[no-any-return]


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(folder: Path, what: str, at: datetime, elements: list[Json]) -> None:
    name = f"{what}_{at.strftime('%Y-%m-%dT%H%M%SZ')}.json.xz"
    (folder / name).write_bytes(lzma.compress(json.dumps(elements).encode(), preset=0))
