"""The Odds API's paths: parameters, errors, costs and formats around whatever source is served."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.clock import SimulatorClock, from_iso, iso
from simulator.errors import OddsApiError
from simulator.pricing import decimal_from_american
from simulator.quota import Quota, RateLimit
from simulator.respond import json_response
from simulator.source import Json, Snapshot, Source, Wanted
from simulator.vocabulary import FEATURED_MARKETS, MARKETS, REGIONS

_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_BOOKMAKER_KEY = re.compile(r"[a-z0-9_]+")
_FLAGS = {
    "includeLinks": "INVALID_INCLUDE_LINKS",
    "includeSids": "INVALID_INCLUDE_SIDS",
    "includeBetLimits": "INVALID_INCLUDE_BET_LIMITS",
    "includeMultipliers": "INVALID_INCLUDE_MULTIPLIERS",
    "includeRotationNumbers": "INVALID_INCLUDE_ROTATION_NUMBERS",
}
_UPCOMING = 8
_HISTORICAL_FACTOR = 10

Result = tuple[Any, int]
"""A body and what it costs."""


@dataclass(frozen=True, slots=True)
class _Format:
    """How the caller wants times and prices written, and which optional keys."""

    is_unix: bool
    is_decimal: bool
    flags: frozenset[str]


class OddsApi:
    """The endpoints of The Odds API v4 over a source."""

    def __init__(
        self,
        source: Source,
        clock: SimulatorClock,
        *,
        key: str,
        quota: Quota,
        rate_limit: RateLimit,
        has_historical: bool,
    ) -> None:
        self._source = source
        self._clock = clock
        self._key = key
        self.quota = quota
        self._rate_limit = rate_limit
        self._has_historical = has_historical

    def routes(self) -> list[Route]:
        """Every path that is answered."""
        sport = "/v4/sports/{sport}"
        past = "/v4/historical/sports/{sport}"
        return [
            self._route("/v4/sports", self._sports, is_free=True),
            self._route(f"{sport}/events", self._events, is_free=True),
            self._route(f"{sport}/odds", self._odds),
            self._route(f"{sport}/scores", self._scores),
            self._route(f"{sport}/events/{{event_id}}/odds", self._event_odds),
            self._route(f"{past}/events", self._historical_events, is_historical=True),
            self._route(f"{past}/odds", self._historical_odds, is_historical=True),
            self._route(f"{past}/events/{{event_id}}/odds", self._historical_event_odds, is_historical=True),
        ]

    def _route(
        self,
        path: str,
        answer: Callable[[QueryParams, dict[str, str], int], Result],
        *,
        is_free: bool = False,
        is_historical: bool = False,
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            now = self._clock.now()
            try:
                self._authorise(request.query_params)
                if not self._rate_limit.admit():
                    raise OddsApiError("EXCEEDED_FREQ_LIMIT")
                if is_historical and not self._has_historical:
                    raise OddsApiError("HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN")
                if not is_free and self.quota.is_exhausted(now):
                    raise OddsApiError("OUT_OF_USAGE_CREDITS")
                body, cost = answer(request.query_params, request.path_params, int(now.timestamp()))
            except OddsApiError as error:
                return json_response(error.body, error.status, self.quota.charge(now, 0))
            return json_response(body, 200, self.quota.charge(now, cost))

        typed: Callable[[Request], Awaitable[Response]] = endpoint
        return Route(path, typed, methods=["GET"])

    def _authorise(self, params: QueryParams) -> None:
        key = params.get("apiKey") or params.get("api_key")
        if not key:
            raise OddsApiError("MISSING_KEY")
        if key != self._key:
            raise OddsApiError("INVALID_KEY")

    # -- endpoints --------------------------------------------------------------------------------------------

    def _sports(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        wants_all = params.get("all", "false")
        if wants_all not in ("true", "false"):
            raise OddsApiError("INVALID_ALL_SPORTS_PARAM", wants_all)
        sports = self._source.sports(now)
        return [sport for sport in sports if sport["active"] or wants_all == "true"], 0

    def _events(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        sport, style = self._sport(path["sport"], now), _format(params)
        keep = _event_filter(params)
        events = [event for event in self._source.events(sport, now) if keep(event)]
        return _formatted(events, style), 0

    def _odds(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        wanted, regions = _wanted(params, FEATURED_MARKETS)
        style, keep = _format(params), _event_filter(params)
        if path["sport"] == "upcoming":
            events = self._upcoming(now, wanted)
        else:
            sport = self._sport(path["sport"], now)
            events = [event for event in self._source.odds(sport, now, wanted) if keep(event)]
        return _formatted(events, style), _markets_in(events, wanted) * regions

    def _upcoming(self, now: int, wanted: Wanted) -> list[Json]:
        """Everything live and the next eight events of all sports."""
        sports = [sport["key"] for sport in self._source.sports(now)]
        events = [event for sport in sports for event in self._source.odds(sport, now, wanted)]
        events.sort(key=lambda event: (event["commence_time"], event["id"]))
        live = [event for event in events if event["commence_time"] < iso(now)]
        return live + events[len(live) : len(live) + _UPCOMING]

    def _scores(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        sport, style = self._sport(path["sport"], now), _format(params)
        text = params.get("daysFrom")
        if text is not None and text not in ("1", "2", "3"):
            raise OddsApiError("INVALID_SCORES_DAYS_FROM", text)
        keep = _event_filter(params)
        rows = [row for row in self._source.scores(sport, now, int(text) if text else None) if keep(row)]
        return _formatted(rows, style), (2 if text else 1) if rows else 0

    def _event_odds(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        sport, event_id = self._sport(path["sport"], now), _event_id(path)
        wanted, regions = _wanted(params, MARKETS)
        style = _format(params)
        event = self._source.event_odds(sport, event_id, now, wanted)
        if event is None:
            raise OddsApiError("EVENT_NOT_FOUND")
        return _formatted([event], style)[0], _markets_in([event], wanted) * regions

    def _historical_events(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        sport, at, style = self._sport(path["sport"], now), _date(params), _format(params)
        keep = _event_filter(params)
        snapshot = self._source.historical_events(sport, at, now)
        events = [event for event in snapshot.data if keep(event)] if snapshot else []
        return _wrapped(snapshot, at, _formatted(events, style)), 1 if events else 0

    def _historical_odds(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        sport, at = self._sport(path["sport"], now), _date(params)
        wanted, regions = _wanted(params, FEATURED_MARKETS)
        style, keep = _format(params), _event_filter(params)
        snapshot = self._source.historical_odds(sport, at, now, wanted)
        events = [event for event in snapshot.data if keep(event)] if snapshot else []
        cost = _HISTORICAL_FACTOR * _markets_in(events, wanted) * regions
        return _wrapped(snapshot, at, _formatted(events, style)), cost

    def _historical_event_odds(self, params: QueryParams, path: dict[str, str], now: int) -> Result:
        sport, event_id, at = self._sport(path["sport"], now), _event_id(path), _date(params)
        wanted, regions = _wanted(params, MARKETS)
        style = _format(params)
        snapshot = self._source.historical_event_odds(sport, event_id, at, now, wanted)
        if snapshot is None or snapshot.data is None:
            raise OddsApiError("EVENT_NOT_FOUND")
        cost = _HISTORICAL_FACTOR * _markets_in([snapshot.data], wanted) * regions
        return _wrapped(snapshot, at, _formatted([snapshot.data], style)[0]), cost

    def _sport(self, key: str, now: int) -> str:
        if key not in {sport["key"] for sport in self._source.sports(now)}:
            raise OddsApiError("UNKNOWN_SPORT")
        return key


# -- parameters -----------------------------------------------------------------------------------------------


def _listed(params: QueryParams, name: str) -> list[str]:
    return [item.strip() for item in params.get(name, "").split(",") if item.strip()]


def _wanted(params: QueryParams, allowed: Iterable[str]) -> tuple[Wanted, int]:
    """What prices are asked for, and for how many regions that is charged."""
    bookmakers, regions = _listed(params, "bookmakers"), _listed(params, "regions")
    if not bookmakers and not regions:
        raise OddsApiError("MISSING_REGION")
    unknown = [region for region in regions if region not in REGIONS]
    if unknown and not bookmakers:
        raise OddsApiError("INVALID_REGION", ",".join(unknown))
    odd = [key for key in bookmakers if _BOOKMAKER_KEY.fullmatch(key) is None]
    if odd:
        raise OddsApiError("INVALID_BOOKMAKERS", ",".join(odd))
    markets = _listed(params, "markets")
    if "markets" in params and not markets:
        raise OddsApiError("MISSING_MARKET")
    invalid = [market for market in markets if market not in allowed]
    if invalid:
        raise OddsApiError("INVALID_MARKET", ",".join(invalid))
    wanted = Wanted(
        markets=frozenset(markets or ["h2h"]),
        regions=frozenset(regions),
        bookmakers=frozenset(bookmakers) if bookmakers else None,
    )
    return wanted, -(-len(set(bookmakers)) // 10) if bookmakers else len(set(regions))


def _format(params: QueryParams) -> _Format:
    dates, odds = params.get("dateFormat", "iso"), params.get("oddsFormat", "decimal")
    if dates not in ("iso", "unix"):
        raise OddsApiError("INVALID_DATE_FORMAT", dates)
    if odds not in ("decimal", "american"):
        raise OddsApiError("INVALID_ODDS_FORMAT", odds)
    for name, code in _FLAGS.items():
        if params.get(name, "false") not in ("true", "false"):
            raise OddsApiError(code, params[name])
    flags = frozenset(name for name in _FLAGS if params.get(name) == "true")
    return _Format(is_unix=dates == "unix", is_decimal=odds == "decimal", flags=flags)


def _instant(params: QueryParams, name: str, code: str) -> int | None:
    text = params.get(name)
    if text is None:
        return None
    if len(text) != len("2026-01-01T00:00:00Z"):
        raise OddsApiError(code, text)
    try:
        return from_iso(text)
    except ValueError:
        raise OddsApiError(code, text) from None


def _date(params: QueryParams) -> int:
    at = _instant(params, "date", "INVALID_HISTORICAL_TIMESTAMP")
    if at is None:
        raise OddsApiError("MISSING_HISTORICAL_TIMESTAMP")
    return at


def _event_id(path: dict[str, str]) -> str:
    if _EVENT_ID.fullmatch(path["event_id"]) is None:
        raise OddsApiError("INVALID_EVENT_ID", path["event_id"])
    return path["event_id"]


def _event_filter(params: QueryParams) -> Callable[[Json], bool]:
    """A test for eventIds, commenceTimeFrom and commenceTimeTo, both ends included."""
    ids = frozenset(_listed(params, "eventIds"))
    odd = sorted(event_id for event_id in ids if _EVENT_ID.fullmatch(event_id) is None)
    if odd:
        raise OddsApiError("INVALID_EVENT_IDS", ",".join(odd))
    since = _instant(params, "commenceTimeFrom", "INVALID_COMMENCE_TIME_FROM")
    until = _instant(params, "commenceTimeTo", "INVALID_COMMENCE_TIME_TO")
    if since is not None and until is not None and since >= until:
        raise OddsApiError("INVALID_COMMENCE_TIME_RANGE", f"{params['commenceTimeFrom']}, {params['commenceTimeTo']}")

    def keep(event: Json) -> bool:
        starts = from_iso(event["commence_time"])
        return (
            (not ids or event["id"] in ids)
            and (since is None or starts >= since)
            and (until is None or starts <= until)
        )

    return keep


# -- answers --------------------------------------------------------------------------------------------------


def _markets_in(events: list[Json], wanted: Wanted) -> int:
    """How many of the wanted markets came back at all; lay markets come free with their back market."""
    returned = {
        market["key"] for event in events for bookmaker in event["bookmakers"] for market in bookmaker["markets"]
    }
    return len(returned & wanted.markets)


def _wrapped(snapshot: Snapshot | None, at: int, data: Any) -> Json:
    """The envelope of a historical answer; before the first snapshot the asked-for instant stands in."""
    return {
        "timestamp": snapshot.timestamp if snapshot else iso(at),
        "previous_timestamp": snapshot.previous if snapshot else None,
        "next_timestamp": snapshot.next if snapshot else None,
        "data": data,
    }


def _formatted(events: list[Json], style: _Format) -> list[Json]:
    """`events` (or scores) in the times and prices asked for; the originals are left alone."""
    if not style.is_unix and not style.is_decimal and not style.flags:
        return events
    return [_formatted_event(event, style) for event in events]


def _formatted_event(event: Json, style: _Format) -> Json:
    event = _with_times(event, style)
    if "includeRotationNumbers" in style.flags:
        event.update(home_rotation_number=None, away_rotation_number=None)
    if "bookmakers" in event:
        event["bookmakers"] = [_formatted_bookmaker(bookmaker, style) for bookmaker in event["bookmakers"]]
    return event


def _formatted_bookmaker(bookmaker: Json, style: _Format) -> Json:
    markets = []
    for market in bookmaker["markets"]:
        outcomes = [_formatted_outcome(outcome, style) for outcome in market["outcomes"]]
        markets.append({**_with_times(market, style), "outcomes": outcomes, **_extras(style)})
    return {**_with_times(bookmaker, style), "markets": markets, **_extras(style)}


def _formatted_outcome(outcome: Json, style: _Format) -> Json:
    outcome = {**outcome, **_extras(style)}
    if style.is_decimal:
        outcome["price"] = decimal_from_american(outcome["price"])
    if "includeBetLimits" in style.flags:
        outcome["bet_limit"] = None
    return outcome


def _extras(style: _Format) -> Json:
    """Links and source ids, which are null here, if they were asked for."""
    names = {"includeLinks": "link", "includeSids": "sid"}
    return {name: None for flag, name in names.items() if flag in style.flags}


def _with_times(value: Json, style: _Format) -> Json:
    """A copy of an object whose own times are unix seconds if asked for."""
    value = dict(value)
    if style.is_unix:
        for name in ("commence_time", "last_update"):
            if isinstance(value.get(name), str):
                value[name] = from_iso(value[name])
    return value
