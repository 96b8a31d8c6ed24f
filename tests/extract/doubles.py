"""What stands in for the rest of the world in the tests of extract."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from extract.circuit import Outage
from extract.extraction import Extraction
from extract.landing import Landing
from extract.payloads import Response
from extract.records import ApiRequest, DeadLetter

KEY = "sesame/open+42 times".replace(" ", "-")
NOW = datetime(2024, 1, 17, 12, 0, tzinfo=UTC)
ANSWERS = (302, 400, 401, 403, 404, 422)
"""Errors that an API which is up explains."""
EVENT_ID = "fd55db2fa9ee5be1f108be5151e2ecb0"


@dataclass(slots=True)
class Book:
    """A ledger in memory."""

    requests: list[ApiRequest] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    kept: list[Response] = field(default_factory=list)

    def record_request(self, request: ApiRequest) -> None:
        self.requests.append(request)

    def dead_letter(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def outage(self, source: str) -> Outage | None:
        failed = list(takewhile(lambda one: one.error_code and one.status not in ANSWERS, reversed(self.requests)))
        if not failed:
            return None
        times = [request.requested_at for request in failed]
        return Outage(len(failed), min(times), max(times), str(failed[0].error_message))

    def has_landed(self, request_id: str) -> bool:
        return False

    def keep_response(self, source: str, response: Response) -> bool:
        self.kept.append(response)
        return False


@dataclass(slots=True)
class StoppedClock:
    """A clock that shows what it is told."""

    instant: datetime = NOW

    def now(self) -> datetime:
        return self.instant


@dataclass(frozen=True, slots=True)
class Canned:
    """One answer of the wire; ``promised`` is a Content-Length other than the true one."""

    status: int = 200
    body: bytes = b"[]"
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the wire saw it."""

    path: str
    params: dict[str, str]
    pairs: list[tuple[str, str]]
    authorization: str | None


Answering = Callable[[Asked], Canned]


def said(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Canned:
    """JSON, as an API says it."""
    return Canned(status, json.dumps(value).encode(), headers or {})


def error(code: str, status: int) -> Canned:
    """An error body of The Odds API."""
    return said({"message": f"{code.lower()} \n", "error_code": code, "details_url": "…"}, status)


@dataclass(slots=True)
class Wire:
    """A server on loopback that answers what a test wants, in turn or by a function."""

    base_url: str = ""
    answers: list[Canned] = field(default_factory=list)
    answering: Answering | None = None
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Canned:
        self.asked.append(asked)
        if self.answering is not None:
            return self.answering(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def listening() -> Iterator[Wire]:
    wire = Wire()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            pairs = parse_qsl(parts.query)
            canned = wire.answer(Asked(parts.path, dict(pairs), pairs, self.headers.get("Authorization")))
            self.send_response(canned.status)
            length = len(canned.body) if canned.promised is None else canned.promised
            for name, value in {"Content-Length": str(length), **canned.headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(canned.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    wire.base_url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield wire
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def event(event_id: str = EVENT_ID, **changes: Any) -> dict[str, Any]:
    """An event of The Odds API, without bookmakers."""
    return {
        "id": event_id,
        "sport_key": "basketball_nba",
        "sport_title": "NBA",
        "commence_time": "2024-01-18T00:10:00Z",
        "home_team": "Denver Nuggets",
        "away_team": "Los Angeles Lakers",
    } | changes


def offered(event_id: str = EVENT_ID, price: int = -110, quoted: str = "11:58:00") -> dict[str, Any]:
    """An event with one bookmaker, one market and two outcomes."""
    outcomes = [
        {"name": "Denver Nuggets", "price": price},
        {"name": "Los Angeles Lakers", "price": -110},
    ]
    last_update = f"2024-01-17T{quoted}Z"
    market = {"key": "h2h", "last_update": last_update, "outcomes": outcomes}
    book = {
        "key": "fanduel",
        "title": "FanDuel",
        "last_update": last_update,
        "markets": [market],
    }
    return event(event_id, bookmakers=[book])


def game(game_id: int = 1, **changes: Any) -> dict[str, Any]:
    """A game of BallDontLie, as far as anybody here looks at it."""
    return {
        "id": game_id,
        "date": "2024-01-17",
        "season": 2023,
        "home_team_score": 0,
        "visitor_team_score": 0,
        "home_team": {"id": 8},
        "visitor_team": {"id": 14},
    } | changes


def run_dry(extraction: Extraction) -> list[dict[str, Any]]:
    """Run an extraction without a database: the landing rows, each with its table."""
    rows: list[dict[str, Any]] = []
    for resource in extraction.source.resources.values():
        for item in resource:
            rows += item.to_pylist()
    return rows


def landed_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are elements, with their payload read."""
    return [row | {"payload": json.loads(row["payload"])} for row in rows if "payload" in row]


def total(landings: list[Landing]) -> dict[str, int]:
    """Rows by table over several loads."""
    rows: dict[str, int] = {}
    for landing in landings:
        for table, count in landing.rows.items():
            rows[table] = rows.get(table, 0) + count
    return rows
