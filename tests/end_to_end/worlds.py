"""Two small worlds: what the simulated APIs answer with every trouble that feeds are known for, and recorded answers.

Nothing is drawn by chance here: a world is the same each time it is made.
"""

import hashlib
import json
import lzma
from collections.abc import Iterable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from extract.payloads import Response, digest
from simulator import League, LeagueSettings
from simulator.source import Wanted
from simulator.teams import TEAMS
from tests.end_to_end.arrivals import Payload
from tests.end_to_end.recordings import Poll, instant, live_polls, season_games, season_polls

Json = dict[str, Any]

NBA, WNBA = "basketball_nba", "basketball_wnba"

# -- the simulated world

FIRST_DAY = date(2026, 11, 9)
NBA_LEAGUE = LeagueSettings(FIRST_DAY, 3, 4, seed=4, postponed_share=0.0, relisted_share=0.0, moved_share=0.0)
WNBA_LEAGUE = LeagueSettings(FIRST_DAY, 3, 4, seed=9, postponed_share=0.0, relisted_share=0.0, moved_share=0.0)
"""Simulated like the NBA and renamed: a league without a schedule takes its games from the odds."""

CAPTURES = [
    datetime.fromisoformat(f"2026-11-{text}:00Z")
    for text in (
        "10T15:00", "10T18:00", "10T21:00", "10T23:00", "11T00:15", "11T01:00", "11T02:45", "11T04:30", "11T06:30"
    )
]  # fmt: skip
"""From the morning before the games of the 10th until they are over, those of the 11th still to come."""

SIMULATED_END = datetime(2026, 11, 14, 12, tzinfo=UTC)
"""Late enough that a pick whose event has no game is void."""

BOOKS = frozenset({"draftkings", "fanduel", "betmgm", "williamhill_us", "betonlineag"})
FEATURED = ("h2h", "spreads", "totals")

WNBA_TEAMS = (
    "Atlanta Dream", "Chicago Sky", "Connecticut Sun", "Dallas Wings", "Golden State Valkyries", "Indiana Fever",
    "Los Angeles Sparks", "Las Vegas Aces", "Minnesota Lynx", "New York Liberty", "Phoenix Mercury", "Portland Fire",
    "Seattle Storm", "Toronto Tempo", "Washington Mystics",
)  # fmt: skip


def simulated_world() -> list[Payload]:
    """Two leagues over sixteen hours: odds, events, props, schedule and scores, in order of time."""
    nba = League(NBA_LEAGUE)
    answers = [*_nba_odds(nba), *_nba_events(nba), *_nba_props(nba), *_nba_games(nba), *_nba_scores(nba), *_wnba_odds()]
    return sorted(answers, key=lambda payload: payload.response.captured_at)


def _nba_odds(league: League) -> Iterable[Payload]:
    for number, at in enumerate(CAPTURES):
        board = _nba_board(league, number)
        yield odds_answer(NBA, at, board)
        if number == 1:
            # For a moment the feed lists nothing at all.
            yield odds_answer(NBA, at + timedelta(minutes=7), [])
        if number == 2:
            only_h2h = [
                {**event, "bookmakers": [_only(book, "h2h") for book in event["bookmakers"]]} for event in board
            ]
            yield odds_answer(NBA, at + timedelta(minutes=7), only_h2h, markets="h2h")
        if number in (3, 5):
            # Of the same second, and of another opinion: a price, a start, and an event that is not there.
            other = deepcopy(board)
            other[0]["commence_time"] = _later(other[0]["commence_time"], minutes=5)
            for book in other[1]["bookmakers"][:2]:
                for outcome in book["markets"][0]["outcomes"]:
                    outcome["price"] += 15 if outcome["price"] > 0 else -15
            yield odds_answer(NBA, at, other[:2] + other[3:])


def _nba_board(league: League, number: int) -> list[Json]:
    """What is listed at a capture, each event with a trouble of its own."""
    now = int(CAPTURES[number].timestamp())
    events = deepcopy(league.odds(NBA, now, Wanted(frozenset(FEATURED), frozenset(), BOOKS)))
    role = _roles(league)
    board = []
    for event in events:
        what = role.get(event["home_team"])
        books = event["bookmakers"]
        if what == "moved" and number in (1, 2):
            event["commence_time"] = _later(event["commence_time"], minutes=20)
        if what == "withdrawn" and number >= 3:
            continue
        if what == "away for one capture" and number == 2:
            continue
        if what == "relisted" and number >= 2:
            board.append({**event, "id": _other_id(event["id"])})
            if number > 2:
                continue
        if what == "a book leaves" and number in (2, 3):
            event["bookmakers"] = books[1:]
        if what == "unreadable" and number == 1 and len(books) > 2:
            books[0]["markets"] = books[0]["markets"][:1]
            books[1]["markets"][0]["outcomes"][0]["price"] = 50
            books[2]["markets"][-1]["outcomes"].pop()
        if what == "unknown team" and number < 2:
            event["home_team"] = "Harlem Globetrotters"
        if what == "swapped" and number >= 2:
            event["home_team"], event["away_team"] = event["away_team"], event["home_team"]
        if (what, number) in {("a book leaves", 2), ("swapped", 4)}:
            event["commence_time"] = "soon"
        if (what, number) in {("unreadable", 6), ("moved", 7)}:
            event["id"] = None
        board.append(event)
    return board


def _nba_events(league: League) -> Iterable[Payload]:
    for number in (0, 2, 3, 6):
        at = CAPTURES[number] - timedelta(seconds=1)
        events = [
            {key: value for key, value in event.items() if key != "bookmakers"} for event in _nba_board(league, number)
        ]
        yield _odds_api("events", at, events, NBA)


def _nba_props(league: League) -> Iterable[Payload]:
    [event_id] = [
        event["id"] for event in _nba_board(league, 0) if _roles(league).get(event["home_team"]) == "a book leaves"
    ]
    wanted = Wanted(frozenset({"player_points"}), frozenset(), BOOKS)
    for number in (1, 2, 3):
        at = CAPTURES[number] + timedelta(seconds=9)
        event = league.event_odds(NBA, event_id, int(at.timestamp()), wanted)
        assert event is not None
        event = deepcopy(event)
        if number == 2:
            event["bookmakers"].pop()
        yield _odds_api("event_odds", at, [event], NBA, event_id=event_id, markets_asked="player_points")


def _nba_games(league: League) -> Iterable[Payload]:
    for number in (0, 2, 3, 5, 6, 7, 8):
        at = CAPTURES[number] + timedelta(seconds=20)
        # Once two answers of one second: the clock of one stands five minutes back.
        for minutes in (0, 5) if number == 6 else (0,):
            now = int((at - timedelta(minutes=minutes)).timestamp())
            rows = [_game(row.build(), number, _roles(league)) for row in league.games(now)]
            yield balldontlie_answer("games", at, rows)


def _game(row: Json, number: int, roles: dict[str, str]) -> Json:
    """A row of the schedule, with the trouble of its game."""
    row = deepcopy(row)
    what = roles.get(_odds_name(row["home_team"]["full_name"]))
    if what == "withdrawn" and number >= 3:
        row["status"], row["postponed"] = "Postponed", number < 7
        row.update(period=0, home_team_score=0, visitor_team_score=0)
        if number >= 7:
            row["date"] = "2026-11-13"
            row["datetime"] = row["status"] = "2026-11-14T00:30:00.000Z"
    if what == "moved" and number == 2:
        row["datetime"] = row["status"] = _later(row["datetime"], minutes=30)
    if what == "swapped" and number == 0:
        row["home_team"], row["visitor_team"] = row["visitor_team"], row["home_team"]
    if what == "unknown team" and number == 0:
        row["home_team"] = {**row["home_team"], "id": 37}
    if what == "relisted" and number == 8:
        row["home_team_score"] += 1
    if what == "a book leaves" and number == 7:
        row.update(status="Final", home_team_score=0, visitor_team_score=0)
    if what == "away for one capture" and number in (3, 5):
        row["status"] = "Canceled"
    return row


def _nba_scores(league: League) -> Iterable[Payload]:
    for number in (5, 7, 8):
        at = CAPTURES[number] + timedelta(seconds=30)
        rows = deepcopy(league.scores(NBA, int(at.timestamp()), 3))
        for row in list(rows):
            what = _roles(league).get(row["home_team"])
            if what == "relisted":
                rows.append({**row, "id": _other_id(row["id"])})
            if what == "moved" and number == 7 and row["scores"]:
                row["scores"] = [{**row["scores"][0], "score": "2"}, *row["scores"][1:]]
        yield _odds_api("scores", at, rows, NBA)


def _roles(league: League) -> dict[str, str]:
    """By the home team as the odds call it, the trouble of its game; those of the 9th and the later ones have none."""
    homes = [
        _odds_name(row.build()["home_team"]["full_name"])
        for row in league.games(int(CAPTURES[0].timestamp()))
        if row.date != FIRST_DAY.isoformat()
    ]
    return dict(
        zip(
            homes,
            (
                "moved", "withdrawn", "relisted", "a book leaves",
                "away for one capture", "unreadable", "unknown team", "swapped",
            ),
            strict=True,
        )
    )  # fmt: skip


def _wnba_odds() -> Iterable[Payload]:
    """A board of which the games are made: ids that come, go, follow each other and move apart."""
    league = League(WNBA_LEAGUE)
    for number, at in enumerate(CAPTURES):
        board = [event for listed in _wnba_listed(league, number) for event in _wnba_events(*listed, number)]
        yield odds_answer(WNBA, at + timedelta(seconds=20), board)


def _wnba_listed(league: League, number: int) -> Iterable[tuple[int, Json]]:
    """What the league lists at a capture, under the names of another league; of each event a number that stays."""
    listed = [event["id"] for event in league.events(NBA, int(CAPTURES[0].timestamp()))]
    numbers = {event_id: place for place, event_id in enumerate(sorted(listed))}
    renamed = {team.odds_name: WNBA_TEAMS[place % len(WNBA_TEAMS)] for place, team in enumerate(TEAMS)}
    now = int(CAPTURES[number].timestamp())
    for event in league.odds(NBA, now, Wanted(frozenset(FEATURED), frozenset(), BOOKS)):
        text = json.dumps({**event, "sport_key": WNBA, "sport_title": "WNBA"})
        for name, new_name in renamed.items():
            text = text.replace(name, new_name)
        renamed_event = json.loads(text)
        if renamed_event["home_team"] != renamed_event["away_team"]:
            yield numbers.get(event["id"], len(numbers)), renamed_event


def _wnba_events(place: int, event: Json, number: int) -> list[Json]:
    """What the feed makes of an event at a capture."""
    start = event["commence_time"]
    second = {**event, "id": _other_id(event["id"])}
    third = {**event, "id": _other_id(second["id"])}
    match place:
        case 0:
            # Moved within the tolerance, and back.
            return [{**event, "commence_time": _later(start, hours=2 if number in (2, 3) else 0)}]
        case 1:
            # A second id takes over; for one capture both are there.
            return [event] if number < 2 else [event, second] if number == 2 else [second]
        case 2:
            # Withdrawn, and the same teams again two days later.
            return [event] if number < 4 else [{**second, "commence_time": _later(start, hours=48)}]
        case 3:
            # Three ids, each near the next, the first far from the last, and the last of them listed first.
            board = [{**third, "commence_time": _later(start, hours=8)}]
            board += [{**second, "commence_time": _later(start, hours=4)}] if number in (1, 2, 5) else []
            return board + ([event] if number >= 2 else [])
        case 4:
            # One game with two ids, until one of them is moved to another day and comes back.
            away = 30 if 3 <= number <= 5 else 0
            return [event, {**second, "commence_time": _later(start, hours=away)}] if number else [event]
        case _:
            return [event]


# -- the recorded world

NBA_DAYS = (
    "2023-10-24", "2023-11-03", "2023-11-10", "2023-11-14", "2024-01-17", "2024-02-15", "2024-02-26", "2024-04-02",
    "2024-04-05",
)  # fmt: skip
NBA_GAMES = (
    # Listed under one id on 24 October, under another on the day before the game.
    3277352, 3277397, 3277405, 3277426,
    # Called off on 17 January and played in February; home and visitor swapped in November; two games of the same
    # teams, both moved, in April.
    1038168, 1038420, 1038181, 1038689,
)  # fmt: skip
WNBA_POLLS = (
    "2026-07-16T14", "2026-07-16T15", "2026-07-16T16", "2026-07-17T00", "2026-07-17T01", "2026-07-17T03",
    "2026-07-19T02", "2026-07-19T03",
)  # fmt: skip
"""Hours of which the first poll is taken: a game withdrawn, an evening in play, and the game's new id."""

NOVEMBER_GAMES = "balldontlie/games_2023_captured_2023-11.json.xz"
NOVEMBER = datetime(2023, 11, 5, 12, tzinfo=UTC)
"""When the schedule of November 2023 may have been captured: after its last final, before its first game to come."""

RECORDED_END = datetime(2026, 7, 20, 12, tzinfo=UTC)


def recorded_world(season_odds: Path, games: Path, games_before: Path, polls: Path) -> list[Payload]:
    """A few days of the season 2023-24 and a few polls of the WNBA, in order of time.

    Args:
        season_odds, games, games_before: the recordings of the season; `games_before` is its schedule of November.
        polls: a folder with polls of the WNBA.
    """
    before = json.loads(lzma.decompress(games_before.read_bytes()))
    answers = [
        *_season_answers(season_polls(season_odds), season_games(games), before),
        *(odds_answer(WNBA, poll.captured_at, poll.events, markets=None) for poll in live_polls(polls)),
    ]
    return sorted(answers, key=lambda payload: payload.response.captured_at)


def _season_answers(polls: list[Poll], games: list[Json], before: list[Json]) -> Iterable[Payload]:
    played = [game for game in games if game["id"] in NBA_GAMES]
    teams = {frozenset((_team(game, "home_team"), _team(game, "visitor_team"))) for game in played}
    for poll in polls:
        if poll.captured_at.date().isoformat() in NBA_DAYS:
            events = [event for event in poll.events if frozenset((event["home_team"], event["away_team"])) in teams]
            yield _odds_api("historical_odds", poll.captured_at, events, NBA, markets_asked=",".join(FEATURED))
    yield balldontlie_answer("games", NOVEMBER, [game for game in before if game["id"] in NBA_GAMES])
    for game in played:
        ended = instant(game["datetime"]) + timedelta(hours=3)
        yield balldontlie_answer("games", ended, [game])


def _team(game: Json, side: str) -> str:
    return _odds_name(game[side]["full_name"])


# -- payloads


def odds_answer(sport: str, at: datetime, events: list[Json], *, markets: str | None = ",".join(FEATURED)) -> Payload:
    """The odds of a sport; `markets` is what was asked for, None if nobody knows."""
    return _odds_api("odds", at, events, sport, markets_asked=markets)


def _odds_api(endpoint: str, at: datetime, elements: list[Json], sport: str, **asked: str | None) -> Payload:
    return _payload("odds_api", endpoint, at, elements, sport, **asked)


def balldontlie_answer(endpoint: str, at: datetime, elements: list[Json]) -> Payload:
    """Rows of the schedule."""
    return _payload("balldontlie", endpoint, at, elements)


def _payload(
    source: str,
    endpoint: str,
    at: datetime,
    elements: list[Json],
    sport_key: str | None = None,
    event_id: str | None = None,
    markets_asked: str | None = None,
) -> Payload:
    response_hash = digest(elements)
    name = f"{source}/{endpoint}/{sport_key}/{event_id}/{markets_asked}/{at.isoformat()}/{response_hash}"
    return Payload(
        source,
        Response(
            request_id=str(uuid5(NAMESPACE_URL, name)),
            endpoint=endpoint,
            captured_at=at,
            params={},
            elements=elements,
            response_hash=response_hash,
            sport_key=sport_key,
            event_id=event_id,
            markets_asked=markets_asked,
        ),
    )


def _only(book: Json, market_key: str) -> Json:
    return {**book, "markets": [market for market in book["markets"] if market["key"] == market_key]}


def _later(text: str, **by: float) -> str:
    """A time moved, written as it was."""
    moved = instant(text) + timedelta(**by)
    return moved.strftime("%Y-%m-%dT%H:%M:%S.000Z" if "." in text else "%Y-%m-%dT%H:%M:%SZ")


def _other_id(event_id: str) -> str:
    return hashlib.md5(event_id.encode()).hexdigest()


def _odds_name(full_name: str) -> str:
    return {"LA Clippers": "Los Angeles Clippers"}.get(full_name, full_name)
