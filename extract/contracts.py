"""What an element must be so that every view over the landing tables can read it.

The staging views cast times and whole numbers, take lists apart and join on names. One
row that cannot be cast would fail not its own query but every build from then on, and
landed rows are never deleted; so what they take for granted is checked here, before
the row is written, and what fails is a dead letter.

Nothing else is asked. A field that is missing or null passes, but for the two without which
there can be no row: the season of a game and the start of an event. A field nobody reads may
hold anything, and what is merely improbable (an impossible price, an outcome that is
no team) is judged by the models, quote by quote, where it can be looked at again.

The bounds are far beyond anything real and keep sums and products inside the columns of
the marts: a line of 5,000 points, a score of 2,000, a name of 200 characters (names are
part of keys, and PostgreSQL refuses an index entry of more than 2,704 bytes).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

LONGEST_NAME = 200
LARGEST_LINE = 4_999
LARGEST_COUNT = 1_999
LARGEST_ID = 2**31 - 1

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_TIME_IN_STATUS = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,10}", re.ASCII)
_FURTHEST_OFFSET = timedelta(hours=14)
_YEARS = range(1900, 2200)


class Breach(ValueError):
    """An element is not what the views take for granted; the text says where and how."""


def is_time(text: Any) -> bool:
    """Whether it is an ISO 8601 time with a zone that Python and PostgreSQL read alike."""
    return isinstance(text, str) and len(text) <= 40 and _is_time(text)


@lru_cache(maxsize=8_192)
def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return False
    offset = instant.utcoffset()
    return instant.year in _YEARS and offset is not None and abs(offset) <= _FURTHEST_OFFSET


def check_event(element: dict[str, Any]) -> None:
    """An event of The Odds API, whatever hangs on it.

    Raises:
        Breach: it cannot be read.
    """
    _needed(element, "commence_time")
    _time(element, "commence_time")
    _name(element, "home_team")
    _name(element, "away_team")


def check_odds(element: dict[str, Any]) -> None:
    """An event with the bookmakers that offer it.

    Raises:
        Breach: it cannot be read.
    """
    check_event(element)
    for book in _objects(element, "bookmakers", ""):
        _name(book, "key", "a bookmaker: ")
        _time(book, "last_update", "a bookmaker: ")
        for market in _objects(book, "markets", "a bookmaker: "):
            _name(market, "key", "a market: ")
            _time(market, "last_update", "a market: ")
            for outcome in _objects(market, "outcomes", "a market: "):
                name, description, point = outcome.get("name"), outcome.get("description"), outcome.get("point")
                # Two calls an outcome are a quarter of the whole check, for what is nearly always so.
                if not (isinstance(name, str) and len(name) <= LONGEST_NAME):
                    _name(outcome, "name", "an outcome: ")
                if description is not None:
                    _name(outcome, "description", "an outcome: ")
                if isinstance(point, (int, float)) and not abs(point) <= LARGEST_LINE:
                    raise Breach(f"an outcome: point is {point!r:.40}, beyond {LARGEST_LINE:,}")


def check_score(element: dict[str, Any]) -> None:
    """An event with its score.

    Raises:
        Breach: it cannot be read.
    """
    check_event(element)
    _truth(element, "completed")
    for score in element["scores"] if isinstance(element.get("scores"), list) else ():
        if isinstance(score, dict):
            _whole(score, "score", LARGEST_COUNT, "a score: ")


def check_team(element: dict[str, Any]) -> None:
    """A team of BallDontLie.

    Raises:
        Breach: it cannot be read.
    """
    for name in ("full_name", "abbreviation", "city", "conference", "division"):
        _name(element, name)


def check_player(element: dict[str, Any]) -> None:
    """A player of BallDontLie.

    Raises:
        Breach: it cannot be read.
    """
    for name in ("first_name", "last_name", "position", "height", "weight", "college", "country"):
        _name(element, name)
    _whole_id(element, "team")


def check_game(element: dict[str, Any]) -> None:
    """A game of BallDontLie.

    Raises:
        Breach: it cannot be read.
    """
    _whole_id(element, "home_team")
    _whole_id(element, "visitor_team")
    _name(element, "status")
    status = (element.get("status") or "").strip()
    if _TIME_IN_STATUS.match(status) and not is_time(status):
        raise Breach(f"status is {status!r:.60}, expected a time if it begins like one")
    _time(element, "datetime")
    _date(element, "date")
    for truth in ("postseason", "postponed"):
        _truth(element, truth)
    _needed(element, "season")
    _whole(element, "season", _YEARS[-1])
    _whole(element, "period", LARGEST_COUNT)
    for side in ("home", "visitor"):
        _whole(element, f"{side}_team_score", LARGEST_COUNT)
        for period in ("q1", "q2", "q3", "q4", "ot1", "ot2", "ot3"):
            _whole(element, f"{side}_{period}", LARGEST_COUNT)


def check_stat(element: dict[str, Any]) -> None:
    """A player's box score of one game of BallDontLie.

    Raises:
        Breach: it cannot be read.
    """
    _whole_id(element, "player")
    _whole_id(element, "team")
    for count in (
        "pts", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "oreb", "dreb", "ast", "stl", "blk", "turnover", "pf"
    ):  # fmt: skip
        _whole(element, count, LARGEST_COUNT)


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "sports": lambda element: None,
    "events": check_event,
    "odds": check_odds,
    "scores": check_score,
    "teams": check_team,
    "players": check_player,
    "games": check_game,
    "stats": check_stat,
}
"""By landing table, the check of its elements."""


def _needed(holder: dict[str, Any], key: str) -> None:
    if holder.get(key) is None:
        raise Breach(f"{key} is missing")


def _objects(holder: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """A list of objects, empty if it is missing; a null is no list to PostgreSQL."""
    if key not in holder:
        return []
    value = holder[key]
    if not isinstance(value, list):
        raise Breach(f"{where}{key} is {_kind(value)}, expected a list")
    for item in value:
        if not isinstance(item, dict):
            raise Breach(f"{where}{key} holds {_kind(item)}, expected objects")
    return value


def _time(holder: dict[str, Any], key: str, where: str = "") -> None:
    value = holder.get(key)
    if value is not None and not is_time(value):
        raise Breach(f"{where}{key} is {_shown(value)}, expected a time such as 2026-11-23T18:00:00Z")


def _date(holder: dict[str, Any], key: str) -> None:
    value = holder.get(key)
    if value is None:
        return
    # The views read the first ten characters; early payloads went on with a time.
    if not isinstance(value, str) or not is_time(f"{value[:10]}T00:00:00Z"):
        raise Breach(f"{key} is {_shown(value)}, expected a date such as 2026-11-23")


def _name(holder: dict[str, Any], key: str, where: str = "") -> None:
    value = holder.get(key)
    if value is None:
        return
    if not isinstance(value, str):
        raise Breach(f"{where}{key} is {_kind(value)}, expected text")
    if len(value) > LONGEST_NAME:
        raise Breach(f"{where}{key} has {len(value):,} characters, more than {LONGEST_NAME}")


def _truth(holder: dict[str, Any], key: str) -> None:
    value = holder.get(key)
    if value is not None and not isinstance(value, bool):
        raise Breach(f"{key} is {_shown(value)}, expected true or false")


def _whole_id(holder: dict[str, Any], key: str) -> None:
    value = holder.get(key)
    if isinstance(value, dict):
        _whole(value, "id", LARGEST_ID, f"{key}: ")


def _whole(holder: dict[str, Any], key: str, most: int, where: str = "") -> None:
    """A whole number, or text that is one; PostgreSQL casts no 7.0 to an integer."""
    value = holder.get(key)
    if value is None:
        return
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > most:
        raise Breach(f"{where}{key} is {_shown(value)}, expected a whole number up to {most:,}")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: Any) -> str:
    """A scalar shortened, or the kind of what is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return "no finite number"
    return f"{value!r:.60}" if isinstance(value, (str, int, float)) else _kind(value)
