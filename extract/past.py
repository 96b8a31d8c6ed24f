"""What of a sport's past is known already, so that nothing of it is asked, and paid for, twice.

A historical response is the snapshot nearest before the date that was asked. It answers
that date, and every other one until the next snapshot. A date is known for a market and a
region if a request that asked for both was answered by a snapshot which is here for both.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

BOOKMAKERS_PER_REGION = 10
"""Named bookmakers are charged as regions: every started ten as one."""

HISTORICAL_FACTOR = 10
"""Credits of a market in a region of the past; of the present it is one."""

Cell = tuple[str, str, str]
"""What is paid for as one: a market, and a region or bookmaker with the word for which of them it is."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request asks of a snapshot: markets, in regions or at bookmakers, which win over regions.

    Without any it is a request for events, which have none.
    """

    markets: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    bookmakers: frozenset[str] = frozenset()

    @staticmethod
    def sent(markets: str | None, regions: str | None, bookmakers: str | None) -> Scope:
        """The scope of a request as its parameters say it, joined by commas."""
        return Scope(*(frozenset(text.split(",")) if text else frozenset() for text in (markets, regions, bookmakers)))

    @property
    def params(self) -> dict[str, str]:
        """The parameters that decide what is paid, sorted so that equal asks are equal."""
        named = {"markets": self.markets}
        if self.bookmakers:
            named["bookmakers"] = self.bookmakers
        elif self.regions:
            named["regions"] = self.regions
        return {name: ",".join(sorted(words)) for name, words in named.items() if words}

    @property
    def cells(self) -> frozenset[Cell]:
        """Each market in each place; a single empty one where there are none."""
        places = [("bookmakers", one) for one in self.bookmakers] or [("regions", one) for one in self.regions]
        return frozenset((market, *place) for market, place in product(self.markets or {""}, places or [("", "")]))

    @property
    def regions_charged(self) -> int:
        """Regions, or what bookmakers are charged as.

        >>> Scope(bookmakers=frozenset("abcdefghijk")).regions_charged
        2
        """
        return -(-len(self.bookmakers) // BOOKMAKERS_PER_REGION) or len(self.regions)

    @property
    def historical_credits(self) -> int:
        """What a snapshot costs at most; one of events costs one."""
        return HISTORICAL_FACTOR * len(self.markets) * self.regions_charged if self.markets else 1


def scopes_of(cells: frozenset[Cell]) -> list[Scope]:
    """The fewest requests by place that ask for these cells and no other, so that nothing else is paid.

    >>> [one.params for one in scopes_of(frozenset({("h2h", "regions", "eu"), ("totals", "regions", "eu")}))]
    [{'markets': 'h2h,totals', 'regions': 'eu'}]
    """
    places: dict[str, set[tuple[str, str]]] = {}
    for market, kind, name in cells:
        places.setdefault(market, set()).add((kind, name))
    markets: dict[frozenset[tuple[str, str]], set[str]] = {}
    for market, found in places.items():
        markets.setdefault(frozenset(found), set()).add(market)
    scopes = [
        Scope(
            frozenset(together - {""}),
            frozenset(name for kind, name in found if kind == "regions"),
            frozenset(name for kind, name in found if kind == "bookmakers"),
        )
        for found, together in markets.items()
    ]
    return sorted(scopes, key=lambda scope: sorted(scope.params.items()))


@dataclass(slots=True)
class _Answers:
    """Which snapshots answered the requests of one scope."""

    dates: dict[datetime, datetime] = field(default_factory=dict)
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)

    def snapshots(self, date: datetime) -> Iterator[datetime]:
        """The snapshot that was sent for a date, and the one that would be sent for it."""
        if date in self.dates:
            yield self.dates[date]
        place = bisect_right(self.spans, (date, datetime.max.replace(tzinfo=date.tzinfo))) - 1
        if place >= 0 and date < self.spans[place][1]:
            yield self.spans[place][0]


class Past:
    """The snapshots of one sport that are here, and the dates that they answer."""

    def __init__(self) -> None:
        self._answers: dict[Scope, _Answers] = {}
        self._here: dict[datetime, set[Cell]] = {}

    def answered(self, scope: Scope, date: datetime, snapshot: datetime, until: datetime | None) -> None:
        """Note that a snapshot was the answer to a date, and until when it is the latest one, if that is known."""
        answers = self._answers.setdefault(scope, _Answers())
        answers.dates[date] = snapshot
        if until is not None and (snapshot, until) not in answers.spans[-1:]:
            insort(answers.spans, (snapshot, until))

    def landed(self, scope: Scope, snapshot: datetime) -> None:
        """Note that a snapshot is here, as far as a scope goes."""
        self._here.setdefault(snapshot, set()).update(scope.cells)

    def is_here(self, scope: Scope, snapshot: datetime) -> bool:
        """Whether all that a scope asks of a snapshot is here."""
        return scope.cells <= self._here.get(snapshot, set())

    def missing(self, wanted: Scope, date: datetime) -> list[Scope]:
        """What is yet to be asked for a date: several scopes where not all markets are missing in the same places."""
        cells = wanted.cells
        for scope, answers in self._answers.items():
            for snapshot in answers.snapshots(date):
                cells -= scope.cells & self._here.get(snapshot, set())
        return scopes_of(cells)
