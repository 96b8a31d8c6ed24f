"""What the simulated bookmakers offer on a game at any instant.

A bookmaker's prices are renewed every minute or two, which moves `last_update` and, mostly, nothing else. Prices
are set anew only in some ten-minute slots, more of them near tip-off, from what the market then knows of the game,
the bookmaker's own opinion and, once in a while, a mistake of a few percent. Once the game runs, prices follow the
score at every renewal.
"""

from __future__ import annotations

from math import floor
from typing import Any

from simulator.boxscore import prop_means
from simulator.chance import bits, normal, uniform
from simulator.clock import iso
from simulator.play import MARGIN_SD, REGULATION_MINUTES, TOTAL_SD, Game, Progress, progress_at
from simulator.pricing import american, win_probability, with_hold
from simulator.schedule import HOUR, MINUTE, Listing
from simulator.source import Json, Wanted
from simulator.vocabulary import BOOKMAKERS, Bookmaker

_SLOT = 10 * MINUTE
_LIVE_RENEWAL = 40
_OUTAGE = 15 * MINUTE
_FEED_LINGERS = 15 * MINUTE
_FEATURED = ("h2h", "spreads", "totals")
_OPINION_SD = 0.12
_MISTAKE_SHARE = 0.007
_PROPS = ("player_points", "player_rebounds", "player_assists")
_NO_H2H_SHARE = {"betonlineag": 0.18, "lowvig": 0.18}


class Board:
    """All prices on one listing of a game. Everything in here is a cache: any instant can be asked for, in any
    order, with the same answer."""

    def __init__(self, listing: Listing, game: Game, lookahead_hours: int) -> None:
        self.listing = listing
        self.game = game
        fixture = listing.fixture
        self._fixture = fixture
        self._closes_at = min(listing.until, game.ends_at + _FEED_LINGERS)
        self._tip = (
            fixture.tip + fixture.feed_delay + fixture.start_delay if listing.is_first_date else fixture.starts_at
        )
        self._key = f"{fixture.key}:{listing.event_id[:6]}"
        self._home = fixture.home.odds_name
        self._away = fixture.away.odds_name
        self._home_is_first = self._home < self._away
        ahead = lookahead_hours * HOUR
        self._opens_at = {
            book.key: max(
                listing.since,
                self._tip - round(ahead * (1.0 - 0.4 * uniform(f"{fixture.key}:{book.key}:opens"))),
            )
            for book in BOOKMAKERS
        }
        self._period = {book.key: 90 + bits(f"{self._key}:{book.key}:period") % 90 for book in BOOKMAKERS}
        self._set_in: dict[tuple[str, int], tuple[int, ...]] = {}
        self._quotes: dict[tuple[str, int, int], list[Json]] = {}

    def is_listed_at(self, now: int) -> bool:
        """Whether the feed has the event at `now`."""
        return self.listing.since <= now < self._closes_at

    def commence_time(self, now: int) -> int:
        """When the feed says at `now` that the game starts."""
        return self._fixture.commence_time(now, is_first_date=self.listing.is_first_date)

    def event(self, now: int) -> Json:
        """The event at `now`, without prices."""
        return {
            "id": self.listing.event_id,
            "sport_key": "basketball_nba",
            "sport_title": "NBA",
            "commence_time": iso(self.commence_time(now)),
            "home_team": self._home,
            "away_team": self._away,
        }

    def bookmakers(self, now: int, wanted: Wanted) -> list[Json]:
        """The featured markets of every wanted bookmaker at `now`."""
        if now >= self._tip and bits(f"{self._key}:dark:{now // 300}") % 500 == 0:
            return []
        featured = [(number, key) for number, key in enumerate(_FEATURED) if key in wanted.markets]
        offers = []
        for book in BOOKMAKERS:
            if not featured or not wanted.has_bookmaker(book.key) or now < self._opens_at[book.key]:
                continue
            if now >= self._tip and not book.is_live:
                continue
            markets = self._markets(book, now, featured)
            if markets:
                last_update = max(market["last_update"] for market in markets)
                offers.append({"key": book.key, "title": book.title, "last_update": last_update, "markets": markets})
        return offers

    def props(self, now: int, wanted: Wanted) -> list[Json]:
        """The player markets of every wanted bookmaker at `now`; none once the game runs."""
        wanted_props = [key for key in _PROPS if key in wanted.markets]
        if not wanted_props or now >= self._tip:
            return []
        offers = []
        for book in BOOKMAKERS:
            if not wanted.has_bookmaker(book.key) or now < self._opens_at[book.key] + 2 * HOUR or not book.is_live:
                continue
            renewed = self._renewed_at(book, now)
            markets = [
                {"key": key, "last_update": iso(renewed), "outcomes": self._prop_outcomes(book, key, renewed)}
                for key in wanted_props
            ]
            offers.append({"key": book.key, "title": book.title, "markets": markets})
        return offers

    # -- when -------------------------------------------------------------------------------------------------

    def _renewed_at(self, book: Bookmaker, now: int) -> int:
        """When the bookmaker's prices, as the feed shows them at `now`, were last seen by the feed."""
        if now >= self._tip and not self.listing.is_first_date:
            live = min(now, self.game.ends_at - 1)
            renewed = live - (live + self._period[book.key]) % _LIVE_RENEWAL
            if renewed >= self._tip:
                return renewed
        now = min(now, self._tip)
        if bits(f"{self._key}:{book.key}:outage:{now // _OUTAGE}") % 30 == 0:
            now = now // _OUTAGE * _OUTAGE
        period = self._period[book.key]
        turn = now // period
        while bits(f"{self._key}:{book.key}:turn:{turn}") % 12 == 0:
            turn -= 1
        return max(turn * period, self._opens_at[book.key])

    def _slot(self, book: Bookmaker, at: int) -> int:
        return (at + 4 * self._period[book.key]) // _SLOT

    def _slots_in_force(self, book: Bookmaker, at: int) -> tuple[int, ...]:
        """For each featured market, the slot in which the price in force at `at` was set."""
        slot = self._slot(book, at)
        first = self._slot(book, self._opens_at[book.key])
        found = self._set_in.get((book.key, slot))
        if found is None:
            left = [0, 1, 2]
            in_force = [first, first, first]
            for candidate in range(slot, first, -1):
                known = self._set_in.get((book.key, candidate))
                if known is not None:
                    for number in left:
                        in_force[number] = known[number]
                    break
                draw = bits(f"{self._key}:{book.key}:set:{candidate}")
                threshold = self._share_set(candidate * _SLOT)
                for number in tuple(left):
                    if draw >> (16 * number) & 0xFFFF < threshold:
                        in_force[number] = candidate
                        left.remove(number)
                if not left:
                    break
            found = self._set_in[book.key, slot] = (in_force[0], in_force[1], in_force[2])
        return found

    def _share_set(self, at: int) -> int:
        """Out of 65,536 prices, how many are set anew in the slot at `at`."""
        before = self._tip - at
        share = 0.045 if before > 6 * HOUR else 0.10 if before > HOUR else 0.35
        return int(share * 65_536)

    # -- what -------------------------------------------------------------------------------------------------

    def _markets(self, book: Bookmaker, now: int, featured: list[tuple[int, str]]) -> list[Json]:
        renewed = self._renewed_at(book, now)
        progress = None if self.listing.is_first_date else progress_at(self.game, renewed)
        stamp = iso(renewed)
        markets: list[Json] = []
        if progress is not None:
            for number, key in featured:
                outcomes = self._live_outcomes(book, number, renewed, progress)
                if outcomes:
                    markets.append({"key": key, "last_update": stamp, "outcomes": outcomes})
            return markets
        in_force = self._slots_in_force(book, renewed)
        for number, key in featured:
            slot = in_force[number]
            quote = self._quotes.get((book.key, number, slot))
            if quote is None:
                quote = self._quotes[book.key, number, slot] = self._outcomes(book, number, slot)
            if quote:
                markets.append({"key": key, "last_update": stamp, "outcomes": quote})
        if len(markets) > 1 and bits(f"{self._key}:{book.key}:older:{renewed}") % 300 == 0:
            older = max(renewed - self._period[book.key], self._opens_at[book.key])
            if self._slots_in_force(book, older) == in_force:
                markets[0] = {**markets[0], "last_update": iso(older)}
        if bits(f"{self._key}:{book.key}:order") % 4 == 0:
            markets.reverse()
        return markets

    def _outcomes(self, book: Bookmaker, number: int, slot: int) -> list[Json]:
        """Outcomes of a featured market as set before the game in `slot`; none if the book does not offer it."""
        share_missing = _NO_H2H_SHARE.get(book.key, 0.02) if number == 0 else 0.02
        if uniform(f"{self._key}:{book.key}:missing:{number}") < share_missing:
            return []
        at = slot * _SLOT
        key = f"{self._key}:{book.key}:{number}:{slot}"
        opinion = normal(f"{self._key}:{book.key}:opinion:{number == 2}", sd=_OPINION_SD) + normal(key, sd=0.06)
        mistake = 0.0
        if uniform(f"{key}:mistake") < _MISTAKE_SHARE:
            mistake = (1.2 + 1.2 * uniform(f"{key}:size")) * (1 if bits(f"{key}:side") % 2 else -1)
        if number == 2:
            center = self.game.total_expected_at(at) + 1.5 * opinion
            return _over_under(center, center + 1.5 * mistake, TOTAL_SD, book.line_hold)
        center = self.game.margin_expected_at(at) + opinion
        if number == 0:
            return self._moneyline(win_probability(center + mistake, MARGIN_SD), book.h2h_hold)
        return self._handicap(center, center + mistake, MARGIN_SD, book.line_hold)

    def _live_outcomes(self, book: Bookmaker, number: int, renewed: int, progress: Progress) -> list[Json]:
        """Outcomes of a featured market during the game; none while the book has it suspended."""
        key = f"{self._key}:{book.key}:{number}"
        if bits(f"{key}:suspended:{renewed // 120}") % 16 == 0:
            return []
        left = progress.minutes_left / REGULATION_MINUTES
        lead = sum(progress.home_points) - sum(progress.away_points)
        margin = lead + self.game.expected_margin * left + normal(f"{key}:live:{renewed // 240}", sd=0.3)
        sd = max(0.8, MARGIN_SD * left**0.5)
        if number == 2:
            scored = sum(progress.home_points) + sum(progress.away_points)
            total = scored + self.game.expected_total * left + normal(f"{key}:live:{renewed // 240}", sd=0.5)
            return _over_under(total, total, max(1.5, TOTAL_SD * left**0.5), book.line_hold)
        if number == 1:
            return self._handicap(margin, margin, sd, book.line_hold)
        home = win_probability(margin, sd)
        return self._moneyline(home, book.h2h_hold) if 0.03 < home < 0.97 else []

    def _moneyline(self, home: float, hold: float) -> list[Json]:
        home_implied, away_implied = with_hold(min(max(home, 0.004), 0.996), hold)
        return self._by_name(
            {"name": self._home, "price": american(home_implied)},
            {"name": self._away, "price": american(away_implied)},
        )

    def _handicap(self, center: float, believed: float, sd: float, hold: float) -> list[Json]:
        line = _half_points(center)
        home_implied, away_implied = with_hold(win_probability(believed - line, sd), hold)
        return self._by_name(
            {"name": self._home, "price": american(home_implied), "point": 0.0 - line},
            {"name": self._away, "price": american(away_implied), "point": line},
        )

    def _by_name(self, home: Json, away: Json) -> list[Json]:
        return [home, away] if self._home_is_first else [away, home]

    # -- players ----------------------------------------------------------------------------------------------

    def _prop_outcomes(self, book: Bookmaker, market: str, renewed: int) -> list[Json]:
        """Over and under of a player's points, rebounds or assists; betrivers lists a ladder of points, and
        williamhill_us now and then the same line twice at different prices."""
        slot = renewed // (2 * HOUR)
        outcomes: list[Json] = []
        for player, means in prop_means(self.game):
            mean = means[market]
            key = f"{self._key}:{book.key}:{market}:{player}"
            if mean < 2.0 or uniform(f"{key}:offered") < 0.15:
                continue
            believed = mean * (1.0 + normal(f"{key}:{slot}", sd=0.03))
            sd = 0.9 + 0.32 * mean
            main = floor(mean) + 0.5
            lines = [main]
            if book.key == "betrivers" and market == "player_points":
                lines = [line for line in (main - 4, main - 2, main, main + 2, main + 4) if line > 0]
            for line in lines:
                outcomes.extend(_prop_pair(player, believed - line, sd, line, 0.065))
            if book.key == "williamhill_us" and bits(f"{key}:twice") % 8 == 0:
                outcomes.extend(_prop_pair(player, believed - main + 0.25, sd, main, 0.065))
        return outcomes


def _half_points(value: float) -> float:
    """The nearest line on whole or half points, never minus zero."""
    return round(value * 2) / 2 + 0.0


def _over_under(center: float, believed: float, sd: float, hold: float) -> list[Json]:
    line = max(0.5, _half_points(center))
    over, under = with_hold(win_probability(believed - line, sd), hold)
    return [
        {"name": "Over", "price": american(over), "point": line},
        {"name": "Under", "price": american(under), "point": line},
    ]


def _prop_pair(player: str, margin: float, sd: float, line: float, hold: float) -> list[dict[str, Any]]:
    over, under = with_hold(win_probability(margin, sd), hold)
    return [
        {"name": "Over", "description": player, "price": american(over), "point": line},
        {"name": "Under", "description": player, "price": american(under), "point": line},
    ]
