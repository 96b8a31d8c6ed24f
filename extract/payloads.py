"""From the elements of a response to rows of the landing tables.

An element lands unchanged, as JSON text, beside the source's own ids, the instant
of its response and a hash of the content that matters. What has no id, is not an
object, holds what ``jsonb`` cannot keep, is larger than any element is, or cannot be
read by the views (see ``contracts``) becomes a dead letter, and the rest of the
response lands. Of odds and events the response says which events that were: the source
did list them, so that nobody may conclude that they had gone.

Assumptions about JSON: numbers fit an IEEE double or a 64-bit integer, as in every
recorded payload; a key occurs once in an object (``jsonb`` would keep the last).
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from extract.contracts import CHECKS, Breach
from extract.records import DeadLetter, DeadLetters

LARGEST_ELEMENT = 4 * 2**20
"""Characters of JSON; the largest element recorded, an event with the props of ten bookmakers, has 42,664 bytes."""

LONGEST_ID = 200

FROM_API = "api"
_JSON_NUL = b"\\u0000"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LARGEST_BIGINT = 2**63 - 1

# Unescaped, this is always a key. Its value is a time, a unix integer or null; anything
# else is left for the slow way.
_LAST_UPDATE = b'"last_update":'
_SCALAR = re.compile(rb'(?:"[^"\\]*"|-?\d+|null)(?=[,}])')


@dataclass(frozen=True, slots=True)
class Response:
    """One response that arrived whole, live or from a file.

    Attributes:
        request_id: ties its rows to ``ops.api_requests``.
        endpoint: such as ``odds`` or ``historical_odds``.
        captured_at: when it was asked, or the time of the historical snapshot (UTC).
        params: as sent, without the key; of a historical response also ``date``,
            ``previous_timestamp`` and ``next_timestamp``.
        elements: the rows of the response.
        response_hash: ``digest`` of the whole body.
        origin: ``api`` or the file's name.
        sport_key, event_id: what was asked about, if known.
        markets_asked, regions_asked, bookmakers_asked: as sent, sorted, joined by
            commas; None if none were sent or it is not known.
    """

    request_id: str
    endpoint: str
    captured_at: datetime
    params: dict[str, Any]
    elements: list[Any]
    response_hash: str
    origin: str = FROM_API
    sport_key: str | None = None
    event_id: str | None = None
    markets_asked: str | None = None
    regions_asked: str | None = None
    bookmakers_asked: str | None = None


def pack(response: Response) -> bytes:
    """A response as ASCII, from which ``unpack`` makes the same again, broken text and infinite numbers included."""
    values = {one.name: getattr(response, one.name) for one in fields(Response)}
    return json.dumps(values | {"captured_at": response.captured_at.isoformat()}, separators=(",", ":")).encode()


def unpack(packed: bytes) -> Response:
    """The response that was packed."""
    values = json.loads(packed)
    return Response(**values | {"captured_at": datetime.fromisoformat(values["captured_at"])})


class _Unlandable(Exception):
    """An element that cannot be landed, with a short reason."""


class _Stretches:
    """How many stretches leave the collector out at this moment, in all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_enabled = False

    def begin(self) -> None:
        with self._lock:
            if self._count == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0 and self._was_enabled:
                gc.enable()


_stretches = _Stretches()


@contextlib.contextmanager
def garbage_kept() -> Iterator[None]:
    """Leave the cyclic garbage collector out of a stretch that makes objects by the million.

    Parsed JSON has no cycles, and the collector would go through all of it, and all else that the process
    holds, whenever it has grown by a quarter: that took two fifths of landing recorded files. What a stretch
    makes must be bounded. Of stretches in several threads the last to end lets the collector in again.
    """
    _stretches.begin()
    try:
        yield
    finally:
        _stretches.end()


def parse_json(body: bytes) -> Any:
    """Read JSON as it is, even where its text is not clean UTF-8.

    Bytes that are not UTF-8 become lone surrogates, and NaN, which some servers send,
    a number that is none, so that one broken element does not cost the whole
    response; ``landing_tables`` finds the element that has them.

    Raises:
        ValueError: it is not JSON (cut off, HTML), or nested beyond what can be read.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8", "surrogateescape"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no blanks: the same bytes for the same content."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _written(value, is_sorted=True).encode("ascii")


def _written(value: Any, *, is_sorted: bool = False, is_ascii: bool = True) -> str:
    """JSON of a value that orjson refuses: nested deeper than 254 levels, or with text that is not clean.

    The encoder of the standard library calls itself once a level and ends in a RecursionError;
    this one does not.
    """
    pieces: list[str] = []
    pending: list[tuple[str, Any]] = [("value", value)]
    while pending:
        kind, one = pending.pop()
        if kind == "text":
            pieces.append(one)
        elif isinstance(one, dict):
            pending.append(("text", "}"))
            keys = sorted(one, reverse=True) if is_sorted else list(reversed(one))
            for number, key in enumerate(keys, start=1):
                comma = "," if number < len(keys) else ""
                pending += [("value", one[key]), ("text", f"{comma}{json.dumps(key, ensure_ascii=is_ascii)}:")]
            pieces.append("{")
        elif isinstance(one, list):
            pending.append(("text", "]"))
            for place in range(len(one) - 1, -1, -1):
                pending += [("value", one[place]), ("text", "," if place else "")]
            pieces.append("[")
        else:
            pieces.append(json.dumps(one, ensure_ascii=is_ascii))
    return "".join(pieces)


def digest(value: Any) -> str:
    """md5 of the canonical JSON: the hash of a whole response."""
    return hashlib.md5(canonical_json(value), usedforsecurity=False).hexdigest()


def content_digest(value: Any, text: bytes | None = None) -> str:
    """md5 of the canonical JSON without any ``last_update`` key.

    92.8 % of consecutive live payloads differ in nothing else. The keys are cut out
    of the text, which is three times as fast as rebuilding the value without them.

    Args:
        text: the canonical JSON of the value, where that is written already.
    """
    if text is None:
        text = canonical_json(value)
    if _LAST_UPDATE in text:
        cut = _cut_last_updates(text)
        if cut is None:
            # Of what is nested too deeply the text will do: it is a dead letter anyway.
            with contextlib.suppress(RecursionError):
                text = canonical_json(_without_last_update(value))
        else:
            text = cut
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _cut_last_updates(text: bytes) -> bytes | None:
    """Canonical JSON without its ``last_update`` keys; None where one of them has no scalar value."""
    first, *others = text.split(_LAST_UPDATE)
    pieces = [first]
    for piece in others:
        scalar = _SCALAR.match(piece)
        if scalar is None:
            return None
        end = scalar.end()
        if pieces[-1].endswith(b","):
            pieces[-1] = pieces[-1][:-1]
        elif pieces[-1].endswith(b"{"):
            end += piece.startswith(b",", end)
        else:
            return None
        pieces.append(piece[end:])
    return b"".join(pieces)


def _without_last_update(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_last_update(item) for key, item in value.items() if key != "last_update"}
    if isinstance(value, list):
        return [_without_last_update(item) for item in value]
    return value


def _text(element: dict[str, Any], key: str, reason: str) -> str:
    value = element.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _Unlandable(reason, f"{key} is {value!r:.80}, expected text")
    if len(value) > LONGEST_ID:
        raise _Unlandable(reason, f"{key} has {len(value):,} characters, more than {LONGEST_ID}")
    return value


def _integer(element: dict[str, Any], key: str, reason: str) -> int:
    value = element.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST_BIGINT:
        raise _Unlandable(reason, f"{key} is {value!r:.80}, expected a 64-bit integer")
    return value


def _sport_ids(element: dict[str, Any]) -> tuple[Any, ...]:
    return (_text(element, "key", "missing_id"),)


def _event_ids(element: dict[str, Any]) -> tuple[Any, ...]:
    return (
        _text(element, "id", "missing_id"),
        _text(element, "sport_key", "missing_sport_key"),
    )


def _row_ids(element: dict[str, Any]) -> tuple[Any, ...]:
    return (_integer(element, "id", "missing_id"),)


def _stat_ids(element: dict[str, Any]) -> tuple[Any, ...]:
    game = element.get("game")
    if not isinstance(game, dict):
        raise _Unlandable("missing_game_id", f"game is {game!r:.80}, expected an object")
    return (
        _integer(element, "id", "missing_id"),
        _integer(game, "id", "missing_game_id"),
    )


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns])


_INSTANT = pa.timestamp("us", "UTC")
_PAYLOAD_COLUMNS = (
    ("captured_at", _INSTANT),
    ("request_id", pa.string()),
    ("payload", pa.string()),
    ("payload_hash", pa.string()),
)


@dataclass(frozen=True, slots=True)
class _Table:
    """A landing table: its columns, and how an element says its ids."""

    name: str
    schema: pa.Schema
    ids: Callable[[dict[str, Any]], tuple[Any, ...]]

    @property
    def is_of_events(self) -> bool:
        """Whether its elements are events."""
        return "event_id" in self.schema.names


def _table(
    name: str,
    ids: Callable[[dict[str, Any]], tuple[Any, ...]],
    *columns: tuple[str, pa.DataType],
) -> _Table:
    return _Table(name, _schema(*columns, *_PAYLOAD_COLUMNS), ids)


_EVENT_COLUMNS = (("event_id", pa.string()), ("sport_key", pa.string()))
_EVENTS = _table("events", _event_ids, *_EVENT_COLUMNS)
_ODDS = _table("odds", _event_ids, *_EVENT_COLUMNS)

_TABLE_OF_ENDPOINT = {
    "odds_api": {
        "sports": _table("sports", _sport_ids, ("sport_key", pa.string())),
        "events": _EVENTS,
        "odds": _ODDS,
        "scores": _table("scores", _event_ids, *_EVENT_COLUMNS),
        "event_odds": _ODDS,
        "historical_events": _EVENTS,
        "historical_odds": _ODDS,
        "historical_event_odds": _ODDS,
    },
    "balldontlie": {
        "teams": _table("teams", _row_ids, ("team_id", pa.int64())),
        "players": _table("players", _row_ids, ("player_id", pa.int64())),
        "games": _table("games", _row_ids, ("game_id", pa.int64())),
        "stats": _table("stats", _stat_ids, ("stat_id", pa.int64()), ("game_id", pa.int64())),
    },
}

_RESPONSES = {
    "odds_api": _schema(
        ("request_id", pa.string()),
        ("endpoint", pa.string()),
        ("captured_at", _INSTANT),
        ("sport_key", pa.string()),
        ("event_id", pa.string()),
        ("markets_asked", pa.string()),
        ("regions_asked", pa.string()),
        ("bookmakers_asked", pa.string()),
        ("params", pa.string()),
        ("origin", pa.string()),
        ("element_count", pa.int64()),
        ("refused_event_ids", pa.string()),
        ("response_hash", pa.string()),
    ),
    "balldontlie": _schema(
        ("request_id", pa.string()),
        ("endpoint", pa.string()),
        ("captured_at", _INSTANT),
        ("params", pa.string()),
        ("origin", pa.string()),
        ("element_count", pa.int64()),
        ("response_hash", pa.string()),
    ),
}


@dataclass(slots=True)
class _Rows:
    """Rows of one landing table, gathered before they become columns."""

    schema: pa.Schema
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def arrow(self) -> pa.Table:
        columns = zip(*self.rows, strict=True)
        return pa.Table.from_arrays(
            [pa.array(values, type=kind) for values, kind in zip(columns, self.schema.types, strict=True)],
            schema=self.schema,
        )


def landing_tables(source: str, responses: Iterable[Response], ledger: DeadLetters) -> Iterator[tuple[str, pa.Table]]:
    """Rows of the landing tables, as (table name, Arrow table), one table each.

    Args:
        source: ``odds_api`` or ``balldontlie``.
        responses: all of them are gathered in memory; hand over a bounded number.
        ledger: receives one dead letter for each element that cannot be landed.
    """
    kept = _Rows(_RESPONSES[source])
    gathered: dict[str, _Rows] = {}
    for response in responses:
        table = _TABLE_OF_ENDPOINT[source][response.endpoint]
        refused: list[Any] = []
        for element in response.elements:
            try:
                row = _element_row(response, element, table)
            except _Unlandable as problem:
                reason, detail = problem.args
                ledger.dead_letter(_dead_element(source, response, element, reason, detail))
                refused.append(element)
            else:
                gathered.setdefault(table.name, _Rows(table.schema)).rows.append(row)
        refused_ids = [_event_id(element) for element in refused] if table.is_of_events else []
        kept.rows.append(_response_row(response, refused_ids, kept.schema))
    if kept.rows:
        yield "responses", kept.arrow()
    for name, rows in gathered.items():
        yield name, rows.arrow()


def _event_id(element: Any) -> str | None:
    """The id of an event that cannot be landed, None if not even that can be read."""
    try:
        event_id = _text(element, "id", "missing_id") if isinstance(element, dict) else None
    except _Unlandable:
        return None
    return event_id if storable_json(event_id) is not None else None


def _response_row(response: Response, refused_ids: list[str | None], schema: pa.Schema) -> tuple[Any, ...]:
    values = {
        "params": orjson.dumps(response.params).decode(),
        "element_count": len(response.elements),
        "refused_event_ids": orjson.dumps(refused_ids).decode() if refused_ids else None,
    }
    return tuple(values[name] if name in values else getattr(response, name) for name in schema.names)


def _element_row(response: Response, element: Any, table: _Table) -> tuple[Any, ...]:
    if not isinstance(element, dict):
        raise _Unlandable("not_an_object", f"got {type(element).__name__}, expected an object")
    canonical = storable_json(element)
    if canonical is None:
        raise _Unlandable("unstorable_text", "holds NUL, invalid UTF-8, an infinite number or 255 levels")
    text = canonical.decode()
    if len(text) > LARGEST_ELEMENT:
        raise _Unlandable("too_large", f"is {len(text):,} characters of JSON, more than {LARGEST_ELEMENT:,}")
    ids = table.ids(element)
    try:
        CHECKS[table.name](element)
    except Breach as breach:
        raise _Unlandable("wrong_shape", str(breach)) from None
    return (
        *ids,
        response.captured_at,
        response.request_id,
        text,
        content_digest(element, canonical),
    )


def storable_json(value: Any) -> bytes | None:
    """The canonical JSON of a value, or None if ``jsonb`` cannot keep it."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return None
    if _JSON_NUL in text and _has(value, lambda leaf: isinstance(leaf, str) and "\0" in leaf):
        return None
    if b"null" in text and _has(value, lambda leaf: isinstance(leaf, float) and not math.isfinite(leaf)):
        return None
    return text


def _has(value: Any, is_bad: Callable[[Any], bool]) -> bool:
    if isinstance(value, dict):
        return any(is_bad(key) or _has(item, is_bad) for key, item in value.items())
    if isinstance(value, list):
        return any(_has(item, is_bad) for item in value)
    return is_bad(value)


def _dead_element(source: str, response: Response, element: Any, reason: str, detail: str) -> DeadLetter:
    is_storable = storable_json(element) is not None
    return DeadLetter(
        kind="element",
        source=source,
        endpoint=response.endpoint,
        natural_key=f"{response.endpoint}/{content_digest(element)}",
        reason=reason,
        detail=f"{detail} (response {response.request_id}, origin {response.origin})",
        payload=element if is_storable else None,
        raw_body=None if is_storable else _raw(element),
        replay={
            "endpoint": response.endpoint,
            "request_id": response.request_id,
            "params": response.params,
            "captured_at": response.captured_at.astimezone(UTC).isoformat(),
        },
    )


def _raw(element: Any) -> bytes:
    """The element's JSON with its broken bytes as they came."""
    try:
        return _written(element, is_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _written(element).encode()
