"""Recorded payloads played back: each answer is the one that was recorded last before the instant asked about."""

from __future__ import annotations

import json
import re
import zlib
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from simulator.archive import recorded_files
from simulator.clock import from_iso, iso, parse_instant
from simulator.pricing import american_from_decimal
from simulator.schedule import HOUR, MINUTE
from simulator.source import Json, Row, Snapshot, Wanted, only_wanted, without_prices
from simulator.vocabulary import sport_payload
from simulator.wire import live_status, live_time

_STAMP = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d):?(\d\d):?(\d\d)Z")
_DAY_IN_NAME = re.compile(r"captured_(\d{4}-\d\d-\d\d)")
_PLAYED = 150 * MINUTE
_QUARTERS = ("q1", "q2", "q3", "q4")
_PARSED_KEPT = 16


@dataclass(frozen=True, slots=True)
class _Recording:
    """One recorded answer of The Odds API; its data, compressed, until they are asked for."""

    at: int
    previous: str | None
    next: str | None
    packed: bytes


class _Reel:
    """Recordings of one kind for one sport, in order of time."""

    def __init__(self) -> None:
        self._by_time: dict[int, _Recording] = {}
        self._times: list[int] = []
        self._parsed: OrderedDict[int, Any] = OrderedDict()

    def add(self, recording: _Recording) -> None:
        self._by_time[recording.at] = recording
        self._times = []

    def times(self) -> list[int]:
        """Instants of the recordings, ascending."""
        if not self._times:
            self._times = sorted(self._by_time)
        return self._times

    def latest(self, at: int) -> _Recording | None:
        """The last recording that is not after `at`."""
        index = bisect_right(self.times(), at)
        return self._by_time[self._times[index - 1]] if index else None

    def data(self, recording: _Recording) -> Any:
        """What was recorded, parsed; the last few are kept."""
        if recording.at not in self._parsed:
            self._parsed[recording.at] = json.loads(zlib.decompress(recording.packed))
            if len(self._parsed) > _PARSED_KEPT:
                self._parsed.popitem(last=False)
        return self._parsed[recording.at]

    def snapshot(self, at: int) -> Snapshot | None:
        """The last recording not after `at`, with its own neighbours if it had any, else those on this reel."""
        recording = self.latest(at)
        if recording is None:
            return None
        times = self.times()
        index = times.index(recording.at) if recording.previous is None or recording.next is None else 0
        previous = recording.previous or (iso(times[index - 1]) if index else None)
        following = recording.next or (iso(times[index + 1]) if index + 1 < len(times) else None)
        return Snapshot(iso(recording.at), previous, following, self.data(recording))


@dataclass(frozen=True, slots=True)
class _CapturedGames:
    """BallDontLie games of one file, and when that file was captured."""

    captured_at: int
    rows: dict[int, Json]


class Recorded:
    """Recorded payloads as a `Source`.

    Files are recognised by what they hold: historical wrappers, lists of events with or without bookmakers, single
    events with odds, scores, sports, and BallDontLie games, stats, teams and players (bare or in ``data``). An odds
    poll without a wrapper takes its instant from its file name, such as ``2026-07-14T164527Z.json``, or else from its
    youngest price. An empty list does not say of which sport it is and is passed over.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._odds: dict[str, _Reel] = defaultdict(_Reel)
        self._events: dict[str, _Reel] = defaultdict(_Reel)
        self._event_odds: dict[tuple[str, str], _Reel] = defaultdict(_Reel)
        self._scores: dict[str, _Reel] = defaultdict(_Reel)
        self._sports: dict[str, Json] = {}
        self._games: list[_CapturedGames] = []
        self._stats: list[Json] = []
        self._teams: dict[int, Json] = {}
        self._players: dict[int, Json] = {}
        for path in paths:
            for name, content in recorded_files(path):
                self._add(name, content)
        if not (self._odds or self._events or self._event_odds or self._games or self._stats or self._scores):
            raise ValueError("none of the given paths holds a recorded payload of either API: check the paths")
        self._games.sort(key=lambda captured: captured.captured_at)
        self._teams.update(_teams_of(self._games))
        self._game_order = self._ordered_games()

    def last_instant(self) -> datetime:
        """An instant after everything that was recorded."""
        reels = [*self._odds.values(), *self._events.values(), *self._event_odds.values(), *self._scores.values()]
        instants = [reel.times()[-1] for reel in reels]
        instants += [captured.captured_at for captured in self._games]
        instants += [_starts_at(row) + _PLAYED for captured in self._games for row in captured.rows.values()]
        latest = max(instants, default=0)
        return datetime.fromtimestamp(latest, UTC) + timedelta(seconds=HOUR)

    # -- The Odds API -----------------------------------------------------------------------------------------

    def sports(self, now: int) -> list[Json]:
        """See `Source.sports`."""
        return [self._sports[key] for key in sorted(self._sports)]

    def events(self, sport: str, now: int) -> list[Json]:
        """See `Source.events`: from the latest poll of events or odds, whichever is newer."""
        snapshot = self._latest_events(sport, now)
        return [without_prices(event) for event in snapshot.data] if snapshot else []

    def odds(self, sport: str, now: int, wanted: Wanted) -> list[Json]:
        """See `Source.odds`."""
        snapshot = self._reel(self._odds, sport).snapshot(now)
        return [only_wanted(event, wanted) for event in snapshot.data] if snapshot else []

    def event_odds(self, sport: str, event_id: str, now: int, wanted: Wanted) -> Json | None:
        """See `Source.event_odds`."""
        snapshot = self._latest_event(sport, event_id, now)
        return only_wanted(snapshot.data, wanted) if snapshot and snapshot.data else None

    def scores(self, sport: str, now: int, days_from: int | None) -> list[Json]:
        """See `Source.scores`; empty where no scores were recorded."""
        snapshot = self._reel(self._scores, sport).snapshot(now)
        if snapshot is None:
            return []
        since = now - (days_from or 0) * 24 * HOUR
        return [
            row
            for row in snapshot.data
            if not row["completed"] or (days_from and from_iso(row["commence_time"]) >= since)
        ]

    def historical_events(self, sport: str, at: int, now: int) -> Snapshot | None:
        """See `Source.historical_events`."""
        reel = self._reel(self._events, sport)
        if not reel.times():
            reel = self._reel(self._odds, sport)
        snapshot = reel.snapshot(min(at, now)) or _before_the_first(reel, at)
        if snapshot is None:
            return None
        events = [without_prices(event) for event in snapshot.data]
        return Snapshot(snapshot.timestamp, snapshot.previous, snapshot.next, events)

    def historical_odds(self, sport: str, at: int, now: int, wanted: Wanted) -> Snapshot | None:
        """See `Source.historical_odds`."""
        reel = self._reel(self._odds, sport)
        snapshot = reel.snapshot(min(at, now)) or _before_the_first(reel, at)
        if snapshot is None:
            return None
        events = [only_wanted(event, wanted) for event in snapshot.data]
        return Snapshot(snapshot.timestamp, snapshot.previous, snapshot.next, events)

    def historical_event_odds(self, sport: str, event_id: str, at: int, now: int, wanted: Wanted) -> Snapshot | None:
        """See `Source.historical_event_odds`."""
        snapshot = self._latest_event(sport, event_id, min(at, now))
        if snapshot is None or snapshot.data is None:
            return snapshot
        return Snapshot(snapshot.timestamp, snapshot.previous, snapshot.next, only_wanted(snapshot.data, wanted))

    def _reel(self, reels: dict[str, _Reel], sport: str) -> _Reel:
        return reels.get(sport) or _Reel()

    def _latest_events(self, sport: str, at: int) -> Snapshot | None:
        snapshots = [self._reel(reels, sport).snapshot(at) for reels in (self._events, self._odds)]
        return max((found for found in snapshots if found), key=lambda found: found.timestamp, default=None)

    def _latest_event(self, sport: str, event_id: str, at: int) -> Snapshot | None:
        """The event from its own recordings, else from the latest odds of its sport."""
        own = self._event_odds.get((sport, event_id))
        snapshot = own.snapshot(at) if own else None
        if snapshot is not None:
            return snapshot
        snapshot = self._reel(self._odds, sport).snapshot(at)
        if snapshot is None:
            return None
        event = next((event for event in snapshot.data if event["id"] == event_id), None)
        return Snapshot(snapshot.timestamp, snapshot.previous, snapshot.next, event)

    # -- BallDontLie ------------------------------------------------------------------------------------------

    def teams(self) -> list[Json]:
        """See `Source.teams`: those recorded, or those that occur in recorded games."""
        return [self._teams[key] for key in sorted(self._teams)]

    def players(self) -> list[Json]:
        """See `Source.players`: those recorded, or those that occur in recorded box scores."""
        return [self._players[key] for key in sorted(self._players)]

    def games(self, now: int) -> list[Row]:
        """See `Source.games`: what was recorded, as it stood at `now`. A game recorded as final that `now` has
        not reached is scheduled, one begun less than two and a half hours before is live."""
        rows = []
        for game_id in self._game_order:
            row = self._game_at(game_id, now)
            rows.append(
                Row(
                    row_id=game_id,
                    game_id=game_id,
                    date=str(row["date"])[:10],
                    season=row["season"],
                    postseason=bool(row["postseason"]),
                    team_ids=(row["home_team"]["id"], row["visitor_team"]["id"]),
                    player_id=None,
                    build=partial(_as_of, row, now),
                )
            )
        return sorted(rows, key=lambda row: (row.date, row.game_id))

    def stats(self, now: int, games: Sequence[Row]) -> list[Row]:
        """See `Source.stats`. Box scores of games that are not among the recorded ones are there from the start
        if no game filter leaves them out."""
        by_game = {row.game_id: row for row in games}
        rows = []
        for line in self._stats:
            game = line["game"]
            known = by_game.get(game["id"])
            if known is None and game["id"] in self._game_order:
                continue
            starts = _starts_at(self._game_at(game["id"], now)) if known else _starts_at(game)
            if now < starts + _PLAYED:
                continue
            rows.append(
                Row(
                    row_id=line["id"],
                    game_id=game["id"],
                    date=str(game["date"])[:10],
                    season=game["season"],
                    postseason=bool(game["postseason"]),
                    team_ids=(game["home_team_id"], game["visitor_team_id"]),
                    player_id=line["player"]["id"],
                    build=partial(dict, line),
                )
            )
        return sorted(rows, key=lambda row: row.row_id)

    def _ordered_games(self) -> dict[int, None]:
        return dict.fromkeys(game_id for captured in self._games for game_id in captured.rows)

    def _game_at(self, game_id: int, now: int) -> Json:
        """The row that tells most about a game at `now`: from the last capture before it, unless a later capture
        knows how a game ended that was over by then."""
        captures = [captured for captured in self._games if game_id in captured.rows]
        known = [captured for captured in captures if captured.captured_at <= now] or captures[:1]
        row = known[-1].rows[game_id]
        if row["status"] != "Final":
            for captured in captures:
                later = captured.rows[game_id]
                if later["status"] == "Final" and _starts_at(later) <= now:
                    return later
        return row

    # -- reading ----------------------------------------------------------------------------------------------

    def _add(self, name: str, content: bytes) -> None:
        """Sort one file's payload onto its reel; a file of another kind is passed over."""
        try:
            payload = json.loads(content)
        except ValueError:
            raise ValueError(f"{name} is not valid JSON: remove it from the recordings or record it again") from None
        if isinstance(payload, dict) and "timestamp" in payload and "data" in payload:
            self._add_wrapped(payload)
            return
        rows = payload.get("data", payload) if isinstance(payload, dict) else payload
        if isinstance(rows, dict) and "bookmakers" in rows:
            self._add_event(rows, _poll_instant(name, [rows]), None, None)
            return
        if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
            return
        first = rows[0]
        if "has_outrights" in first:
            self._sports.update((row["key"], row) for row in rows)
        elif "completed" in first and "scores" in first:
            self._add_poll(self._scores, rows, _stamp_of(name) if _has_stamp(name) else _latest_score(rows))
        elif "bookmakers" in first:
            self._add_poll(self._odds, rows, _poll_instant(name, rows))
        elif "commence_time" in first:
            self._add_poll(self._events, rows, _stamp_of(name))
        elif "visitor_team" in first:
            self._games.append(_CapturedGames(_captured_at(name, rows), {row["id"]: row for row in rows}))
        elif "min" in first and "player" in first and "visitor_team_id" in first.get("game", {}):
            self._stats.extend(rows)
            for row in rows:
                self._players[row["player"]["id"]] = {**row["player"], "team": row["team"]}
        elif "full_name" in first and "abbreviation" in first:
            self._teams.update((row["id"], row) for row in rows)
        elif "last_name" in first and "id" in first:
            self._players.update((row["id"], row) for row in rows)

    def _add_wrapped(self, payload: Json) -> None:
        at = from_iso(payload["timestamp"])
        previous, following, data = payload.get("previous_timestamp"), payload.get("next_timestamp"), payload["data"]
        if isinstance(data, dict):
            self._add_event(data, at, previous, following)
        elif isinstance(data, list) and data:
            reels = self._odds if "bookmakers" in data[0] else self._events
            self._record(reels[self._note_sport(data[0])], at, data, previous, following)

    def _add_poll(self, reels: dict[str, _Reel], rows: list[Json], at: int) -> None:
        self._record(reels[self._note_sport(rows[0])], at, rows, None, None)

    def _add_event(self, event: Json, at: int, previous: str | None, following: str | None) -> None:
        self._record(self._event_odds[self._note_sport(event), event["id"]], at, event, previous, following)

    def _record(self, reel: _Reel, at: int, data: Any, previous: str | None, following: str | None) -> None:
        data = _american(data)
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        reel.add(_Recording(at, previous, following, zlib.compress(text.encode(), 1)))

    def _note_sport(self, event: Json) -> str:
        key: str = event["sport_key"]
        group = key.split("_")[0].capitalize()
        self._sports.setdefault(key, sport_payload(key, group, event["sport_title"], group, active=True))
        return key


def _before_the_first(reel: _Reel, at: int) -> Snapshot | None:
    """An empty answer that points to the first recording, for an instant before it."""
    times = reel.times()
    return Snapshot(iso(at), None, iso(times[0]), []) if times else None


def _american(data: Any) -> Any:
    """`data` with American prices; a feed recorded with decimal ones has some price between −100 and 100."""
    events = data if isinstance(data, list) else [data]
    outcomes = [
        outcome
        for event in events
        for bookmaker in event.get("bookmakers", ())
        for market in bookmaker["markets"]
        for outcome in market["outcomes"]
    ]
    if any(abs(outcome["price"]) < 100 for outcome in outcomes):
        for outcome in outcomes:
            outcome["price"] = american_from_decimal(outcome["price"])
    return data


def _has_stamp(name: str) -> bool:
    return _STAMP.search(name) is not None


def _stamp_of(name: str) -> int:
    """The instant in a file's name."""
    match = _STAMP.search(name)
    if match is None:
        raise ValueError(
            f"{name} holds no instant of its own: name it after when it was captured, e.g. 2026-07-14T164527Z.json"
        )
    year, month, day, hour, minute, second = map(int, match.groups())
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())


def _poll_instant(name: str, events: list[Json]) -> int:
    """When a poll without a wrapper was made: as its name says, else when the youngest of its prices was seen."""
    updates = [
        from_iso(priced["last_update"])
        for event in events
        for bookmaker in event["bookmakers"]
        for priced in (bookmaker, *bookmaker["markets"])
        if priced.get("last_update")
    ]
    return _stamp_of(name) if _has_stamp(name) or not updates else max(updates)


def _latest_score(rows: list[Json]) -> int:
    """When a list of scores without a stamp was recorded at the earliest."""
    updates = [from_iso(row["last_update"]) for row in rows if row.get("last_update")]
    return max(updates) if updates else min(from_iso(row["commence_time"]) for row in rows) - HOUR


def _captured_at(name: str, rows: list[Json]) -> int:
    """When a file of games was captured: as its name says, else at noon UTC after the last day with a result."""
    if _has_stamp(name):
        return _stamp_of(name)
    if match := _DAY_IN_NAME.search(name):
        return int(parse_instant(match[1]).timestamp())
    days = [str(row["date"])[:10] for row in rows if row["status"] == "Final"] or [
        str(row["date"])[:10] for row in rows
    ]
    noon_after = datetime.fromisoformat(max(days)).replace(tzinfo=UTC) + timedelta(days=1, hours=12)
    return int(noon_after.timestamp())


def _starts_at(row: Json) -> int:
    """A game's start: its datetime, else the instant in its status, else 00:00 UTC after its Eastern day."""
    for text in (row.get("datetime"), row["status"]):
        try:
            return from_iso(text or "")
        except ValueError:
            continue
    day = date.fromisoformat(str(row["date"])[:10]) + timedelta(days=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _as_of(row: Json, now: int) -> Json:
    """A recorded row as it stood at `now`: scheduled before its start, live for two and a half hours, then as
    recorded. A row that was not final when recorded stays as it is."""
    starts = _starts_at(row)
    if row["status"] != "Final" or now >= starts + _PLAYED:
        return row
    blank = {
        key: None for key in row if key.startswith(("home_", "visitor_")) and key not in ("home_team", "visitor_team")
    }
    scheduled = {**row, **blank, "status": iso(starts), "period": 0, "time": None}
    scheduled.update(home_team_score=0, visitor_team_score=0)
    return scheduled if now < starts else _live(row, scheduled, (now - starts) / _PLAYED)


def _live(row: Json, scheduled: Json, fraction: float) -> Json:
    """A recorded game part of the way through; each quarter takes a fifth of the time, half-time the rest."""
    phase = min(int(fraction * 5), 4)
    is_halftime, period = phase == 2, (1, 2, 2, 3, 4)[phase]
    within = 1.0 if is_halftime else fraction * 5 - phase
    live = {**scheduled, "status": live_status(period, is_halftime=is_halftime), "period": period}
    live["time"] = live_time(period, round(720 * (1.0 - within)))
    for side in ("home", "visitor"):
        points: list[int] = [row[name] for quarter in _QUARTERS[:period] if row.get(name := f"{side}_{quarter}")]
        if len(points) < period:
            live[f"{side}_team_score"] = int(row[f"{side}_team_score"] * fraction)
            continue
        points[-1] = int(points[-1] * within)
        live.update({f"{side}_{quarter}": scored for quarter, scored in zip(_QUARTERS, points, strict=False)})
        live[f"{side}_team_score"] = sum(points)
    return live


def _teams_of(games: list[_CapturedGames]) -> dict[int, Json]:
    """Teams that occur in recorded games, by id."""
    return {
        row[side]["id"]: row[side]
        for captured in games
        for row in captured.rows.values()
        for side in ("home_team", "visitor_team")
    }
