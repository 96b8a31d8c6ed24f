"""What the recordings say, worked out from the files alone.

Nothing here imports the code under test: these are the figures it is held against.
"""

import json
import lzma
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parents[2] / ".." / "shared" / "data"
SEASON_ODDS = "odds_api/odds_api_nba_historical_2023-24.tar.xz"
SEASON_GAMES = "balldontlie/games_2023.json.xz"
POLLS = "odds_api/odds_api_wnba_live_2026-07-14_08-02.tar.xz"

SAME_GAME = timedelta(hours=6)
"""An event and a game of the same teams this near each other are one game."""

OTHER_NAMES = {"LA Clippers": "Los Angeles Clippers"}
"""BallDontLie's name of a team to The Odds API's, where they differ."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One board: when it was captured, and its events."""

    captured_at: datetime
    events: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A change of a market; price and line are None where it is withdrawn, the line also where it has none."""

    event_id: str
    bookmaker: str
    market: str
    outcome: str
    captured_at: datetime
    kind: str
    price: int | None
    line: float | None


@dataclass(frozen=True, slots=True, order=True)
class Offer:
    """A price with the time it was on offer.

    From the first of the polls in a row that show it to the last of them; ended by the poll after that, which shows
    another price or line (moved) or none (withdrawn), or not at all where there is no poll after it.
    """

    event_id: str
    bookmaker: str
    market: str
    outcome: str
    price: int
    line: float | None
    offered_from: datetime
    offered_until: datetime
    ended_at: datetime | None
    ended_by: str | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What becomes of each outcome of some polls, one count for each, and the changes."""

    rejected: Counter[str]
    repeated: int
    unchanged: int
    changes: list[Change]

    @property
    def total(self) -> int:
        """How many outcomes that were: a withdrawal is a change, but no outcome."""
        changed = sum(change.kind != "withdrawn" for change in self.changes)
        return changed + self.unchanged + self.repeated + self.rejected.total()


def instant(text: str) -> datetime:
    """A time as either API writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def season_polls(path: Path) -> list[Poll]:
    """The odds of the season's archive, in order of time."""
    bodies = (body for name, body in _members(path) if name.split("/")[-2] == "odds")
    return sorted(
        (Poll(instant(body["timestamp"]), body["data"]) for body in bodies), key=lambda poll: poll.captured_at
    )


def live_polls(folder: Path) -> list[Poll]:
    """Polls of a folder of files that are named by their time, in order of time."""
    return [Poll(instant(file.stem), json.loads(file.read_bytes())) for file in sorted(folder.glob("*.json"))]


def season_games(path: Path) -> list[dict[str, Any]]:
    """BallDontLie's rows of a season."""
    rows: list[dict[str, Any]] = json.loads(lzma.decompress(path.read_bytes()))
    return rows


def extract(path: Path, folder: Path, names: set[str]) -> None:
    """Write those members of an archive whose file names are given to a folder."""
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in names:
                stream = archive.extractfile(member)
                assert stream is not None
                (folder / name).write_bytes(stream.read())


def names_of(path: Path) -> list[str]:
    """The file names of an archive, in order: what a poll's name tells is its time."""
    with tarfile.open(path) as archive:
        return sorted(member.name.rpartition("/")[2] for member in archive if member.isfile())


def matches(polls: list[Poll], games: list[dict[str, Any]]) -> dict[str, int | None]:
    """Which game each event id means: same teams, nearest start, at most six hours apart.

    The start of an event is the one it was listed with last. None where there is no such game.
    """
    by_teams: dict[tuple[str, str], list[tuple[datetime, int]]] = {}
    for game in games:
        home, away = (OTHER_NAMES.get(name, name) for name in _teams(game))
        by_teams.setdefault((home, away), []).append((instant(game["datetime"]), game["id"]))
    last_listed = {event["id"]: event for poll in polls for event in poll.events}
    found = {}
    for event_id, event in last_listed.items():
        start = instant(event["commence_time"])
        candidates = by_teams.get((event["home_team"], event["away_team"]), [])
        nearest = min(candidates, key=lambda candidate: abs(candidate[0] - start), default=None)
        is_game = nearest is not None and abs(nearest[0] - start) <= SAME_GAME
        found[event_id] = nearest[1] if nearest is not None and is_game else None
    return found


def account(polls: list[Poll]) -> Outcomes:
    """What becomes of each outcome of featured markets.

    An outcome is rejected where it cannot be read (see `rejection`), or is compared with the same market's in the
    poll before: opened the first time, returned if the poll before did not have it, moved if price or line differ,
    else unchanged. A market that a poll has not and the one before had is withdrawn. Each poll asked for all markets.
    """
    rejected: Counter[str] = Counter()
    repeated = unchanged = 0
    changes: list[Change] = []
    last: dict[tuple[str, str, str, str], tuple[int, float | None] | None] = {}
    for poll in polls:
        here: dict[tuple[str, str, str, str], tuple[int, float | None]] = {}
        for event in poll.events:
            for bookmaker in event["bookmakers"]:
                for market in bookmaker["markets"]:
                    for outcome in market["outcomes"]:
                        reason = rejection(event, market, outcome)
                        key = (event["id"], bookmaker["key"], market["key"], outcome["name"])
                        if reason is not None:
                            rejected[reason] += 1
                        elif key in here:
                            repeated += 1
                        else:
                            here[key] = (outcome["price"], outcome.get("point"))
        for key, offer in here.items():
            before = last.get(key)
            if before == offer:
                unchanged += 1
                continue
            kind = "moved" if before is not None else "returned" if key in last else "opened"
            changes.append(Change(*key, poll.captured_at, kind, *offer))
        for key, before in last.items():
            if before is not None and key not in here:
                changes.append(Change(*key, poll.captured_at, "withdrawn", None, None))
                last[key] = None
        last.update(here)
    return Outcomes(rejected, repeated, unchanged, changes)


def offers(polls: list[Poll]) -> list[Offer]:
    """Every price of featured markets with the time it was on offer; polls without an outcome that is rejected."""
    found: list[Offer] = []
    standing: dict[tuple[str, str, str, str], tuple[int, float | None, datetime]] = {}
    previous: Poll | None = None
    for poll in polls:
        here = board(poll)
        for key, (price, line, since) in list(standing.items()):
            assert previous is not None
            if here.get(key) != (price, line):
                ended_by = "moved" if key in here else "withdrawn"
                found.append(Offer(*key, price, line, since, previous.captured_at, poll.captured_at, ended_by))
                del standing[key]
        for key, (price, line) in here.items():
            standing.setdefault(key, (price, line, poll.captured_at))
        previous = poll
    assert previous is not None
    for key, (price, line, since) in standing.items():
        found.append(Offer(*key, price, line, since, previous.captured_at, None, None))
    return found


def board(poll: Poll) -> dict[tuple[str, str, str, str], tuple[int, float | None]]:
    """Price and line of each outcome of a poll, by event, bookmaker, market and outcome."""
    return {
        (event["id"], bookmaker["key"], market["key"], outcome["name"]): (outcome["price"], outcome.get("point"))
        for event in poll.events
        for bookmaker in event["bookmakers"]
        for market in bookmaker["markets"]
        for outcome in market["outcomes"]
    }


def closes(polls: list[Poll]) -> dict[tuple[str, str, str, str], tuple[int, float | None, int]]:
    """Closing price, line and age in seconds by event, bookmaker, market and outcome.

    Of the quotes whose own time is before the start as the event was listed last, the one captured last.
    """
    starts = {event["id"]: instant(event["commence_time"]) for poll in polls for event in poll.events}
    found = {}
    for poll in polls:
        for event in poll.events:
            for bookmaker in event["bookmakers"]:
                for market in bookmaker["markets"]:
                    age = starts[event["id"]] - instant(market["last_update"])
                    if age > timedelta(0):
                        for outcome in market["outcomes"]:
                            key = (event["id"], bookmaker["key"], market["key"], outcome["name"])
                            found[key] = (outcome["price"], outcome.get("point"), age // timedelta(seconds=1))
    return found


def rejection(event: dict[str, Any], market: dict[str, Any], outcome: dict[str, Any]) -> str | None:
    """Why an outcome of a moneyline, spread or total cannot be read; None if it can.

    For a reason of its own or, of two, because the other cannot be read.
    """
    own = _own_rejection(event, market, outcome)
    others = [twin for twin in market["outcomes"] if twin is not outcome]
    if own is None and len(others) == 1 and _own_rejection(event, market, others[0]) is not None:
        return "other_side_invalid"
    return own


def _own_rejection(event: dict[str, Any], market: dict[str, Any], outcome: dict[str, Any]) -> str | None:
    kind, price, point = market["key"], outcome["price"], outcome.get("point")
    sides = ("Over", "Under") if kind == "totals" else (event["home_team"], event["away_team"])
    if kind not in ("h2h", "spreads", "totals"):
        return "unknown_market"
    if outcome["name"] not in sides:
        return "unknown_outcome"
    if not isinstance(price, int) or abs(price) < 100:
        return "price_not_american"
    if kind != "h2h" and point is None:
        return "line_missing"
    names = [twin["name"] for twin in market["outcomes"]]
    if len(set(names)) < len(names):
        return "quoted_twice"
    if len(names) != 2:
        return "not_two_sided"
    points = [twin.get("point") or 0 for twin in market["outcomes"]]
    if kind == "spreads" and sum(points) != 0:
        return "lines_not_opposite"
    if kind == "totals" and points[0] != points[1]:
        return "lines_differ"
    return None


def _teams(game: dict[str, Any]) -> tuple[str, str]:
    return game["home_team"]["full_name"], game["visitor_team"]["full_name"]


def _members(path: Path) -> Iterator[tuple[str, Any]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                yield member.name, json.load(stream)
