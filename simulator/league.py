"""A simulated NBA: every answer of both APIs as a function of a seed and an instant."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial

from simulator.board import Board
from simulator.boxscore import rosters, stat_id, stat_payload
from simulator.chance import bits, integer, uniform
from simulator.clock import iso, iso_milliseconds
from simulator.play import Game, play, progress_at
from simulator.schedule import (
    HOUR,
    MINUTE,
    Fixture,
    LeagueSettings,
    Listing,
    day_in_new_york,
    fixtures_of_day,
    listings_of,
)
from simulator.source import Json, Row, Snapshot, Wanted
from simulator.teams import DEFUNCT_TEAMS, TEAMS
from simulator.vocabulary import BOOKMAKERS, sport_payload
from simulator.wire import live_status, live_time, period_fields

SPORT = "basketball_nba"

_DAY = 24 * HOUR
_GRID = 5 * MINUTE
_BOARDS_KEPT = 256
_FINAL_IS_KNOWN_AFTER = MINUTE
_BOX_SCORE_IS_KNOWN_AFTER = 10 * MINUTE


class League:
    """A simulated league as a `Source`. Holds only the calendar and caches."""

    def __init__(self, settings: LeagueSettings) -> None:
        self.settings = settings
        days = [settings.first_day + timedelta(days=day) for day in range(settings.days)]
        self._fixtures = [fixture for day in days for fixture in fixtures_of_day(settings, day)]
        self._fixture_by_id = {fixture.game_id: fixture for fixture in self._fixtures}
        self._listings_by_day: dict[int, list[Listing]] = defaultdict(list)
        self._listing_by_id: dict[str, Listing] = {}
        for fixture in self._fixtures:
            for listing in listings_of(settings, fixture):
                self._listing_by_id[listing.event_id] = listing
                for day_number in range(listing.since // _DAY, listing.until // _DAY + 1):
                    self._listings_by_day[day_number].append(listing)
        self._boards: OrderedDict[str, Board] = OrderedDict()
        self._final_rows: dict[int, Json] = {}

    # -- The Odds API -----------------------------------------------------------------------------------------

    def sports(self, now: int) -> list[Json]:
        """See `Source.sports`. Other sports are listed out of season."""
        return [
            sport_payload(
                "basketball_euroleague", "Basketball", "Basketball Euroleague", "Basketball Euroleague", active=False
            ),
            sport_payload(SPORT, "Basketball", "NBA", "US Basketball", active=bool(self._listed(now))),
            sport_payload(
                "basketball_nba_championship_winner",
                "Basketball",
                "NBA Championship Winner",
                "Championship Winner",
                active=False,
                has_outrights=True,
            ),
            sport_payload("basketball_nba_preseason", "Basketball", "NBA Preseason", "US Basketball", active=False),
            sport_payload("basketball_wnba", "Basketball", "WNBA", "US Basketball", active=False),
        ]

    def events(self, sport: str, now: int) -> list[Json]:
        """See `Source.events`."""
        return [board.event(now) for board in self._listed(now)] if sport == SPORT else []

    def odds(self, sport: str, now: int, wanted: Wanted) -> list[Json]:
        """See `Source.odds`. An event that no bookmaker has opened yet is left out."""
        if sport != SPORT or not any(wanted.has_bookmaker(book.key) for book in BOOKMAKERS):
            return []
        priced = [(board.event(now), board.bookmakers(now, wanted)) for board in self._listed(now)]
        started = iso(now)
        return [
            {**event, "bookmakers": bookmakers}
            for event, bookmakers in priced
            if bookmakers or event["commence_time"] < started
        ]

    def event_odds(self, sport: str, event_id: str, now: int, wanted: Wanted) -> Json | None:
        """See `Source.event_odds`. Live event odds carry no bookmaker-level last_update."""
        listing = self._listing_by_id.get(event_id)
        board = self._board(listing) if listing and sport == SPORT else None
        if board is None or not board.is_listed_at(now):
            return None
        featured = {book["key"]: book for book in board.bookmakers(now, wanted)}
        props = {book["key"]: book for book in board.props(now, wanted)}
        bookmakers = []
        for key in dict.fromkeys((*featured, *props)):
            either = featured.get(key) or props[key]
            markets = [market for offers in (featured, props) if key in offers for market in offers[key]["markets"]]
            bookmakers.append({"key": key, "title": either["title"], "markets": markets})
        return {**board.event(now), "bookmakers": bookmakers}

    def scores(self, sport: str, now: int, days_from: int | None) -> list[Json]:
        """See `Source.scores`."""
        if sport != SPORT:
            return []
        rows = [(board.listing, board) for board in self._listed(now)]
        seen = {listing.fixture.game_id for listing, _ in rows}
        since = now - (days_from or 0) * _DAY
        if days_from:
            for day_number in range(since // _DAY - 1, now // _DAY + 1):
                for listing in self._listings_by_day.get(day_number, ()):
                    game_id = listing.fixture.game_id
                    if listing.is_first_date or game_id in seen or listing.until <= listing.fixture.starts_at:
                        continue
                    if listing.fixture.starts_at >= since and play(listing.fixture).ends_at <= now:
                        seen.add(game_id)
                        rows.append((listing, self._board(listing)))
        payloads = [self._score(board, now) for _, board in rows]
        return [row for row in payloads if days_from or not row["completed"]]

    def historical_events(self, sport: str, at: int, now: int) -> Snapshot | None:
        """See `Source.historical_events`."""
        return _snapshot(at, now, lambda instant: self.events(sport, instant))

    def historical_odds(self, sport: str, at: int, now: int, wanted: Wanted) -> Snapshot | None:
        """See `Source.historical_odds`."""
        return _snapshot(at, now, lambda instant: self.odds(sport, instant, wanted))

    def historical_event_odds(self, sport: str, event_id: str, at: int, now: int, wanted: Wanted) -> Snapshot | None:
        """See `Source.historical_event_odds`; here the bookmakers do carry a last_update."""

        def at_instant(instant: int) -> Json | None:
            event = self.event_odds(sport, event_id, instant, wanted)
            if event is None:
                return None
            bookmakers = [
                {
                    "key": book["key"],
                    "title": book["title"],
                    "last_update": max(market["last_update"] for market in book["markets"]),
                    "markets": book["markets"],
                }
                for book in event["bookmakers"]
            ]
            return {**event, "bookmakers": bookmakers}

        return _snapshot(at, now, at_instant)

    # -- BallDontLie ------------------------------------------------------------------------------------------

    def teams(self) -> list[Json]:
        """See `Source.teams`."""
        return [*(team.payload() for team in TEAMS), *DEFUNCT_TEAMS]

    def players(self) -> list[Json]:
        """See `Source.players`."""
        return [player.payload() for roster in rosters(self.settings.seed).values() for player in roster]

    def games(self, now: int) -> list[Row]:
        """See `Source.games`."""
        rows = [
            self._row(fixture, now, fixture.game_id, None, partial(self._game_payload, fixture, now))
            for fixture in self._fixtures
        ]
        return sorted(rows, key=lambda row: (row.date, row.game_id))

    def stats(self, now: int, games: Sequence[Row]) -> list[Row]:
        """See `Source.stats`. A box score appears ten minutes after the game."""
        players = rosters(self.settings.seed)
        rows = []
        for fixture in (self._fixture_by_id[row.game_id] for row in games):
            if now < fixture.starts_at or now < play(fixture).ends_at + _BOX_SCORE_IS_KNOWN_AFTER:
                continue
            for index, player in enumerate((*players[fixture.home.team_id], *players[fixture.away.team_id])):
                rows.append(
                    self._row(
                        fixture,
                        now,
                        stat_id(fixture.game_id, index),
                        player.player_id,
                        partial(self._stat_payload, fixture, index),
                    )
                )
        return sorted(rows, key=lambda row: row.row_id)

    # -- inside -----------------------------------------------------------------------------------------------

    def _listed(self, now: int) -> list[Board]:
        """Boards of the events in the feed at `now`, by start, in one answer out of seven by id."""
        boards = [
            self._board(listing)
            for listing in self._listings_by_day.get(now // _DAY, ())
            if listing.since <= now < listing.until
        ]
        listed = [board for board in boards if board.is_listed_at(now)]
        if bits(f"{self.settings.seed}:unsorted:{now}") % 7 == 0:
            return sorted(listed, key=lambda board: board.listing.event_id)
        return sorted(listed, key=lambda board: (board.commence_time(now), board.listing.event_id))

    def _board(self, listing: Listing) -> Board:
        board = self._boards.get(listing.event_id)
        if board is None:
            board = Board(listing, play(listing.fixture), self.settings.lookahead_hours)
            self._boards[listing.event_id] = board
            if len(self._boards) > _BOARDS_KEPT:
                self._boards.popitem(last=False)
        else:
            self._boards.move_to_end(listing.event_id)
        return board

    def _score(self, board: Board, now: int) -> Json:
        """A row of /scores: text scores, home first; completed rows are touched again the next morning."""
        event, game = board.event(now), board.game
        fixture = game.fixture
        row: Json = {
            "id": event["id"],
            "sport_key": event["sport_key"],
            "sport_title": event["sport_title"],
            "commence_time": event["commence_time"],
            "completed": False,
            "home_team": event["home_team"],
            "away_team": event["away_team"],
            "scores": None,
            "last_update": None,
        }
        if board.listing.is_first_date or now < fixture.starts_at:
            return row
        progress = progress_at(game, now - now % 30)
        home, away = game.home_score, game.away_score
        updated_at = now - now % 30
        if progress is not None:
            home, away = sum(progress.home_points), sum(progress.away_points)
        elif now < game.ends_at:
            home, away = 0, 0
        else:
            morning = (game.ends_at // _DAY) * _DAY + 9 * HOUR + integer(f"{fixture.key}:touched", 20, 80) * MINUTE
            updated_at = morning if game.ends_at < morning <= now else game.ends_at + MINUTE
            updated_at = min(updated_at, now)
            row["completed"] = now >= game.ends_at + 2 * MINUTE
            if row["completed"] and uniform(f"{fixture.key}:frozen") < self.settings.frozen_score_share:
                home, away = sum(game.home_points[:3]), sum(game.away_points[:3])
        row["scores"] = [
            {"name": event["home_team"], "score": str(home)},
            {"name": event["away_team"], "score": str(away)},
        ]
        row["last_update"] = iso(max(updated_at, fixture.starts_at))
        return row

    def _row(self, fixture: Fixture, now: int, row_id: int, player_id: int | None, build: Callable[[], Json]) -> Row:
        return Row(
            row_id=row_id,
            game_id=fixture.game_id,
            date=fixture.day_known_at(now).isoformat(),
            season=fixture.season,
            postseason=False,
            team_ids=(fixture.home.team_id, fixture.away.team_id),
            player_id=player_id,
            build=build,
        )

    def _game_payload(self, fixture: Fixture, now: int) -> Json:
        """A row of /games as of `now`."""
        tip = fixture.tip_known_at(now)
        game = play(fixture) if now >= fixture.starts_at else None
        is_final = game is not None and now >= game.ends_at + _FINAL_IS_KNOWN_AFTER
        if game is not None and is_final:
            if fixture.game_id not in self._final_rows:
                self._final_rows[fixture.game_id] = _final_payload(game)
            return self._final_rows[fixture.game_id]
        if game is not None:
            return _live_payload(game, now)
        row = _payload(fixture, tip, fixture.day_known_at(now), status=iso(tip), period=0, time=None)
        if fixture.is_called_off_at(now):
            row["status"] = "Postponed"
            row["postponed"] = True
        return row

    def _stat_payload(self, fixture: Fixture, index: int) -> Json:
        game = play(fixture)
        facts = {
            "id": fixture.game_id,
            "date": fixture.day_known_at(game.ends_at).isoformat(),
            "season": fixture.season,
            "status": "Final",
            "period": 4 + game.overtimes,
            "time": "Final",
            "postseason": False,
            "home_team_score": game.home_score,
            "visitor_team_score": game.away_score,
            "home_team_id": fixture.home.team_id,
            "visitor_team_id": fixture.away.team_id,
        }
        return stat_payload(game, facts, index)


def snapshot_time(number: int) -> int:
    """The instant of the `number`-th five-minute snapshot: 36 to 44 seconds past, as in recorded ones."""
    return number * _GRID + 36 + bits(f"grid:{number}") % 9


def _snapshot(at: int, now: int, answer: Callable[[int], object]) -> Snapshot | None:
    latest = min(at, now)
    number = latest // _GRID
    if snapshot_time(number) > latest:
        number -= 1
    instant, following = snapshot_time(number), snapshot_time(number + 1)
    return Snapshot(
        timestamp=iso(instant),
        previous=iso(snapshot_time(number - 1)),
        next=iso(following) if following <= now else None,
        data=answer(instant),
    )


def _payload(fixture: Fixture, tip: int, day: date, *, status: str, period: int, time: str | None) -> Json:
    return {
        "id": fixture.game_id,
        "date": day.isoformat(),
        "season": fixture.season,
        "status": status,
        "period": period,
        "time": time,
        "postseason": False,
        "home_team_score": 0,
        "visitor_team_score": 0,
        "datetime": iso_milliseconds(tip),
        **period_fields("home", ()),
        "home_timeouts_remaining": None,
        "home_in_bonus": None,
        **period_fields("visitor", ()),
        "visitor_timeouts_remaining": None,
        "visitor_in_bonus": None,
        "home_team": fixture.home.payload(),
        "visitor_team": fixture.away.payload(),
    }


def _live_payload(game: Game, now: int) -> Json:
    fixture = game.fixture
    progress = progress_at(game, min(now, game.ends_at - 1))
    assert progress is not None, "a started game that is not final is in progress"
    row = _payload(
        fixture,
        fixture.final_tip,
        fixture.day_known_at(now),
        status=live_status(progress.period, is_halftime=progress.is_halftime),
        period=progress.period,
        time=live_time(progress.period, progress.seconds_left),
    )
    row.update(period_fields("home", progress.home_points), **period_fields("visitor", progress.away_points))
    row["home_team_score"], row["visitor_team_score"] = sum(progress.home_points), sum(progress.away_points)
    for side in ("home", "visitor"):
        row[f"{side}_timeouts_remaining"] = max(0, 7 - 2 * progress.period + bits(f"{fixture.key}:{side}:timeouts") % 2)
        row[f"{side}_in_bonus"] = progress.seconds_left < 180
    return row


def _final_payload(game: Game) -> Json:
    fixture = game.fixture
    row = _payload(
        fixture,
        fixture.final_tip,
        fixture.day_known_at(game.ends_at),
        status="Final",
        period=4 + game.overtimes,
        time="Final",
    )
    row.update(period_fields("home", game.home_points), **period_fields("visitor", game.away_points))
    row["home_team_score"], row["visitor_team_score"] = game.home_score, game.away_score
    for side in ("home", "visitor"):
        row[f"{side}_timeouts_remaining"] = bits(f"{fixture.key}:{side}:timeouts") % 4
        row[f"{side}_in_bonus"] = bits(f"{fixture.key}:{side}:bonus") % 2 == 0
    return row


def window_around(now: int, days: int) -> date:
    """The first day of a league of `days` days whose middle is the Eastern day of `now`."""
    return day_in_new_york(now) - timedelta(days=days // 2)
