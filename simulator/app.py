"""The simulator as one ASGI application: both APIs, their faults, and the switches under /_simulator."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from datetime import timedelta
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.balldontlie_routes import BallDontLie
from simulator.clock import SimulatorClock, parse_instant
from simulator.faults import FaultRule, Faults, Receive, Scope, Send, misbehave
from simulator.odds_routes import OddsApi
from simulator.quota import Quota, RateLimit
from simulator.respond import json_response
from simulator.source import Source

DEFAULT_KEY = "simulated-key"

_ADMIN = "/_simulator"
_LOOPBACK = ("127.0.0.1", "::1")
_KEY_PARAMETERS = ("apiKey", "api_key")
_REQUESTS_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Options:
    """How the APIs treat their caller. `monthly_credits`, `requests_per_second` and `has_historical` are The Odds
    API's, `tier` and `requests_per_minute` BallDontLie's; a rate of None is no limit."""

    key: str = DEFAULT_KEY
    monthly_credits: int = 5_000_000
    requests_per_second: int | None = None
    has_historical: bool = True
    tier: str = "goat"
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came in, without its key. `fault` is the kind of fault that struck it."""

    path: str
    params: tuple[tuple[str, str], ...]
    fault: str | None


class SimulatorApp:
    """The ASGI application. `clock`, `faults`, `requests` and `quota` may be used from any thread."""

    def __init__(self, source: Source, clock: SimulatorClock, options: Options | None = None) -> None:
        options = options or Options()
        self.clock = clock
        self.faults = Faults()
        self.requests: deque[ReceivedRequest] = deque(maxlen=_REQUESTS_KEPT)
        self.quota = Quota(options.monthly_credits)
        odds = OddsApi(
            source,
            clock,
            key=options.key,
            quota=self.quota,
            rate_limit=RateLimit(options.requests_per_second, 1.0),
            has_historical=options.has_historical,
        )
        balldontlie = BallDontLie(
            source,
            clock,
            key=options.key,
            tier=options.tier,
            rate_limit=RateLimit(options.requests_per_minute, 60.0),
        )
        self._routes = Starlette(routes=[*odds.routes(), *balldontlie.routes(), *self._admin_routes()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or misbehave if a fault rule says so."""
        if scope["type"] != "http" or scope["path"].startswith(f"{_ADMIN}/"):
            await self._routes(scope, receive, send)
            return
        scope = {**scope, "path": scope["path"].rstrip("/") or "/"}  # both APIs take a slash at the end
        rule = self.faults.take(scope["path"])
        pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        params = tuple((name, value) for name, value in pairs if name not in _KEY_PARAMETERS)
        self.requests.append(ReceivedRequest(scope["path"], params, rule.kind if rule else None))
        if rule is None:
            await self._routes(scope, receive, send)
        else:
            await misbehave(rule, self._routes, scope, receive, send)

    # -- switches ---------------------------------------------------------------------------------------------

    def _admin_routes(self) -> list[Route]:
        return [
            Route(f"{_ADMIN}/faults", self._admin_faults, methods=["GET", "POST", "DELETE"]),
            Route(f"{_ADMIN}/clock", self._admin_clock, methods=["GET", "POST"]),
            Route(f"{_ADMIN}/requests", self._admin_requests, methods=["GET"]),
        ]

    async def _admin_faults(self, request: Request) -> Response:
        """GET lists the rules, POST puts one in force, DELETE clears them."""
        if refusal := _refusal(request):
            return refusal
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            try:
                self.faults.add(FaultRule.from_json(await request.json()))
            except ValueError as error:
                return json_response({"error": str(error)}, 422)
        return json_response([asdict(rule) for rule in self.faults.rules()])

    async def _admin_clock(self, request: Request) -> Response:
        """GET tells the time; POST sets it: {"now": ISO instant or "real"} or {"advance_seconds": number}."""
        if refusal := _refusal(request):
            return refusal
        if request.method == "POST":
            try:
                self._set_clock(await request.json())
            except ValueError as error:
                return json_response({"error": str(error)}, 422)
        return json_response({"now": self.clock.now().isoformat().replace("+00:00", "Z")})

    def _set_clock(self, order: object) -> None:
        if isinstance(order, dict) and isinstance(order.get("now"), str):
            self.clock.set(None if order["now"] == "real" else parse_instant(order["now"]))
        elif isinstance(order, dict) and isinstance(order.get("advance_seconds"), (int, float)):
            self.clock.set(self.clock.now() + timedelta(seconds=order["advance_seconds"]))
        else:
            raise ValueError(
                'the clock takes {"now": "2024-01-17T12:00:00Z"}, {"now": "real"} or {"advance_seconds": 900}'
            )

    async def _admin_requests(self, request: Request) -> Response:
        """The requests received so far, oldest first."""
        return _refusal(request) or json_response([asdict(received) for received in self.requests])


def _refusal(request: Request) -> Response | None:
    """403 unless the caller sits on this machine and means this machine."""
    is_local = request.client is not None and request.client.host in _LOOPBACK
    if is_local and request.url.hostname in (*_LOOPBACK, "localhost"):
        return None
    return json_response({"error": "the switches of the simulator work from this machine only"}, 403)
