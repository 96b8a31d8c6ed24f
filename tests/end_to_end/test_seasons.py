"""Four recorded seasons from their files, against what the files say and what a history of games says of two of them.

2020-21 and 2021-22 are also in a history of results with closing lines, which has for each game its day and whether it
is of the regular season, of the playoffs or of neither: an opinion that owes nothing to BallDontLie.
"""

import csv
import io
import lzma
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest

from ops.transform import NodeOutcome, Project
from ops.warehouse import Connection
from tests.end_to_end.recordings import instant, season_games
from tests.end_to_end.warehouses import TOOK, Warehouse, warehouse

EASTERN = ZoneInfo("America/New_York")

SCHEDULES = {season: f"balldontlie/games_{season}.json.xz" for season in (2020, 2021, 2022, 2023)}
HISTORY = "history/nba_games_closing_lines_2008_2022.csv.xz"

GAMES = {2020: 1171, 2021: 1323, 2022: 1320, 2023: 1319}
"""Rows of each file; no id is in two of them."""

WITHOUT_A_START = set(range(857680, 857691))
"""The eleven games of 2 December 2022, all that were played that day."""

MOVED = {2020: 36, 2021: 19, 2022: 3, 2023: 0}
"""Games filed under another day than the US Eastern one of their start: postponed, most of them, in the epidemic."""

PARTS = {
    # 30 teams play 72 games in 2020-21 and 82 since, two a game. The play-in has six games from 2020-21 on: two of
    # seventh against eighth, two of ninth against tenth, two of the losers against the winners. What is left are the
    # playoffs, and in 2023-24 the one game of the Cup that counts in no standings.
    2020: {"regular": 1080, "play_in": 6, "playoffs": 85},
    2021: {"regular": 1230, "play_in": 6, "playoffs": 87},
    2022: {"regular": 1230, "play_in": 6, "playoffs": 84},
    2023: {"regular": 1230, "cup_final": 1, "play_in": 6, "playoffs": 82},
}

CUP_FINAL = 8258317
"""Indiana and the Lakers, 9 December 2023."""

PLAY_IN = {
    # April 2023: Atlanta at Miami, Minnesota at the Lakers, Chicago at Toronto, Oklahoma City at New Orleans, Chicago
    # at Miami, Oklahoma City at Minnesota.
    *(890550, 890551, 890552, 890553, 894221, 894953),
    # April 2024: the Lakers at New Orleans, Golden State at Sacramento, Atlanta at Chicago, Miami at Philadelphia,
    # Sacramento at New Orleans, Chicago at Miami.
    *(15881955, 15881956, 15881512, 15881938, 15882388, 15883285),
}

NEUTRAL = {
    857792: "Miami and San Antonio in Mexico City",
    858032: "Chicago and Detroit in Paris",
    1037711: "Atlanta and Orlando in Mexico City",
    7981414: "Indiana and Milwaukee in Las Vegas",
    7996352: "New Orleans and the Lakers in Las Vegas",
    CUP_FINAL: "Indiana and the Lakers in Las Vegas",
    1038119: "Brooklyn and Cleveland in Paris",
}

OTHER_CODES = {"gs": "GSW", "no": "NOP", "ny": "NYK", "sa": "SAS", "utah": "UTA", "wsh": "WAS"}
"""The history's code of a team to BallDontLie's, where they differ by more than their case."""

DAY_TESTS = ("calendar_and_source_agree_on_the_postseason", "day_of_a_scheduled_game_is_in_the_calendar")


@pytest.fixture(scope="module")
def games(recording: Callable[[str], Path]) -> list[dict[str, Any]]:
    return [game for path in SCHEDULES.values() for game in season_games(recording(path))]


@pytest.fixture(scope="module")
def history(recording: Callable[[str], Path]) -> dict[tuple[date, str, str], str]:
    """The part of its season that each game of 2020-21 and 2021-22 is in, by day, visitor and home team."""
    content = io.StringIO(lzma.decompress(recording(HISTORY).read_bytes()).decode())
    part = {("True", "False"): "regular", ("False", "True"): "playoffs", ("False", "False"): "play_in"}
    return {
        (date.fromisoformat(row["date"]), code(row["away"]), code(row["home"])): part[row["regular"], row["playoffs"]]
        for row in csv.DictReader(content)
        if row["season"] in ("2021", "2022")
    }


@pytest.fixture(scope="module")
def seasons(
    server: Connection, deployed: Connection, targets: Path, recording: Callable[[str], Path]
) -> Iterator[Warehouse]:
    """The four seasons from their files, in one warehouse."""
    with warehouse(server, targets, deployed) as made:
        done = made.succeed("backfill", "--files", *(str(recording(path)) for path in SCHEDULES.values()))
        TOOK["four seasons from their files"] = done.seconds
        yield made


def code(team: str) -> str:
    return OTHER_CODES.get(team, team.upper())


def start(game: dict[str, Any]) -> datetime | None:
    return instant(game["datetime"]) if game["datetime"] else None


def day(game: dict[str, Any]) -> date:
    """The US Eastern day of the start, or the day it is filed under where there is no start."""
    began = start(game)
    return began.astimezone(EASTERN).date() if began else date.fromisoformat(game["date"])


def teams(game: dict[str, Any]) -> tuple[str, str]:
    """The codes of home team and visitor."""
    return game["home_team"]["abbreviation"], game["visitor_team"]["abbreviation"]


def part(game: dict[str, Any], history: dict[tuple[date, str, str], str]) -> str:
    """The part of the season: as the history has it, or since then the flag, but for the games named above."""
    home, away = teams(game)
    if game["season"] <= 2021:
        return history[day(game), away, home]
    if game["id"] == CUP_FINAL:
        return "cup_final"
    return "play_in" if game["id"] in PLAY_IN else "playoffs" if game["postseason"] else "regular"


def mean(values: Sequence[int], places: str) -> Decimal | None:
    """The mean, rounded as SQL rounds, half away from zero; none of nothing."""
    return (Decimal(sum(values)) / len(values)).quantize(Decimal(places), ROUND_HALF_UP) if values else None


def outcomes_of(made: Warehouse, names: Sequence[str]) -> dict[str, NodeOutcome]:
    """Run data tests of the dbt project."""
    with patch.dict(os.environ, made.environment()):
        result = Project().invoke("test", ["--select", *names], as_of=datetime.now(UTC))
    return {node.name: node for node in result.nodes}


def test_every_game_is_there_as_its_season_has_it(seasons: Warehouse, games: list[dict[str, Any]]) -> None:
    found = seasons.rows(
        """
        select
            games.balldontlie_game_id, games.season, games.commences_at, games.game_date_et,
            home.abbreviation, away.abbreviation, games.status
        from marts.games
        inner join marts.teams as home on games.home_team_id = home.team_id
        inner join marts.teams as away on games.away_team_id = away.team_id
        """
    )
    expected = {game["id"]: (game["season"], start(game), day(game), *teams(game), "final") for game in games}
    assert len(expected) == sum(GAMES.values()) == 5133
    assert Counter(game["season"] for game in games) == GAMES
    assert len(found) == 5133
    assert {row[0]: row[1:] for row in found} == expected


def test_every_result_is_the_payloads(seasons: Warehouse, games: list[dict[str, Any]]) -> None:
    found = seasons.rows(
        """
        select balldontlie_game_id, home_score, away_score, periods
        from marts.game_results
        inner join marts.games using (game_id)
        """
    )
    expected = [(game["id"], game["home_team_score"], game["visitor_team_score"], game["period"]) for game in games]
    assert len(found) == 5133
    assert sorted(found) == sorted(expected)


def test_a_game_without_a_start_keeps_its_day_and_gets_no_time(seasons: Warehouse, games: list[dict[str, Any]]) -> None:
    assert {game["id"] for game in games if start(game) is None} == WITHOUT_A_START
    found = seasons.rows(
        """
        select balldontlie_game_id, game_date_et, season_type, result_version
        from marts.games
        inner join marts.game_results using (game_id)
        where commences_at is null
        """
    )
    assert sorted(found) == [(game_id, date(2022, 12, 2), "regular", 1) for game_id in sorted(WITHOUT_A_START)]


def test_a_moved_game_is_on_the_day_it_was_played(
    seasons: Warehouse, games: list[dict[str, Any]], history: dict[tuple[date, str, str], str]
) -> None:
    moved = [game for game in games if day(game) != date.fromisoformat(game["date"])]
    assert Counter(game["season"] for game in moved) == Counter(MOVED)
    assert max(abs(day(game) - date.fromisoformat(game["date"])).days for game in moved) == 116
    found = seasons.rows(
        """
        select games.game_date_et, away.abbreviation, home.abbreviation
        from marts.games
        inner join marts.teams as home on games.home_team_id = home.team_id
        inner join marts.teams as away on games.away_team_id = away.team_id
        where games.season in (2020, 2021)
        """
    )
    assert len(found) == len(history) == 1171 + 1323
    assert set(found) == set(history)


def test_every_game_is_of_its_part_of_the_season(
    seasons: Warehouse, games: list[dict[str, Any]], history: dict[tuple[date, str, str], str]
) -> None:
    found = dict(seasons.rows("select balldontlie_game_id, season_type from marts.games"))
    assert found == {game["id"]: part(game, history) for game in games}
    for season, parts in PARTS.items():
        assert Counter(found[game["id"]] for game in games if game["season"] == season) == parts


def test_the_source_flags_the_play_in_as_it_likes(
    seasons: Warehouse, games: list[dict[str, Any]], history: dict[tuple[date, str, str], str]
) -> None:
    """Why the flag decides nothing: five of the six games of 2020-21 have it, all of 2021-22, none since."""
    flags = {season: [0, 0] for season in SCHEDULES}
    for game in games:
        if part(game, history) == "play_in":
            flags[game["season"]][game["postseason"]] += 1
    assert flags == {2020: [1, 5], 2021: [0, 6], 2022: [6, 0], 2023: [6, 0]}
    said = outcomes_of(seasons, DAY_TESTS)
    assert {name: node.status for name, node in said.items()} == dict.fromkeys(DAY_TESTS, "pass")


def test_a_wrong_calendar_is_noticed(seasons: Warehouse) -> None:
    """Three contradictions and one day without a stretch, planted and taken back."""
    planted = {858583: "playoffs", 890554: "regular", 890555: "play_in", 857355: "unknown"}
    kept = dict(
        seasons.rows(
            "select balldontlie_game_id, season_type from marts.games where balldontlie_game_id = any(%s)",
            [list(planted)],
        )
    )
    assert kept == {858583: "regular", 890554: "playoffs", 890555: "playoffs", 857355: "regular"}
    update = "update marts.games set season_type = %s where balldontlie_game_id = %s returning true"
    try:
        for game_id, season_type in planted.items():
            assert seasons.value(update, [season_type, game_id])
        said = {name: (node.status, node.message) for name, node in outcomes_of(seasons, DAY_TESTS).items()}
    finally:
        for game_id, season_type in kept.items():
            seasons.value(update, [season_type, game_id])
    assert said == {
        DAY_TESTS[0]: ("warn", "Got 3 results, configured to warn if != 0"),
        DAY_TESTS[1]: ("warn", "Got 1 result, configured to warn if != 0"),
    }


def test_the_games_on_neutral_sites_are_the_listed_ones(seasons: Warehouse) -> None:
    found = seasons.rows("select balldontlie_game_id, is_neutral_site from marts.games where is_neutral_site notnull")
    assert sorted(found) == [(game_id, True) for game_id in sorted(NEUTRAL)]


def test_every_team_enters_its_games_with_what_it_did_before(
    seasons: Warehouse, games: list[dict[str, Any]], history: dict[tuple[date, str, str], str]
) -> None:
    """The Cup final is a game to rest from, and counts in nothing else."""
    before: dict[tuple[int, str], list[tuple[date, int | None]]] = defaultdict(list)
    expected = {}
    for game in sorted(games, key=lambda game: start(game) or datetime.combine(day(game), time(19), EASTERN)):
        margin = game["home_team_score"] - game["visitor_team_score"]
        for team, gained in zip(teams(game), (margin, -margin), strict=True):
            played = before[game["season"], team]
            margins = [each for _, each in played if each is not None]
            expected[game["id"], team] = (
                len(margins),
                mean([int(each > 0) for each in margins], "0.0001"),
                mean(margins[-10:], "0.01"),
                (day(game) - played[-1][0]).days - 1 if played else None,
            )
            played.append((day(game), None if game["id"] == CUP_FINAL else gained))
    assert [expected[CUP_FINAL, team][0] for team in ("IND", "LAL")] == [20, 23]  # they were 12-8 and 14-9

    found = seasons.rows(
        """
        select
            games.balldontlie_game_id, teams.abbreviation, games_played_entering,
            win_pct_entering, margin_last10_entering, rest_days
        from marts.team_stats
        inner join marts.teams using (team_id)
        inner join marts.games using (game_id)
        """
    )
    assert len(found) == 2 * 5133
    assert {(row[0], row[1]): row[2:] for row in found} == expected
