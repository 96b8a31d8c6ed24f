"""Whatever lands can be read: each field of each payload replaced by each value that breaks something."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from extract.extraction import Problems, extraction
from extract.landing import land
from extract.payloads import Response, digest, parse_json
from ops import dead_letters
from ops.clock import Clock
from ops.dead_letters import KeptLetter
from ops.ledger import Ledger
from ops.transform import project_in
from ops.warehouse import Connection
from simulator.teams import TEAMS, Team
from tests.end_to_end.arrivals import TAGS
from tests.end_to_end.warehouses import Warehouse, warehouse

Json = dict[str, Any]

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
NBA = "basketball_nba"
INJECTION = "Robert'); drop table staging_odds_api.odds; --"

ABSENT = object()

HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 7.0, 7.5, 10**9, 10**30, -(10**30), 1e308, 2**31, 2**63, "", " ", "7", "1e5", "x", INJECTION,
    '"; drop schema marts cascade; --', "{{ 7 * 7 }}", "%s %(now)s {}", "é\u202e\U0001f3c0", "x" * 3_000, [], {},
    [None], [7], [[]], [{}], {"id": "x"}, {"id": 10**30}, "2026-02-30T00:00:00Z", "2026-11-23T25:00:00Z", "infinity",
    "now", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-W48-1T00:00:00Z", "2026-11-23T18:00:00+23:59",
    "2026-11-23T18:00:00", "2026-11-23T18:00:00.1234567890Z", "Final", "Postponed", 4_999, 1_999,
)  # fmt: skip
"""JSON that PostgreSQL can keep, each value of which some view or some table would stumble over in some field."""

EVENT: Json = {
    "id": "0" * 32,
    "sport_key": NBA,
    "sport_title": "NBA",
    "commence_time": "2026-11-24T00:10:00Z",
    "home_team": "Denver Nuggets",
    "away_team": "Los Angeles Lakers",
}
MARKETS = [
    {
        "key": "spreads",
        "last_update": "2026-11-23T17:58:00Z",
        "outcomes": [
            {"name": "Denver Nuggets", "price": -110, "point": -3.5},
            {"name": "Los Angeles Lakers", "price": -110, "point": 3.5},
        ],
    },
    {
        "key": "player_points_alternate",
        "last_update": "2026-11-23T17:58:00Z",
        "outcomes": [{"name": "Over", "description": "Nikola Jokić", "price": 250, "point": 35.5}],
    },
]
TEAM = {"id": 8, "full_name": "Denver Nuggets", "abbreviation": "DEN", "city": "Denver", "conference": "West"}
GAME: Json = {
    "id": 1, "date": "2026-11-23", "season": 2026, "status": "Final", "period": 5, "time": "Final", "postseason": False,
    "postponed": False, "home_team_score": 110, "visitor_team_score": 104, "datetime": "2026-11-24T00:10:00.000Z",
    "home_q1": 25, "home_q2": 25, "home_q3": 25, "home_q4": 25, "home_ot1": 10, "home_ot2": None, "home_ot3": None,
    "visitor_q1": 25, "visitor_q2": 25, "visitor_q3": 25, "visitor_q4": 25, "visitor_ot1": 4, "visitor_ot2": None,
    "visitor_ot3": None, "home_team": TEAM, "visitor_team": {**TEAM, "id": 14, "full_name": "Los Angeles Lakers"},
}  # fmt: skip
COUNTS = ("pts", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "oreb", "dreb", "ast", "stl", "blk", "turnover", "pf")

SOUND: dict[tuple[str, str], Json] = {
    ("odds_api", "events"): EVENT,
    ("odds_api", "odds"): {
        **EVENT,
        "bookmakers": [{"key": "fanduel", "title": "F", "last_update": "2026-11-23T17:58:00Z", "markets": MARKETS}],
    },
    ("odds_api", "scores"): {
        **EVENT, "completed": True, "last_update": "2026-11-23T17:58:00Z",
        "scores": [{"name": "Denver Nuggets", "score": "110"}, {"name": "Los Angeles Lakers", "score": "104"}],
    },
    ("balldontlie", "teams"): TEAM,
    ("balldontlie", "players"): {
        "id": 1, "first_name": "Nikola", "last_name": "Jokić", "position": "C", "height": "6-11", "weight": "284",
        "college": "", "country": "Serbia", "team": TEAM,
    },
    ("balldontlie", "games"): GAME,
    ("balldontlie", "stats"): {
        "id": 1, "min": "36:49", **dict.fromkeys(COUNTS, 9), "player": {"id": 1, "team_id": 8}, "team": TEAM,
        "game": {"id": 1},
    },
}  # fmt: skip
"""By source and endpoint, an element as the API sends it."""


@dataclass(frozen=True)
class Aftermath:
    """A warehouse after everything hostile was sent to it."""

    made: Warehouse
    sent: Counter[str]
    letters: list[KeptLetter]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything within a value, containers too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _with(element: Json, path: tuple[Any, ...], value: Any) -> Json:
    changed = deepcopy(element)
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return changed


def _without(element: Json, path: tuple[Any, ...]) -> Json:
    changed = deepcopy(element)
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return changed


def _between(element: Json, home: Team, away: Team) -> Json:
    text = json.dumps(element).replace("Denver Nuggets", home.odds_name).replace("Los Angeles Lakers", away.odds_name)
    changed: Json = json.loads(text)
    for key, team in (("home_team", home), ("visitor_team", away)):
        if isinstance(changed.get(key), dict):
            changed[key]["id"] = team.team_id
    return changed


def _spoilt(source: str, element: Json) -> Iterator[Json]:
    """The element with one thing wrong, in every way; else each has an id, a day and a pair of teams of its own."""
    number = 0
    for path in _places(element):
        for value in (ABSENT, *HOSTILE):
            number += 1
            home, away = TEAMS[number % 30], TEAMS[(number + 1 + number // 30 % 29) % 30]
            sound = _between(element, home, away)
            one = _without(sound, path) if value is ABSENT else _with(sound, path, value)
            day = (NOW + timedelta(days=number % 3_000)).date().isoformat()
            own = {
                "id": f"{number:032x}" if source == "odds_api" else 1_000 + number, "date": day,
                "commence_time": f"{day}T00:10:00Z", "datetime": f"{day}T00:10:00.000Z",
            }  # fmt: skip
            yield one | {key: value for key, value in own.items() if key in element and path != (key,)}


@pytest.fixture(scope="module")
def aftermath(server: Connection, deployed: Connection, targets: Path) -> Iterator[Aftermath]:
    """Every field of every payload spoilt in every way, landed in one response an endpoint."""
    with warehouse(server, targets, deployed) as made, Ledger(made.connection, Clock(NOW)) as ledger:
        sent: Counter[str] = Counter()
        for (source, endpoint), sound in SOUND.items():
            # Written and read again, so that numbers are what they are when they arrive.
            elements = parse_json(json.dumps([sound, *_spoilt(source, sound)]).encode())
            sent[endpoint] = len(elements)
            sport = NBA if source == "odds_api" else None
            response = Response(f"r-{endpoint}", endpoint, NOW, {}, elements, digest(elements), sport_key=sport)
            land(made.connection.url, extraction(source, {endpoint: iter([response])}, Problems(), ledger))
        yield Aftermath(made, sent, dead_letters.find(ledger, state=None))


def test_what_does_not_land_is_a_dead_letter_with_what_came(aftermath: Aftermath) -> None:
    """Together they are what was sent; of the same thing wrong twice there is one dead letter, with two attempts."""
    for (source, endpoint), sound in SOUND.items():
        landed = aftermath.made.value(f"select count(*) from staging_{source}.{endpoint}")
        refused = [letter for letter in aftermath.letters if letter.endpoint == endpoint]
        assert landed + sum(letter.attempts for letter in refused) == aftermath.sent[endpoint]
        assert landed > len(SOUND), endpoint
        assert len(refused) > 10 or not set(sound) - {"id"}
    assert {letter.kind for letter in aftermath.letters} == {"element"}
    assert all(letter.payload is not None for letter in aftermath.letters)
    assert {letter.reason for letter in aftermath.letters} == {
        "missing_id", "missing_sport_key", "missing_game_id", "wrong_shape"
    }  # fmt: skip


def test_what_lands_can_be_read_by_every_view(aftermath: Aftermath) -> None:
    views = aftermath.made.rows(
        "select nspname || '.' || relname from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid "
        "where nspname in ('staging', 'intermediate') and relkind = 'v' order by 1"
    )
    assert len(views) > 10
    for (view,) in views:
        # Every column of every row: a count would not compute them.
        assert aftermath.made.value(f"select count(md5(each::text)) from {view} as each") is not None


def test_what_lands_can_be_built(aftermath: Aftermath) -> None:
    with patch.dict(os.environ, aftermath.made.environment()):
        for tag in (*TAGS, "team_stats"):
            project_in(aftermath.made.target).invoke("run", ["--select", f"tag:{tag}"], as_of=NOW)
    assert aftermath.made.value("select count(*) from marts.markets") > 100
    # What was meant as a statement is a name like any other.
    assert (
        aftermath.made.value(
            "select count(*) from marts.event_versions where %s in (home_team_name, away_team_name)", [INJECTION]
        )
        > 0
    )
