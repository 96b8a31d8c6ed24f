"""The seeds agree with each other and with what the sources really send."""

import csv
import io
import json
import lzma
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ops.paths import ROOT

RECORDINGS = ROOT.parent / "shared" / "data"


def seed(name: str) -> list[dict[str, str]]:
    with (ROOT / "seeds" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def recordings(folder: str) -> Path:
    path = RECORDINGS / folder
    if not path.is_dir():
        pytest.skip(f"no recorded payloads in {path}")
    return path


def payloads_of_the_odds_api(folder: Path) -> Iterator[Any]:
    for path in sorted((folder / "samples").glob("*.json")):
        yield json.loads(path.read_bytes())
    for path in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None and member.name.endswith(".json"):
                    yield json.load(file)


def events_in(payload: Any) -> Iterator[dict[str, Any]]:
    """Events of a response, whether it is a list, an object or a historical wrapper."""
    if isinstance(payload, list):
        for element in payload:
            yield from events_in(element)
    elif isinstance(payload, dict) and "home_team" in payload:
        yield payload
    elif isinstance(payload, dict) and "data" in payload:
        yield from events_in(payload["data"])


@pytest.fixture(scope="module")
def sent_by_the_odds_api() -> dict[str, set[str]]:
    """Every sport's team names, and every bookmaker and market key, of all recordings."""
    sent: dict[str, set[str]] = defaultdict(set)
    for payload in payloads_of_the_odds_api(recordings("odds_api")):
        for event in events_in(payload):
            sent[event["sport_key"]] |= {event["home_team"], event["away_team"]}
            for bookmaker in event.get("bookmakers", []):
                sent["bookmakers"].add(bookmaker["key"])
                sent["markets"] |= {market["key"] for market in bookmaker["markets"]}
    return sent


def test_every_recorded_name_in_the_odds_api_is_of_a_team(sent_by_the_odds_api: dict[str, set[str]]) -> None:
    for league in seed("leagues"):
        known = {
            row["source_name"]
            for row in seed("team_names")
            if (row["source"], row["league"]) == ("odds_api", league["league"])
        }
        assert sent_by_the_odds_api[league["sport_key"]] == known, league["league"]


def test_every_recorded_bookmaker_and_market_is_known(sent_by_the_odds_api: dict[str, set[str]]) -> None:
    assert sent_by_the_odds_api["bookmakers"] <= {row["bookmaker_key"] for row in seed("bookmakers")}
    assert sent_by_the_odds_api["markets"] <= {row["market_key"] for row in seed("market_types")}


def test_every_recorded_team_of_balldontlie_is_known() -> None:
    names = {
        row["source_name"]: row["team_id"]
        for row in seed("team_names")
        if (row["source"], row["league"]) == ("balldontlie", "nba")
    }
    ids = {row["balldontlie_team_id"]: row for row in seed("league_teams") if row["league"] == "nba"}
    sent: dict[int, dict[str, Any]] = {}
    for path in sorted(recordings("balldontlie").glob("games_*.json.xz")):
        content = json.loads(lzma.decompress(path.read_bytes()))
        for game in content["data"] if isinstance(content, dict) else content:
            sent |= {team["id"]: team for team in (game["home_team"], game["visitor_team"])}
    assert {str(team_id) for team_id in sent} == set(ids)
    for team_id, team in sent.items():
        ours = ids[str(team_id)]
        assert names[team["full_name"]] == ours["team_id"]
        assert [team[key] for key in ("abbreviation", "conference", "division")] == [
            ours[key] for key in ("abbreviation", "conference", "division")
        ]


def test_every_team_can_be_found_by_each_source_of_its_league() -> None:
    named = {(row["source"], row["team_id"]) for row in seed("team_names")}
    sources = {row["league"]: {"odds_api", row["schedule_source"]} for row in seed("leagues")}
    for team in seed("league_teams"):
        for source in sources[team["league"]]:
            assert (source, team["team_id"]) in named


def test_every_gradable_market_has_a_rule_in_every_league() -> None:
    gradable = {row["market_key"] for row in seed("market_types") if row["is_gradable"] == "true"}
    assert gradable == {"h2h", "spreads", "totals"}
    ruled = {(row["league"], row["market_key"]) for row in seed("settlement_rules")}
    assert ruled == {(league["league"], market) for league in seed("leagues") for market in gradable}


def test_only_a_moneyline_cannot_push_where_there_is_no_draw() -> None:
    has_draws = {row["league"]: row["has_draws"] == "true" for row in seed("leagues")}
    for row in seed("settlement_rules"):
        can_push = row["market_key"] != "h2h" or has_draws[row["league"]]
        assert (row["is_push_possible"] == "true") == can_push, row["rule_id"]


def test_a_lay_market_is_that_of_an_exchange_and_never_graded() -> None:
    lays = {row["market_key"] for row in seed("market_types") if row["is_lay"] == "true"}
    assert lays == {"h2h_lay", "outrights_lay"}
    for row in seed("market_types"):
        assert row["market_key"].endswith("_alternate") <= (row["is_ladder"] == "true")
        assert row["market_key"].startswith("alternate_") <= (row["is_ladder"] == "true")
        assert (row["family"] == "player_prop") == row["market_key"].startswith("player_")


@cache
def nba_stretches(season: int) -> list[tuple[date, date, str]]:
    """First day, last day and type of each stretch of a season, in order."""
    return sorted(
        (date.fromisoformat(row["first_date_et"]), date.fromisoformat(row["last_date_et"]), row["season_type"])
        for row in seed("season_phases")
        if (row["league"], row["season"]) == ("nba", str(season))
    )


def season_type(season: int, day: date) -> str:
    """What the calendar says of a day: the type of the shortest stretch that covers it."""
    covering = [(last - first, kind) for first, last, kind in nba_stretches(season) if first <= day <= last]
    return min(covering, default=(timedelta(), "unknown"))[1]


def test_the_calendar_of_each_nba_season_is_whole() -> None:
    """In order, nothing left out; the season that the epidemic broke in two has two regular stretches."""
    for season in range(2019, 2027):
        inner = {"all_star", "cup_final"} if season >= 2023 else {"all_star"}
        outer = [kind for _, _, kind in nba_stretches(season) if kind not in inner]
        regular = ["regular"] * (2 if season == 2019 else 1)
        assert outer == ["preseason", *regular, "play_in", "playoffs"], season
        inside = [(first, last, kind) for first, last, kind in nba_stretches(season) if kind in inner]
        assert sorted(kind for _, _, kind in inside) == sorted(inner), season
        for first, last, _ in inside:
            around = (first - timedelta(days=1), last + timedelta(days=1))
            assert {season_type(season, day) for day in around} == {"regular"}, season


def test_the_calendar_agrees_with_the_recorded_history() -> None:
    """The seasons that a history of closing lines also tells apart, the one in Lake Buena Vista among them."""
    path = recordings("history") / "nba_games_closing_lines_2008_2022.csv.xz"
    part = {("True", "False"): "regular", ("False", "True"): "playoffs", ("False", "False"): "play_in"}
    counts: Counter[tuple[int, str]] = Counter()
    in_the_bubble = 0
    [bubble] = [row for row in seed("neutral_sites") if row["venue"] == "Lake Buena Vista"]
    for row in csv.DictReader(io.StringIO(lzma.decompress(path.read_bytes()).decode())):
        season = int(row["season"]) - 1
        if season >= 2019:
            expected = part[row["regular"], row["playoffs"]]
            assert season_type(season, date.fromisoformat(row["date"])) == expected, row["date"]
            counts[season, expected] += 1
            in_the_bubble += bubble["first_date_et"] <= row["date"] <= bubble["last_date_et"]
    assert counts == {
        (2019, "regular"): 971 + 88, (2019, "play_in"): 1, (2019, "playoffs"): 83,
        (2020, "regular"): 1080, (2020, "play_in"): 6, (2020, "playoffs"): 85,
        (2021, "regular"): 1230, (2021, "play_in"): 6, (2021, "playoffs"): 87,
    }  # fmt: skip
    assert in_the_bubble == 88 + 1 + 83


def test_the_teams_on_neutral_sites_play_in_the_recorded_schedules() -> None:
    """One game a stay, two for the team that reached the Cup final. Preseason is in no recorded schedule."""
    days_played: dict[str, list[str]] = defaultdict(list)
    by_id = {row["balldontlie_team_id"]: row["team_id"] for row in seed("league_teams") if row["league"] == "nba"}
    for path in recordings("balldontlie").glob("games_202[0-3].json.xz"):
        for game in json.loads(lzma.decompress(path.read_bytes())):
            for team in (game["home_team"], game["visitor_team"]):
                days_played[by_id[str(team["id"])]].append(game["date"])
    found = {
        (row["venue"], row["team_id"], row["first_date_et"]): sum(
            row["first_date_et"] <= day <= row["last_date_et"] for day in days_played[row["team_id"]]
        )
        for row in seed("neutral_sites")
        if "2020-12-22" <= row["first_date_et"] <= "2024-06-17" and row["first_date_et"][5:7] not in ("09", "10")
    }
    assert found == {
        ("Mexico City", "nba-sas", "2022-12-17"): 1,
        ("Paris", "nba-det", "2023-01-19"): 1,
        ("Mexico City", "nba-orl", "2023-11-09"): 1,
        ("Las Vegas", "nba-lal", "2023-12-07"): 2,
        ("Las Vegas", "nba-mil", "2023-12-07"): 1,
        ("Paris", "nba-cle", "2024-01-11"): 1,
    }
