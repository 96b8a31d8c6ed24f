"""BallDontLie's paths: authorisation, tiers, filters and cursors around whatever source is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date
from typing import Any, TypeVar

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from simulator.clock import SimulatorClock
from simulator.quota import RateLimit
from simulator.respond import json_response
from simulator.source import Json, Row, Source

TIERS = ("free", "all-star", "goat")

_T = TypeVar("_T")

_PREFIXES = ("/v1", "/nba/v1")
_DEFAULT_PER_PAGE = 25
_MOST_PER_PAGE = 100


class _BadRequest(Exception):
    """A parameter that the API refuses with 400."""


class BallDontLie:
    """The endpoints of BallDontLie's NBA API over a source."""

    def __init__(self, source: Source, clock: SimulatorClock, *, key: str, tier: str, rate_limit: RateLimit) -> None:
        if tier not in TIERS:
            raise ValueError(f"the tier {tier!r} is unknown: use one of {', '.join(TIERS)}")
        self._source = source
        self._clock = clock
        self._key = key
        self._tier = tier
        self._rate_limit = rate_limit

    def routes(self) -> list[Route]:
        """Every path that is answered, under each of the prefixes that the API knows."""
        return [
            route
            for prefix in _PREFIXES
            for route in (
                self._route(f"{prefix}/teams", self._teams),
                self._route(f"{prefix}/teams/{{row_id:int}}", self._team),
                self._route(f"{prefix}/players", self._players),
                self._route(f"{prefix}/players/active", self._players, needs="all-star"),
                self._route(f"{prefix}/players/{{row_id:int}}", self._player),
                self._route(f"{prefix}/games", self._games),
                self._route(f"{prefix}/games/{{row_id:int}}", self._game),
                self._route(f"{prefix}/stats", self._stats, needs="all-star"),
            )
        ]

    def _route(
        self, path: str, answer: Callable[[QueryParams, dict[str, Any]], Json | None], *, needs: str = "free"
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            is_in_tier = TIERS.index(self._tier) >= TIERS.index(needs)
            if request.headers.get("authorization") != self._key or not is_in_tier:
                return PlainTextResponse("Unauthorized", 401)
            headers = {"x-ratelimit-limit": str(self._rate_limit.limit)} if self._rate_limit.limit else {}
            if not self._rate_limit.admit():
                return PlainTextResponse("Too many requests, please try again later.", 429, headers)
            try:
                body = answer(request.query_params, request.path_params)
            except _BadRequest as error:
                return json_response({"error": str(error)}, 400, headers)
            if body is None:
                return json_response({"error": "Not found"}, 404, headers)
            return json_response(body, 200, headers)

        typed: Callable[[Request], Awaitable[Response]] = endpoint
        return Route(path, typed, methods=["GET"])

    # -- endpoints --------------------------------------------------------------------------------------------

    def _teams(self, params: QueryParams, path: dict[str, Any]) -> Json:
        teams = self._source.teams()
        for name in ("division", "conference"):
            if wanted := params.get(name):
                teams = [team for team in teams if team[name] == wanted]
        return {"data": teams}

    def _team(self, params: QueryParams, path: dict[str, Any]) -> Json | None:
        return _one(self._source.teams(), path["row_id"])

    def _players(self, params: QueryParams, path: dict[str, Any]) -> Json:
        team_ids, player_ids = _numbers(params, "team_ids[]"), _numbers(params, "player_ids[]")
        search = params.get("search", "").lower()
        first, last = params.get("first_name", "").lower(), params.get("last_name", "").lower()
        players = [
            player
            for player in self._source.players()
            if (not team_ids or (player.get("team") or {}).get("id") in team_ids)
            and (not player_ids or player["id"] in player_ids)
            and (not search or search in f"{player['first_name']} {player['last_name']}".lower())
            and (not first or player["first_name"].lower() == first)
            and (not last or player["last_name"].lower() == last)
        ]
        return _page(players, [player["id"] for player in players], params, lambda player: player)

    def _player(self, params: QueryParams, path: dict[str, Any]) -> Json | None:
        return _one(self._source.players(), path["row_id"])

    def _games(self, params: QueryParams, path: dict[str, Any]) -> Json:
        rows = _filtered(self._source.games(self._clock.epoch()), params)
        team_ids = _numbers(params, "team_ids[]")
        if team_ids:
            rows = [row for row in rows if team_ids & set(row.team_ids)]
        return _page(rows, [row.row_id for row in rows], params, lambda row: row.build())

    def _game(self, params: QueryParams, path: dict[str, Any]) -> Json | None:
        rows = self._source.games(self._clock.epoch())
        return next(({"data": row.build()} for row in rows if row.row_id == path["row_id"]), None)

    def _stats(self, params: QueryParams, path: dict[str, Any]) -> Json:
        now = self._clock.epoch()
        if params.get("period", "0") != "0":
            return {"data": [], "meta": {"per_page": _per_page(params)}}
        games = _filtered(self._source.games(now), params)
        game_ids, player_ids = _numbers(params, "game_ids[]"), _numbers(params, "player_ids[]")
        if game_ids:
            games = [game for game in games if game.game_id in game_ids]
        rows = self._source.stats(now, games)
        if player_ids:
            rows = [row for row in rows if row.player_id in player_ids]
        return _page(rows, [row.row_id for row in rows], params, lambda row: row.build())


# -- parameters and pages -------------------------------------------------------------------------------------


def _one(rows: Iterable[Json], row_id: int) -> Json | None:
    return next(({"data": row} for row in rows if row["id"] == row_id), None)


def _number(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _BadRequest(f"{name} must be an integer") from None


def _numbers(params: QueryParams, name: str) -> set[int]:
    return {_number(text, name) for text in params.getlist(name)}


def _day(text: str, name: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise _BadRequest(f"{name} must be a date of the form YYYY-MM-DD") from None


def _filtered(rows: Sequence[Row], params: QueryParams) -> list[Row]:
    """`rows` that pass dates[], seasons[], start_date, end_date (both included) and postseason."""
    days = {_day(text, "dates[]") for text in params.getlist("dates[]")}
    seasons = _numbers(params, "seasons[]")
    start = _day(params["start_date"], "start_date") if "start_date" in params else ""
    end = _day(params["end_date"], "end_date") if "end_date" in params else "9999-12-31"
    postseason = params.get("postseason")
    if postseason not in (None, "true", "false"):
        raise _BadRequest("postseason must be true or false")
    return [
        row
        for row in rows
        if (not days or row.date in days)
        and (not seasons or row.season in seasons)
        and start <= row.date <= end
        and (postseason is None or row.postseason == (postseason == "true"))
    ]


def _per_page(params: QueryParams) -> int:
    per_page = _number(params.get("per_page", str(_DEFAULT_PER_PAGE)), "per_page")
    if not 1 <= per_page <= _MOST_PER_PAGE:
        raise _BadRequest(f"per_page must be between 1 and {_MOST_PER_PAGE}")
    return per_page


def _page(rows: Sequence[_T], ids: Sequence[int], params: QueryParams, build: Callable[[_T], Json]) -> Json:
    """One page: the rows after the one whose id is the cursor; the last page has no next_cursor."""
    per_page = _per_page(params)
    start = 0
    if "cursor" in params:
        cursor = _number(params["cursor"], "cursor")
        start = ids.index(cursor) + 1 if cursor in ids else len(rows)
    end = start + per_page
    meta: Json = {"next_cursor": ids[end - 1], "per_page": per_page} if end < len(rows) else {"per_page": per_page}
    return {"data": [build(row) for row in rows[start:end]], "meta": meta}
