"""What a server needs from whatever it serves: a simulated league or recorded payloads.

Payloads cross this border as the APIs' own JSON, with American prices and ISO times; the routes convert, page and
charge for them. Instants are whole seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.vocabulary import LAY_MARKETS, region_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which prices a request asks for; `bookmakers` wins over `regions`."""

    markets: frozenset[str]
    regions: frozenset[str]
    bookmakers: frozenset[str] | None

    def has_bookmaker(self, key: str) -> bool:
        """Whether the bookmaker with this key was asked for."""
        return key in self.bookmakers if self.bookmakers is not None else region_of(key) in self.regions

    def has_market(self, key: str) -> bool:
        """Whether the market was asked for, lay markets coming along with their back market."""
        return key in self.markets or LAY_MARKETS.get(key) in self.markets


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A historical answer: the instant of the snapshot, its neighbours (None at the ends) and what it holds."""

    timestamp: str
    previous: str | None
    next: str | None
    data: Any


@dataclass(frozen=True, slots=True)
class Row:
    """A BallDontLie row by what requests filter on; `build` makes the payload only if the row is on the page."""

    row_id: int
    game_id: int
    date: str
    season: int
    postseason: bool
    team_ids: tuple[int, ...]
    player_id: int | None
    build: Callable[[], Json]


class Source(Protocol):
    """A world to serve."""

    def sports(self, now: int) -> list[Json]:
        """Rows of /v4/sports, inactive ones included."""

    def events(self, sport: str, now: int) -> list[Json]:
        """Live and upcoming events, without prices."""

    def odds(self, sport: str, now: int, wanted: Wanted) -> list[Json]:
        """Live and upcoming events with the wanted prices."""

    def event_odds(self, sport: str, event_id: str, now: int, wanted: Wanted) -> Json | None:
        """One event with the wanted prices; None if it is not on offer."""

    def scores(self, sport: str, now: int, days_from: int | None) -> list[Json]:
        """Live and upcoming events with scores, and those completed in the last `days_from` days."""

    def historical_events(self, sport: str, at: int, now: int) -> Snapshot | None:
        """The latest events snapshot not after `at` (nor after `now`); None before the first."""

    def historical_odds(self, sport: str, at: int, now: int, wanted: Wanted) -> Snapshot | None:
        """The latest odds snapshot not after `at` (nor after `now`); None before the first."""

    def historical_event_odds(self, sport: str, event_id: str, at: int, now: int, wanted: Wanted) -> Snapshot | None:
        """The latest snapshot of one event; its data are None where the event was not on offer then."""

    def teams(self) -> list[Json]:
        """Every team, defunct ones included."""

    def players(self) -> list[Json]:
        """Every player, by id."""

    def games(self, now: int) -> Sequence[Row]:
        """Games in the order in which BallDontLie pages them: by date, then id."""

    def stats(self, now: int, games: Sequence[Row]) -> Sequence[Row]:
        """Box-score lines of those of `games` that are finished, by id."""


def only_wanted(event: Json, wanted: Wanted) -> Json:
    """`event` with nothing but the wanted bookmakers and markets; a bookmaker left without a market goes."""
    bookmakers = []
    for bookmaker in event["bookmakers"]:
        if not wanted.has_bookmaker(bookmaker["key"]):
            continue
        markets = [market for market in bookmaker["markets"] if wanted.has_market(market["key"])]
        if markets:
            bookmakers.append({**bookmaker, "markets": markets})
    return {**event, "bookmakers": bookmakers}


def without_prices(event: Json) -> Json:
    """The event as /events lists it."""
    return {key: value for key, value in event.items() if key != "bookmakers"}
