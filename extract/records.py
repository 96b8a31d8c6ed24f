"""The values, protocols and errors that the modules of ``extract`` share.

Every exception of this package is one line for a person to read: it names the
thing, the value and the remedy, and it never carries a key. Which ones are worth
asking again is told by their class, not by their text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from extract.payloads import Response

from extract.circuit import Outage


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request to an API, all its attempts together: a row of ``ops.api_requests``.

    Attributes:
        request_id: uuid4 as text; landed rows carry it too.
        source: ``odds_api`` or ``balldontlie``.
        endpoint: the endpoint's name, such as ``historical_odds``.
        url_path: the path asked, without host and query.
        params: the query without the key; a list where a parameter is repeated.
        requested_at: the real time of the first attempt (UTC).
        captured_at: the pipeline's time of the last attempt (UTC); for a historical
            response, the time of its snapshot.
        status: HTTP status of the last attempt; None if no answer came.
        error_code: the API's own code, or the ``reason`` of the error; None if all
            went well.
        error_message: one line, free of the key; None if all went well.
        attempts: how often was asked, at least 1.
        latency_ms: duration of the last attempt, to the end of its body.
        row_count: elements in the response; None if it did not arrive whole.
        byte_count: bytes of the body after decompression; None if no answer came.
        credits_last: credits spent by this request, all attempts together.
        credits_used, credits_remaining: of the month, as told by the last answer.
    """

    request_id: str
    source: str
    endpoint: str
    url_path: str
    params: dict[str, Any]
    requested_at: datetime
    captured_at: datetime
    status: int | None
    error_code: str | None
    error_message: str | None
    attempts: int
    latency_ms: float | None
    row_count: int | None
    byte_count: int | None
    credits_last: int | None
    credits_used: int | None
    credits_remaining: int | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that came, or should have come, and cannot be landed.

    Attributes:
        kind: ``request`` (no whole response) or ``element`` (one of a response).
        source, endpoint: where it comes from.
        natural_key: the same for the same thing each time it fails.
        reason: a short code, such as ``missing_id`` or ``bad_payload``.
        detail: one line for a person.
        payload: what came, if it is JSON that PostgreSQL can keep.
        raw_body: what came, if it is not.
        replay: how to ask again: path, parameters without the key, captured_at.
    """

    kind: str
    source: str
    endpoint: str | None
    natural_key: str
    reason: str
    detail: str | None = None
    payload: Any = None
    raw_body: bytes | None = None
    replay: dict[str, Any] | None = None


class Clock(Protocol):
    """The pipeline's one notion of now."""

    def now(self) -> datetime:
        """The present instant, with a time zone, in UTC."""


class DeadLetters(Protocol):
    """Where dead letters go."""

    def dead_letter(self, letter: DeadLetter) -> None:
        """Keep one dead letter; the same natural key again counts as an attempt."""


class Ledger(DeadLetters, Protocol):
    """Where requests and dead letters are written down."""

    def record_request(self, request: ApiRequest) -> None:
        """Keep one finished request."""

    def outage(self, source: str) -> Outage | None:
        """The latest requests of a source in a row that no runner got an answer to; None if the last was answered."""

    def has_landed(self, request_id: str) -> bool:
        """Whether a response that an earlier attempt kept is no longer to be landed; if it is, by whoever asks."""

    def keep_response(self, source: str, response: Response) -> bool:
        """Keep a response until the load that lands it, for the next run if this one is killed; say if it is kept."""


class ExtractError(Exception):
    """Something expected went wrong; ``str()`` is one line without a key.

    Attributes:
        reason: a short code for ledgers and dead letters.
        code: the API's own error code, where it sent one.
        status: HTTP status, where there was an answer.
        raw_body: the body that was answered, where it may be worth keeping.
        retry_after: seconds after which the API wants to be asked again.
    """

    reason: ClassVar[str] = "extract_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        raw_body: bytes | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
        self.status = status
        self.raw_body = raw_body
        self.retry_after = retry_after


class RetryableError(ExtractError):
    """It may work when asked again."""

    reason = "retryable"


class FatalError(ExtractError):
    """Asking again the same way gives the same answer."""

    reason = "fatal"


class UnreachableHost(RetryableError):
    """No answer: no such name, refused, cut off, timed out."""

    reason = "unreachable_host"


class RateLimited(RetryableError):
    """Too many requests in a short time (429)."""

    reason = "rate_limited"


class ServerError(RetryableError):
    """The API has a problem of its own (5xx)."""

    reason = "server_error"


class BadPayload(RetryableError):
    """A success whose body is cut off, not JSON, or of another shape."""

    reason = "bad_payload"


class CircuitOpen(RetryableError):
    """The source has been down for a while, so it was not asked."""

    reason = "circuit_open"


class AuthenticationError(FatalError):
    """The key is missing, wrong or switched off."""

    reason = "authentication"


class QuotaExhausted(FatalError):
    """The month's credits are used up."""

    reason = "quota_exhausted"


class TierLimit(FatalError):
    """The key is good, but its plan does not include this endpoint."""

    reason = "tier_limit"


class UnknownSport(FatalError):
    """The API knows no sport by this key."""

    reason = "unknown_sport"


class EventNotFound(FatalError):
    """The event is over or was never there."""

    reason = "event_not_found"


class InvalidRequest(FatalError):
    """The API, or this package before asking it, refuses the parameters."""

    reason = "invalid_request"


class PaginationError(FatalError):
    """Following the cursor does not come to an end."""

    reason = "pagination"


class UnreadableFile(FatalError):
    """A recorded file is not a response that is known here."""

    reason = "unreadable_file"


class LandingError(ExtractError):
    """Rows could not be written to the warehouse."""

    reason = "landing_failed"


class LandingInterrupted(LandingError, RetryableError):
    """The warehouse went away, or was in the way, while rows were written: the same again may work."""

    reason = "landing_interrupted"
