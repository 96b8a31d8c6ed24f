"""Misbehaviour on demand: which requests go wrong, how often, and in what way."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode

from simulator.errors import OddsApiError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KINDS = {
    "status": "answer with `status`, `body` and `headers` instead",
    "delay": "answer properly after `delay_seconds`",
    "drop": "close the connection without any answer",
    "reset": "send the headers and half of the body, then reset the connection",
    "truncate": "send a body that is cut in the middle but otherwise in order",
    "html": "answer 200 with an HTML page",
    "empty": "answer properly but without any element",
    "repeat_page": "answer every page with the first one, whose cursor points to itself",
    "endless_cursor": "answer every page with the first one and a cursor never seen before",
    "no_quota_headers": "leave out the x-requests-* headers",
    "quota_exhausted": "answer 401 OUT_OF_USAGE_CREDITS",
    "edit": "change one element of the answer: `element`, `set_keys`, `remove_keys`, or `replace_with`",
}
"""Every kind of fault with what it does."""

_HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
_UNTIL_READ_SECONDS = 0.05
"""A reset discards what the client has not read yet, so its first half gets this long to arrive."""
_JSON = "application/json"
_QUOTA_HEADERS = {b"x-requests-remaining", b"x-requests-used", b"x-requests-last"}


@dataclass(slots=True)
class FaultRule:
    """One kind of misbehaviour; `KINDS` says what each does.

    It strikes requests whose path matches the glob `path`: not the first `skip` of them, then `times` of them (None:
    all from then on). A "status" answer has `body` as plain text or, if it is an object or a list, as JSON;
    `retry_after` adds that header. `element` counts from 0 into the list of the answer (or into its ``data``);
    `replace_with`, a list of one so that null can be asked for, stands in for the whole element.
    """

    kind: str
    path: str = "*"
    times: int | None = 1
    skip: int = 0
    status: int = 500
    body: str | dict[str, Any] | list[Any] = ""
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: str | int | None = None
    delay_seconds: float = 0.0
    element: int = 0
    set_keys: dict[str, Any] = field(default_factory=dict)
    remove_keys: list[str] = field(default_factory=list)
    replace_with: list[Any] = field(default_factory=list)
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"the fault kind {self.kind!r} is unknown: use one of {', '.join(KINDS)}")
        if not isinstance(self.path, str):
            raise ValueError(f"path must be text, a glob such as /v4/*: it is {self.path!r}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is {self.times}: strike at least once, or give null for always")
        if not 100 <= self.status <= 599:
            raise ValueError(f"status is {self.status}: give an HTTP status from 100 to 599")
        if self.skip < 0 or self.delay_seconds < 0 or self.element < 0:
            raise ValueError("skip, delay_seconds and element count from 0: give no negative number")

    @classmethod
    def from_json(cls, value: object) -> FaultRule:
        """A rule from a JSON object with the names of the fields; ValueError names what is wrong."""
        if not isinstance(value, dict):
            raise ValueError('a fault rule is a JSON object, for example {"kind": "status", "status": 503}')
        known = {item.name for item in fields(cls)} - {"struck"}
        unknown = sorted(set(value) - known)
        if unknown:
            raise ValueError(f"a fault rule has no {', '.join(unknown)}: it has {', '.join(sorted(known))}")
        if "kind" not in value:
            raise ValueError(f"a fault rule needs a kind: one of {', '.join(KINDS)}")
        try:
            return cls(**value)
        except TypeError as error:
            raise ValueError(f"a field of the fault rule has the wrong type: {error}") from None


class Faults:
    """The rules in force, oldest first; the first one that matches and has strikes left applies."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._lock = Lock()

    def add(self, rule: FaultRule) -> None:
        """Put a rule in force."""
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[FaultRule]:
        """Rules in force and worn out, oldest first."""
        with self._lock:
            return list(self._rules)

    def take(self, path: str) -> FaultRule | None:
        """The rule that strikes a request for `path`, which counts as one strike."""
        with self._lock:
            for rule in self._rules:
                if not fnmatchcase(path, rule.path):
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                if rule.times is None or rule.struck < rule.times:
                    rule.struck += 1
                    return rule
        return None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def misbehave(rule: FaultRule, app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the request of `scope` the way `rule` says, asking `app` for the proper answer where one is needed."""
    if rule.kind == "delay":
        await asyncio.sleep(rule.delay_seconds)
        await app(scope, receive, send)
    elif rule.kind == "drop":
        _abort(send)
    elif rule.kind == "status":
        text, kind = (rule.body, "text/plain") if isinstance(rule.body, str) else (json.dumps(rule.body), _JSON)
        headers = {"content-type": f"{kind}; charset=utf-8"}
        headers.update({name.lower(): value for name, value in rule.headers.items()})
        if rule.retry_after is not None:
            headers["retry-after"] = str(rule.retry_after)
        wire = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
        await _send(send, _Answer(rule.status, wire, text.encode()))
    elif rule.kind == "html":
        await _send(send, _Answer(200, [(b"content-type", b"text/html; charset=utf-8")], _HTML))
    elif rule.kind == "quota_exhausted":
        await _send(send, _exhausted())
    elif rule.kind == "reset":
        proper = await _answer_of(app, scope, receive)
        await _send(send, proper, length=len(proper.body) // 2)
        await asyncio.sleep(_UNTIL_READ_SECONDS)
        _abort(send)
    else:
        await _send(send, await _altered(rule, app, scope, receive))


def _exhausted() -> _Answer:
    error = OddsApiError("OUT_OF_USAGE_CREDITS")
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"x-requests-remaining", b"0"),
        (b"x-requests-used", b"500"),
        (b"x-requests-last", b"0"),
    ]
    return _Answer(error.status, headers, json.dumps(error.body).encode())


async def _altered(rule: FaultRule, app: App, scope: Scope, receive: Receive) -> _Answer:
    """The proper answer with the change that `rule` asks for."""
    params = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
    if rule.kind in ("repeat_page", "endless_cursor"):
        first = urlencode([(key, value) for key, value in params if key != "cursor"])
        proper = await _answer_of(app, {**scope, "query_string": first.encode()}, receive)
    else:
        proper = await _answer_of(app, scope, receive)
    if rule.kind == "truncate":
        return _Answer(proper.status, proper.headers, proper.body[: len(proper.body) // 2])
    if rule.kind == "no_quota_headers":
        kept = [(key, value) for key, value in proper.headers if key.lower() not in _QUOTA_HEADERS]
        return _Answer(proper.status, kept, proper.body)
    if proper.status != 200:
        return proper
    body = json.loads(proper.body)
    if rule.kind == "empty":
        if isinstance(body, list):
            body = []
        elif "data" in body:
            body["data"] = []
            body.get("meta", {}).pop("next_cursor", None)
        else:
            body["bookmakers"] = []
    elif rule.kind == "edit":
        elements = body if isinstance(body, list) else body.get("data", [body])
        if isinstance(elements, list) and rule.element < len(elements):
            if rule.replace_with:
                elements[rule.element] = rule.replace_with[0]
            else:
                element = {**elements[rule.element], **rule.set_keys}
                elements[rule.element] = {key: element[key] for key in element if key not in rule.remove_keys}
    elif isinstance(body, dict) and body.get("data"):
        cursor = int(dict(params).get("cursor", "0") or 0)
        own = body["data"][-1]["id"]
        body.setdefault("meta", {})["next_cursor"] = own if rule.kind == "repeat_page" else max(own, cursor) + 1
    return _Answer(proper.status, proper.headers, json.dumps(body, ensure_ascii=False).encode())


async def _answer_of(app: App, scope: Scope, receive: Receive) -> _Answer:
    """What `app` answers, collected instead of sent."""
    status = 500
    headers: list[tuple[bytes, bytes]] = []
    body = bytearray()

    async def collect(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, collect)
    return _Answer(status, headers, bytes(body))


async def _send(send: Send, answer: _Answer, length: int | None = None) -> None:
    """Send `answer`; with `length`, only so many bytes of it although its headers promise all."""
    headers = [(key, value) for key, value in answer.headers if key.lower() != b"content-length"]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    partial = answer.body if length is None else answer.body[:length]
    await send({"type": "http.response.body", "body": partial, "more_body": length is not None})


def _abort(send: Send) -> None:
    """Reset the connection behind `send`, which is a bound method of uvicorn's request cycle."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("the server gives no access to its connection: connection faults need uvicorn")
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
