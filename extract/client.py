"""One HTTP session per API: retries, pacing, quota headers and redaction.

``ApiClient.get`` asks once, in the sense of the ledger: however many attempts it
takes, one ``ApiRequest`` is recorded, and either the whole, checked response comes
back or one ``ExtractError`` does.

The key never leaves this module. ``requests`` puts the URL, key included, into
its exceptions and ``urllib3`` into its debug log; so no exception of theirs is ever
chained or quoted, log records of theirs are redacted, and what the API answers is
redacted before anybody sees it.

Assumptions about both APIs: GET only; success is 200 with a JSON body; redirects
are a wrong base URL; ``Retry-After``, where it comes, is seconds or an HTTP date;
an error body may be JSON or plain text.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote, quote_plus, urlencode, urlsplit
from uuid import uuid4

import requests
import structlog
import tenacity
from pydantic import SecretStr
from requests.auth import AuthBase
from tenacity.stop import stop_base
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from extract.circuit import CircuitPolicy
from extract.payloads import digest, parse_json
from extract.records import (
    ApiRequest,
    AuthenticationError,
    BadPayload,
    CircuitOpen,
    Clock,
    DeadLetter,
    ExtractError,
    InvalidRequest,
    Ledger,
    RateLimited,
    RetryableError,
    ServerError,
    UnreachableHost,
)

log = structlog.get_logger(__name__)

_CHUNK_BYTES = 65_536
_SHORTEST_KEY_SOUGHT_IN_BODIES = 8
_QUOTED_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and where it goes.

    Attributes:
        value: the key.
        place: into the query or into a header.
        name: the parameter or header that carries it.
        setting: the environment variable that a user sets, for error messages.
    """

    value: SecretStr
    place: Literal["query", "header"]
    name: str
    setting: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try again; waits are in seconds.

    The wait before attempt n+1 is drawn from 0 to ``first_wait * 2**(n-1)``, at most
    ``longest_wait`` (full jitter). No wait is begun that would end after
    ``max_seconds``. A body that is not what it says may have been paid for, so it is
    asked again less often than what did not answer.
    """

    max_attempts: int = 6
    max_bad_payloads: int = 3
    max_seconds: float = 180.0
    first_wait: float = 1.0
    longest_wait: float = 60.0


class RateLimit:
    """At most ``calls`` in any ``seconds``: a sliding window, so short bursts are free.

    Share one object between all clients that use the same key.
    """

    def __init__(
        self,
        calls: int,
        seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if calls < 1:
            raise InvalidRequest(f"a rate limit of {calls} calls lets nothing through: use 1 up")
        self.interval = seconds / calls
        self._seconds = seconds
        self._recent: deque[float] = deque(maxlen=calls)
        self._monotonic = monotonic
        self._sleep = sleep

    def wait(self) -> None:
        """Return as soon as one more call is allowed, and count it."""
        if len(self._recent) == self._recent.maxlen:
            pause = self._recent[0] + self._seconds - self._monotonic()
            if pause > 0:
                self._sleep(pause)
        self._recent.append(self._monotonic())


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint's ``unwrap`` finds in a body.

    Attributes:
        elements: the rows.
        captured_at: of a historical response, the time of its snapshot.
        params: what the body adds to the parameters (``next_timestamp``, …).
        next_cursor: where the next page begins; None at the end.
    """

    elements: list[Any]
    captured_at: datetime | None = None
    params: dict[str, Any] = field(default_factory=dict)
    next_cursor: Any = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole, checked response; ``params`` holds what was sent and what came back."""

    request_id: str
    captured_at: datetime
    params: dict[str, Any]
    answer: Answer
    response_hash: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error, redacted, for an API's ``explain``."""

    status: int
    code: str | None
    message: str
    path: str
    params: Mapping[str, Any]
    quota: Quota
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota headers of The Odds API; None where they are absent."""

    last: int | None = None
    used: int | None = None
    remaining: int | None = None


@dataclass(slots=True)
class _Attempts:
    """What the ledger needs to know about the attempts made so far."""

    captured_at: datetime
    count: int = 0
    status: int | None = None
    latency_ms: float | None = None
    byte_count: int | None = None
    quota: Quota = field(default_factory=Quota)
    credits: int | None = None


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One answer over HTTP; ``problem`` says why its body is not whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: str | None


class _KeyAuth(AuthBase):
    """Adds the key when the request is already prepared, so that nobody holds it."""

    def __init__(self, key: ApiKey) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        value = self._key.value.get_secret_value()
        if self._key.place == "query":
            request.prepare_url(request.url, {self._key.name: value})
        else:
            request.headers[self._key.name] = value
        return request


class _StopAfterBadPayloads(stop_base):
    """Ends sooner where each attempt may be paid for."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return isinstance(error, BadPayload) and state.attempt_number >= self._most


class _Redaction(logging.Filter):
    """Takes keys out of log records of the libraries below."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        for secret in self.secrets:
            text = text.replace(secret, "***")
        record.msg, record.args = text, None
        return True


_redaction = _Redaction()
for _name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.connection"):
    logging.getLogger(_name).addFilter(_redaction)


@dataclass
class Answers:
    """What is answered over the attempts of a task, so that a later attempt asks nothing twice.

    A request that is made twice in one attempt is another matter: whoever does so wants to be told anew.
    """

    _is_kept: bool = False
    _present: dict[tuple[str, str], tuple[Fetched, int]] = field(default_factory=dict)
    _earlier: dict[tuple[str, str], tuple[Fetched, int]] = field(default_factory=dict)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep answers while the attempts of one task are made, and forget them afterwards."""
        self._is_kept = True
        try:
            yield
        finally:
            self._is_kept = False
            self._present, self._earlier = {}, {}

    def begin_attempt(self) -> None:
        """What was answered until now is not to be asked again."""
        self._earlier |= self._present
        self._present = {}

    def add(self, fetched: Fetched, endpoint: str, request: str, credits: int | None) -> None:
        """Take note of an answer and of what it cost."""
        if self._is_kept:
            self._present[endpoint, request] = (fetched, credits or 0)

    def of_earlier(self, endpoint: str, request: str) -> Fetched | None:
        """What an earlier attempt was told."""
        answered = self._earlier.get((endpoint, request))
        return answered[0] if answered else None

    def has(self, endpoint: str, request: str) -> bool:
        """Whether a request was answered in any attempt."""
        return (endpoint, request) in self._earlier or (endpoint, request) in self._present

    def credits(self, endpoint: str) -> int:
        """What those requests cost that need not be made again."""
        return sum(cost for (name, _), (_, cost) in self._earlier.items() if name == endpoint)


class ApiClient:
    """Asks one API, carefully.

    Args:
        source: ``odds_api`` or ``balldontlie``, for the ledger.
        label: the API's name in messages.
        base_url: scheme and host, without the version prefix.
        url_setting: the environment variable of ``base_url``, for messages.
        key: the key and where it goes.
        ledger: where requests and dead letters are written down.
        clock: the pipeline's now, which becomes ``captured_at``.
        explain: turns a refusal into the error it means, or None for the usual
            meaning of its status.
        rate_limit: pacing; None for none.
        retry: see ``RetryPolicy``.
        circuit: see ``CircuitPolicy``.
        timeout: seconds to connect, seconds of silence while reading.
        max_body_bytes: longer bodies are refused.
        sleep: what waits; tests put something quicker here.

    Raises:
        AuthenticationError: there is no key, or it cannot be a key.
        InvalidRequest: ``base_url`` is not an http(s) URL.
    """

    def __init__(
        self,
        *,
        source: str,
        label: str,
        base_url: str,
        url_setting: str,
        key: ApiKey,
        ledger: Ledger,
        clock: Clock,
        explain: Callable[[Refusal], ExtractError | None],
        rate_limit: RateLimit | None = None,
        retry: RetryPolicy | None = None,
        circuit: CircuitPolicy | None = None,
        timeout: tuple[float, float] = (5.0, 30.0),
        max_body_bytes: int = 64 * 2**20,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.source = source
        self.label = label
        self.ledger = ledger
        self.clock = clock
        self.has_succeeded = False
        self.answers = Answers()
        self._url_setting = url_setting
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._explain = explain
        self._rate_limit = rate_limit
        self._retry = retry or RetryPolicy()
        self._circuit = circuit or CircuitPolicy()
        self._timeout = timeout
        self._max_body_bytes = max_body_bytes
        self._sleep = sleep
        self._is_unreachable = False
        self._host = _host_of(base_url, label, url_setting)
        self._secrets = _spellings(_checked_key(key, label))
        _redaction.secrets.update(self._secrets)
        self._session = requests.Session()
        self._session.auth = _KeyAuth(key)
        self._session.headers["Accept"] = "application/json"

    def __repr__(self) -> str:
        return f"ApiClient({self.source!r}, {self._host!r})"

    def redact(self, text: str) -> str:
        """The text without the key, however it is written."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def get(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, Any],
        unwrap: Callable[[Any], Answer],
    ) -> Fetched:
        """Ask until the whole response is here, or until it is clear that it will not be.

        What ``answers`` have of an earlier attempt is not asked again.

        Args:
            endpoint: the endpoint's name in the ledger.
            path: the URL's path, beginning with a slash.
            params: the query without the key; None values are left out.
            unwrap: finds the elements in a body, or raises ``ValueError`` that says
                what is wrong with it.

        Raises:
            CircuitOpen: the source has been down, so it was not asked and nothing is recorded.
            ExtractError: of the class that says what to do; already recorded.
        """
        sent = {name: value for name, value in params.items() if value is not None}
        request = request_key(path, sent)
        known = self.answers.of_earlier(endpoint, request)
        if known is not None:
            return known
        is_trial = self._is_half_open()
        request_id = str(uuid4())
        requested_at = datetime.now(UTC)
        attempts = _Attempts(self.clock.now())
        fetched: tuple[Answer, str] | None = None
        failure: ExtractError | None = None
        try:
            retrying = self._retrying(endpoint, path, is_trial=is_trial)
            fetched = retrying(self._attempt, path, sent, unwrap, attempts)
        except ExtractError as error:
            failure = error
        if fetched is not None:
            self.has_succeeded = True
            self._is_unreachable = False
            captured_at = fetched[0].captured_at or attempts.captured_at
            sent |= fetched[0].params
        else:
            self._is_unreachable = isinstance(failure, UnreachableHost)
            captured_at = attempts.captured_at
        self.ledger.record_request(
            ApiRequest(
                request_id=request_id,
                source=self.source,
                endpoint=endpoint,
                url_path=path,
                params=sent,
                requested_at=requested_at,
                captured_at=captured_at,
                status=attempts.status,
                error_code=(failure.code or failure.reason) if failure else None,
                error_message=str(failure) if failure else None,
                attempts=attempts.count,
                latency_ms=attempts.latency_ms,
                row_count=len(fetched[0].elements) if fetched else None,
                byte_count=attempts.byte_count,
                credits_last=attempts.credits,
                credits_used=attempts.quota.used,
                credits_remaining=attempts.quota.remaining,
            )
        )
        self._tell_circuit(is_trial, is_answered=not isinstance(failure, RetryableError))
        if fetched is None:
            assert failure is not None
            raise failure
        answer, response_hash = fetched
        whole = Fetched(request_id, captured_at, sent, answer, response_hash)
        self.answers.add(whole, endpoint, request, attempts.credits)
        return whole

    def dead_request(self, endpoint: str, path: str, params: Mapping[str, Any], failure: ExtractError) -> DeadLetter:
        """The dead letter of a request that failed for good."""
        sent = {name: value for name, value in sorted(params.items()) if value is not None}
        return DeadLetter(
            kind="request",
            source=self.source,
            endpoint=endpoint,
            natural_key=request_key(path, sent),
            reason=failure.reason,
            detail=str(failure),
            raw_body=failure.raw_body,
            replay={
                "endpoint": endpoint,
                "path": path,
                "params": sent,
                "captured_at": self.clock.now().isoformat(),
            },
        )

    def _is_half_open(self) -> bool:
        """Whether this request is the trial of a circuit that was open.

        Raises:
            CircuitOpen: it is still open.
        """
        outage = self.ledger.outage(self.source)
        trial_at = self._circuit.trial_at(outage)
        if outage is None or trial_at is None:
            return False
        if datetime.now(UTC) >= trial_at:
            log.warning(
                "circuit_half_open", source=self.source, failures=outage.failures, since=f"{outage.since:%F %T}Z"
            )
            return True
        raise CircuitOpen(
            f"{self.label} is not asked before {trial_at:%F %T}Z: its last {outage.failures} requests failed, "
            f"the first at {outage.since:%F %T}Z, the last with: {outage.last_error}"
        )

    def _tell_circuit(self, is_trial: bool, *, is_answered: bool) -> None:
        if is_answered:
            if is_trial:
                log.warning("circuit_closed", source=self.source)
            return
        outage = self.ledger.outage(self.source)
        trial_at = self._circuit.trial_at(outage)
        if outage is not None and trial_at is not None:
            log.error("circuit_open", source=self.source, failures=outage.failures, next_trial=f"{trial_at:%F %T}Z")

    def _retrying(self, endpoint: str, path: str, *, is_trial: bool) -> tenacity.Retrying:
        policy = self._retry
        jitter = tenacity.wait_random_exponential(multiplier=policy.first_wait, max=policy.longest_wait)

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, ExtractError) else None
            return jitter(state) + (asked or 0.0)

        def tell(state: tenacity.RetryCallState) -> None:
            log.warning(
                "request_retried",
                source=self.source,
                endpoint=endpoint,
                path=path,
                attempt=state.attempt_number,
                wait_seconds=round(state.upcoming_sleep, 2),
                error=str(state.outcome.exception() if state.outcome else ""),
            )

        return tenacity.Retrying(
            # A host that was down a moment ago gets one attempt, so that three
            # endpoints of a dead API do not take three times the whole patience.
            stop=(
                tenacity.stop_after_attempt(1 if self._is_unreachable or is_trial else policy.max_attempts)
                | tenacity.stop_before_delay(policy.max_seconds)
                | _StopAfterBadPayloads(policy.max_bad_payloads)
            ),
            wait=wait,
            retry=tenacity.retry_if_exception_type(RetryableError),
            before_sleep=tell,
            sleep=self._sleep,
            reraise=True,
        )

    def _attempt(
        self,
        path: str,
        params: dict[str, Any],
        unwrap: Callable[[Any], Answer],
        attempts: _Attempts,
    ) -> tuple[Answer, str]:
        if self._rate_limit is not None:
            self._rate_limit.wait()
        attempts.count += 1
        attempts.status = attempts.byte_count = attempts.latency_ms = None
        attempts.captured_at = self.clock.now()
        started = time.monotonic()
        exchange: _Exchange | None = None
        problem = ""
        try:
            exchange = self._exchange(path, params)
        except (requests.RequestException, HTTPError, OSError) as error:
            problem = _describe(error)
        attempts.latency_ms = round((time.monotonic() - started) * 1000, 1)
        if exchange is None:
            # Raised here, outside the handler, so that no context carries the URL.
            raise UnreachableHost(
                f"{self.label} does not answer at {self._host}: {problem} ({path}); "
                f"check the network and {self._url_setting}"
            )
        attempts.status = exchange.status
        attempts.byte_count = len(exchange.body)
        self._count_credits(exchange.headers, attempts)
        return self._checked(path, params, exchange, unwrap, attempts.quota)

    def _exchange(self, path: str, params: dict[str, Any]) -> _Exchange:
        deadline = time.monotonic() + self._retry.max_seconds
        with self._session.get(
            self._base_url + path,
            params=params,
            timeout=self._timeout,
            stream=True,
            allow_redirects=False,
        ) as response:
            body = bytearray()
            problem = None
            try:
                # read1 hands over what has come; iter_content would lose the beginning
                # of a body that is cut off.
                while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
                    body += chunk
                    if len(body) > self._max_body_bytes:
                        problem = f"is longer than {self._max_body_bytes:,} bytes"
                        break
                    if time.monotonic() > deadline:
                        problem = f"did not end within {self._retry.max_seconds:g} s"
                        break
            except (requests.RequestException, HTTPError, OSError) as error:
                problem = f"was cut off after {len(body):,} bytes ({_describe(error)})"
            return _Exchange(
                response.status_code,
                dict(response.headers.lower_items()),
                self._redact_body(bytes(body)),
                problem,
            )

    def _redact_body(self, body: bytes) -> bytes:
        for secret in self._secrets:
            if len(secret) >= _SHORTEST_KEY_SOUGHT_IN_BODIES:
                body = body.replace(secret.encode(), b"***")
        return body

    def _count_credits(self, headers: Mapping[str, str], attempts: _Attempts) -> None:
        quota = Quota(
            last=_whole(headers.get("x-requests-last")),
            used=_whole(headers.get("x-requests-used")),
            remaining=_whole(headers.get("x-requests-remaining")),
        )
        if quota != Quota():
            attempts.quota = quota
        if quota.last is not None:
            attempts.credits = (attempts.credits or 0) + quota.last

    def _checked(
        self,
        path: str,
        params: Mapping[str, Any],
        exchange: _Exchange,
        unwrap: Callable[[Any], Answer],
        quota: Quota,
    ) -> tuple[Answer, str]:
        body: Any = None
        problem = exchange.problem
        if problem is None:
            try:
                body = parse_json(exchange.body)
            except ValueError:
                problem = _not_json(exchange.body)
        if exchange.status != 200 or (isinstance(body, dict) and "error_code" in body):
            raise self._refused(path, params, exchange, body, quota)
        if problem is None:
            try:
                return unwrap(body), digest(body)
            except ValueError as error:
                problem = f"has another shape: {error}"
        raise BadPayload(
            self.redact(f"{self.label} {path}: the body {problem}"),
            status=exchange.status,
            raw_body=exchange.body,
        )

    def _refused(
        self,
        path: str,
        params: Mapping[str, Any],
        exchange: _Exchange,
        body: Any,
        quota: Quota,
    ) -> ExtractError:
        code, message = _error_of(exchange.body, body)
        refusal = Refusal(
            status=exchange.status,
            code=code,
            message=self.redact(message),
            path=path,
            params=params,
            quota=quota,
            retry_after=_retry_after(exchange.headers.get("retry-after")),
        )
        return self._explain(refusal) or self._usual_meaning(refusal, exchange.body)

    def _usual_meaning(self, refusal: Refusal, body: bytes) -> ExtractError:
        status, code = refusal.status, refusal.code
        said = f"{status}{f' {code}' if code else ''}"
        quoted = f": {refusal.message}" if refusal.message else ""
        asked = f"{self.label} {refusal.path}"
        if status == 429:
            wait = refusal.retry_after
            if wait is None and self._rate_limit is not None:
                wait = self._rate_limit.interval
            asks = f"; it asks to wait {wait:g} s" if wait else ""
            return RateLimited(
                f"{asked} answers too many requests ({said}){asks}; ask less often",
                code=code,
                status=status,
                retry_after=wait,
            )
        if status >= 500 or status == 408:
            return ServerError(
                f"{asked} has a problem of its own ({said}){quoted}; try again later",
                code=code,
                status=status,
                raw_body=body,
                retry_after=refusal.retry_after,
            )
        if status in (401, 403):
            return AuthenticationError(
                f"{self.label} refuses the key ({said}){quoted}; check {self._key.setting}",
                code=code,
                status=status,
            )
        if status < 400:
            return InvalidRequest(
                f"{asked} answers {said} instead of data; check {self._url_setting}, now {self._host}",
                code=code,
                status=status,
            )
        return InvalidRequest(
            f"{asked} refuses the request ({said}){quoted}; "
            f"asked with {_shown(refusal.params)}; check {self._url_setting} and the parameters",
            code=code,
            status=status,
            raw_body=body,
        )


def request_key(path: str, params: Mapping[str, Any]) -> str:
    """What names a request, the same each time it is made: path and query without the key, its names sorted."""
    return f"{path}?{urlencode(sorted(params.items()), doseq=True)}"


def _host_of(base_url: str, label: str, url_setting: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest(f"{url_setting} is no address of {label}: expected something like https://api.example.com")
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname


def _checked_key(key: ApiKey, label: str) -> str:
    value = key.value.get_secret_value()
    if not value:
        raise AuthenticationError(f"there is no key for {label}: set {key.setting}")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise AuthenticationError(
            f"{key.setting} cannot be a key of {label}: it holds blanks, line breaks or "
            "characters outside ASCII; copy it again"
        )
    return value


def _spellings(secret: str) -> tuple[str, ...]:
    """The key as it is, and as URLs and JSON write it."""
    return tuple(dict.fromkeys((secret, quote(secret, safe=""), quote_plus(secret), quote(secret))))


def _describe(error: BaseException) -> str:
    """What went wrong with a connection, without the URL that the text of it holds."""
    chain: list[Any] = []
    pending: list[Any] = [error]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseException) and one not in chain:
            chain.append(one)
            pending += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    meanings = (
        (NameResolutionError, "no host has this name"),
        (requests.exceptions.ProxyError, "the proxy does not let through"),
        (requests.exceptions.SSLError, "its TLS certificate is not accepted"),
        (requests.exceptions.ConnectTimeout, "connecting timed out"),
        (requests.exceptions.Timeout, "reading timed out"),
        (ConnectionRefusedError, "connection refused"),
        (ConnectionResetError, "connection reset"),
        (NewConnectionError, "no connection"),
        (TimeoutError, "timed out"),
    )
    for kind, meaning in meanings:
        if any(isinstance(one, kind) for one in chain):
            return meaning
    return f"the connection broke ({type(error).__name__})"


def _not_json(body: bytes) -> str:
    beginning = body[:200].lstrip().lower()
    if not beginning:
        return "is empty"
    if beginning.startswith((b"<!doctype", b"<html", b"<")):
        return f"is HTML, not JSON ({len(body):,} bytes)"
    return f"is not JSON or is cut off ({len(body):,} bytes)"


def _error_of(raw: bytes, body: Any) -> tuple[str | None, str]:
    """Error code and message of an error body, JSON or plain text."""
    if isinstance(body, dict):
        code = body.get("error_code")
        message = body.get("message") or body.get("error") or ""
        return (
            code if isinstance(code, str) else None,
            " ".join(str(message).split())[:_QUOTED_CHARACTERS],
        )
    text = raw[: 4 * _QUOTED_CHARACTERS].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        return None, ""
    return None, " ".join(text.split())[:_QUOTED_CHARACTERS]


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from seconds or from an HTTP date; None if it is neither."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _whole(value: str | None) -> int | None:
    try:
        return None if value is None else int(float(value))
    except (ValueError, OverflowError):
        return None


def _shown(params: Mapping[str, Any]) -> str:
    return "&".join(f"{name}={value}" for name, value in params.items()) or "no parameters"
