"""Retries, pacing, quota and redaction, over real HTTP."""

from __future__ import annotations

import io
import json
import logging
import socket
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from pydantic import SecretStr

from extract import balldontlie, odds_api
from extract.client import Answer, ApiClient, RateLimit, RetryPolicy
from extract.records import (
    AuthenticationError,
    BadPayload,
    ExtractError,
    InvalidRequest,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TierLimit,
    UnknownSport,
    UnreachableHost,
)
from tests.extract.doubles import KEY, Book, Canned, StoppedClock, Wire, error, said

PATH = "/v4/sports/basketball_nba/odds"


def take(body: Any) -> Answer:
    if not isinstance(body, list):
        raise ValueError("expected a list")
    return Answer(body)


def ask(client: ApiClient, **params: Any) -> Any:
    return client.get("odds", PATH, params, take)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_whole_response_is_one_row_of_the_ledger(
    wire: Wire, odds_client: ApiClient, book: Book, clock: StoppedClock
) -> None:
    quota = {"x-requests-last": "3", "x-requests-used": "7", "x-requests-remaining": "493"}
    wire.answers = [said([1, 2], headers=quota)]

    fetched = ask(odds_client, regions="us", absent=None)

    (row,) = book.requests
    assert fetched.answer.elements == [1, 2]
    assert row.request_id == fetched.request_id
    assert (row.source, row.endpoint, row.url_path) == ("odds_api", "odds", PATH)
    assert row.params == {"regions": "us"}
    assert row.captured_at == clock.now() == fetched.captured_at
    assert abs(row.requested_at - datetime.now(UTC)) < timedelta(seconds=10)
    assert (row.status, row.attempts, row.row_count, row.byte_count) == (200, 1, 2, len("[1, 2]"))
    assert (row.credits_last, row.credits_used, row.credits_remaining) == (3, 7, 493)
    assert row.error_code is row.error_message is None
    assert row.latency_ms is not None
    assert row.latency_ms > 0


def test_a_later_attempt_is_told_from_memory_what_an_earlier_one_was_told(
    wire: Wire, odds_client: ApiClient, book: Book
) -> None:
    """As of when it was told it; within one attempt, of another request, and when all is over it asks."""
    cost = {"x-requests-last": "3"}
    wire.answers = [said([number], headers=cost) for number in range(5)]
    with odds_client.answers.kept():
        first = ask(odds_client, regions="us", absent=None)
        assert ask(odds_client, regions="us").answer.elements == [1]
        assert odds_client.answers.credits("odds") == 0
        odds_client.answers.begin_attempt()
        assert ask(odds_client, regions="us").answer.elements == [1]
        assert ask(odds_client, regions="eu").answer.elements == [2]
        odds_client.answers.begin_attempt()
        assert odds_client.answers.credits("odds") == 3 + 3
        assert odds_client.answers.credits("scores") == 0
        assert [ask(odds_client, regions=region).answer.elements for region in ("us", "eu")] == [[1], [2]]
    assert first.answer.elements == [0]
    assert ask(odds_client, regions="us").answer.elements == [3]
    assert len(book.requests) == len(wire.asked) == 4


def test_a_request_that_failed_is_asked_by_the_next_attempt(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answers = [Canned(400, b"what?"), said([1])]
    with odds_client.answers.kept():
        with pytest.raises(ExtractError):
            ask(odds_client)
        assert not odds_client.answers.has("odds", f"{PATH}?")
        odds_client.answers.begin_attempt()
        assert ask(odds_client).answer.elements == [1]
        assert odds_client.answers.has("odds", f"{PATH}?")


def test_the_key_goes_into_the_query_of_one_api_and_the_header_of_the_other(
    wire: Wire, odds_client: ApiClient, games_client: ApiClient
) -> None:
    wire.answers = [said([])]

    ask(odds_client)
    ask(games_client)

    assert wire.asked[0].params == {"apiKey": KEY}
    assert wire.asked[0].authorization is None
    assert wire.asked[1].params == {}
    assert wire.asked[1].authorization == KEY


def test_a_list_parameter_is_repeated(wire: Wire, games_client: ApiClient) -> None:
    wire.answers = [said([])]

    ask(games_client, **{"dates[]": ["2024-01-17", "2024-01-18"]})

    assert wire.asked[0].pairs == [("dates[]", "2024-01-17"), ("dates[]", "2024-01-18")]


def test_a_server_error_is_asked_again_with_growing_jittered_waits(
    wire: Wire, odds_client: ApiClient, book: Book, naps: list[float]
) -> None:
    wire.answers = [Canned(500), Canned(503), Canned(502), said([])]

    ask(odds_client)

    assert [row.attempts for row in book.requests] == [4]
    assert len(naps) == 3
    # Full jitter: each wait lies between 0 and 1, 2, 4 seconds.
    assert all(0 <= nap <= ceiling for nap, ceiling in zip(naps, (1, 2, 4), strict=True))


def test_attempts_are_bounded(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answers = [Canned(500)]

    with pytest.raises(ServerError, match="500"):
        ask(odds_client)

    assert len(wire.asked) == 4
    assert (book.requests[0].attempts, book.requests[0].error_code) == (4, "server_error")


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_waited_for(
    wire: Wire, odds_client: ApiClient, naps: list[float], status: int
) -> None:
    wire.answers = [Canned(status, b"slow down", {"Retry-After": "7"}), said([])]

    ask(odds_client)

    assert 7 <= naps[0] <= 8


def test_retry_after_as_a_date_is_waited_for(wire: Wire, odds_client: ApiClient, naps: list[float]) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    wire.answers = [Canned(429, b"", {"Retry-After": until}), said([])]

    ask(odds_client)

    assert 17 <= naps[0] <= 21


def test_a_retry_after_beyond_the_patience_is_not_waited_for(
    wire: Wire, odds_client: ApiClient, naps: list[float]
) -> None:
    wire.answers = [Canned(429, b"", {"Retry-After": "3600"})]

    with pytest.raises(RateLimited, match="3600 s"):
        ask(odds_client)

    assert len(wire.asked) == 1
    assert naps == []


def test_too_many_requests_without_advice_waits_as_long_as_the_pace(
    wire: Wire, book: Book, clock: StoppedClock
) -> None:
    waits: list[float] = []
    client = balldontlie.connect(
        base_url=wire.base_url, key=SecretStr(KEY), ledger=book, clock=clock, sleep=waits.append
    )
    wire.answers = [Canned(429, b"Too many requests"), said([])]

    ask(client)

    assert 12.1 <= waits[0] <= 13.1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error("INVALID_KEY", 401), AuthenticationError, "ODDS_API_KEY"),
        (error("OUT_OF_USAGE_CREDITS", 401), QuotaExhausted, "1st of the month"),
        (error("OUT_OF_USAGE_CREDITS", 429), QuotaExhausted, "OUT_OF_USAGE_CREDITS"),
        (error("OUT_OF_USAGE_CREDITS", 200), QuotaExhausted, "OUT_OF_USAGE_CREDITS"),
        (error("HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN", 401), TierLimit, "paid plan"),
        (error("UNKNOWN_SPORT", 404), UnknownSport, "'basketball_nba'.*ODDS_API_SPORTS"),
        (error("INVALID_MARKET", 422), InvalidRequest, "INVALID_MARKET"),
        (Canned(403, b"Forbidden"), AuthenticationError, "403"),
        (Canned(418, b"teapot"), InvalidRequest, "418.*teapot"),
        (Canned(302, b"", {"Location": "/elsewhere"}), InvalidRequest, "ODDS_API_URL"),
    ],
)
def test_what_is_fatal_is_asked_once_and_explained(
    wire: Wire,
    odds_client: ApiClient,
    book: Book,
    answer: Canned,
    kind: type[ExtractError],
    words: str,
) -> None:
    wire.answers = [answer]

    with pytest.raises(kind, match=words) as caught:
        ask(odds_client)

    assert len(wire.asked) == 1
    assert "\n" not in str(caught.value)
    assert book.requests[0].status == answer.status
    assert book.requests[0].error_message == str(caught.value)
    assert book.requests[0].row_count is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Canned(body=b'[{"id": "x"}, {"i', promised=500), "cut off after 17 bytes"),
        (Canned(body=b'[{"id": "x"}, {"i'), "not JSON or is cut off"),
        (Canned(body=b"<!DOCTYPE html><p>hello</p>"), "is HTML"),
        (Canned(body=b""), "is empty"),
        (said({"data": []}), "expected a list"),
        (Canned(204, b""), "204"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_asked_again(
    wire: Wire, odds_client: ApiClient, answer: Canned, words: str
) -> None:
    wire.answers = [answer, said([7])]

    if answer.status == 200:
        assert ask(odds_client).answer.elements == [7]
    wire.answers = [answer]
    with pytest.raises(ExtractError, match=words) as caught:
        ask(odds_client)
    if answer.status == 200:
        assert isinstance(caught.value, BadPayload)
        assert caught.value.raw_body == answer.body


def test_a_body_that_does_not_end_is_not_read_to_its_end(wire: Wire, book: Book, clock: StoppedClock) -> None:
    client = odds_api.connect(
        base_url=wire.base_url, key=SecretStr(KEY), ledger=book, clock=clock, retry=RetryPolicy(max_attempts=1)
    )
    client._max_body_bytes = 1_000_000
    wire.answers = [Canned(body=b"[" + b"1," * 5_000_000 + b"1]")]

    with pytest.raises(BadPayload, match="the body is longer than 1,000,000 bytes") as caught:
        ask(client)

    assert caught.value.raw_body is not None
    assert 1_000_000 < len(caught.value.raw_body) < 2_000_000


def test_a_bad_body_is_paid_for_at_most_three_times(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answers = [Canned(body=b"[", headers={"x-requests-last": "3"})]

    with pytest.raises(BadPayload):
        ask(odds_client)

    assert len(wire.asked) == 3
    assert book.requests[0].credits_last == 9


def test_quota_headers_are_read_on_errors_and_nonsense_is_no_number(
    wire: Wire, odds_client: ApiClient, book: Book
) -> None:
    wire.answers = [
        Canned(500, b"", {"x-requests-remaining": "12.0", "x-requests-used": "many"}),
        error("INVALID_MARKET", 422),
    ]

    with pytest.raises(InvalidRequest):
        ask(odds_client)

    assert book.requests[0].credits_remaining == 12
    assert book.requests[0].credits_used is None
    assert book.requests[0].credits_last is None


def test_a_host_that_is_down_gets_one_attempt_from_then_on(book: Book, clock: StoppedClock) -> None:
    port = free_port()
    client = odds_api.connect(
        base_url=f"http://127.0.0.1:{port}",
        key=SecretStr(KEY),
        ledger=book,
        clock=clock,
        retry=RetryPolicy(max_attempts=3),
        sleep=lambda _: None,
    )

    for _ in range(2):
        with pytest.raises(UnreachableHost, match=rf"127.0.0.1:{port}.*refused.*ODDS_API_URL"):
            ask(client)

    assert [row.attempts for row in book.requests] == [3, 1]
    assert book.requests[0].status is None


def test_a_name_that_nobody_has_is_named(book: Book, clock: StoppedClock) -> None:
    client = odds_api.connect(
        base_url="http://no-such-host.invalid",
        key=SecretStr(KEY),
        ledger=book,
        clock=clock,
        retry=RetryPolicy(max_attempts=1),
    )

    with pytest.raises(UnreachableHost, match=r"no-such-host\.invalid: no host has this name"):
        ask(client)


def test_silence_times_out(wire: Wire, book: Book, clock: StoppedClock) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = odds_api.connect(
            base_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            key=SecretStr(KEY),
            ledger=book,
            clock=clock,
            retry=RetryPolicy(max_attempts=1),
            timeout=(0.2, 0.2),
        )
        with pytest.raises(UnreachableHost, match="timed out"):
            ask(client)


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://api.example.com", "http://"])
def test_a_wrong_url_is_refused_before_anything_is_asked(url: str, book: Book, clock: StoppedClock) -> None:
    with pytest.raises(InvalidRequest, match="ODDS_API_URL"):
        odds_api.connect(base_url=url, key=SecretStr(KEY), ledger=book, clock=clock)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "clé"])
def test_what_cannot_be_a_key_is_refused_without_being_shown(key: str, book: Book, clock: StoppedClock) -> None:
    with pytest.raises(AuthenticationError, match="BALLDONTLIE_API_KEY") as caught:
        balldontlie.connect(key=SecretStr(key), ledger=book, clock=clock)

    assert not key or key not in str(caught.value)


def test_the_window_lets_a_burst_through_and_then_keeps_the_pace() -> None:
    now = 0.0
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += seconds

    limit = RateLimit(5, 60.0, monotonic=lambda: now, sleep=sleep)
    for _ in range(12):
        limit.wait()
        now += 1.0

    # Calls 1-5 at 0..4 s; call 6 waits until 60 s, 7-10 follow at 61..64; 11 waits until 120.
    assert waited == [55.0, 55.0]


# -- the key is never seen -------------------------------------------------------------


def answers_with(answer: Canned) -> Callable[[Wire], None]:
    def prepare(wire: Wire) -> None:
        wire.answers = [answer]

    return prepare


def goes_away(wire: Wire) -> None:
    wire.base_url = f"http://127.0.0.1:{free_port()}"


TROUBLE = {
    "refused": goes_away,
    "401": answers_with(error("INVALID_KEY", 401)),
    "echo in an error": answers_with(Canned(422, f"bad apiKey={KEY}".encode())),
    "echo in a message": answers_with(said({"message": f"what is {KEY}?"}, 404)),
    "echo in a cut body": answers_with(Canned(body=f'["{KEY}'.encode())),
    "echo in a redirect": answers_with(Canned(302, b"", {"Location": f"/?apiKey={KEY}"})),
    "500": answers_with(Canned(500, quote_plus(KEY).encode())),
    "cut off": answers_with(Canned(body=b"[", promised=100)),
    "html": answers_with(Canned(body=b"<html>")),
    "echo in data": answers_with(said([{"id": KEY}])),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("api", [odds_api, balldontlie])
def test_the_key_is_seen_nowhere(
    wire: Wire,
    book: Book,
    clock: StoppedClock,
    capfd: pytest.CaptureFixture[str],
    api: Any,
    trouble: str,
) -> None:
    TROUBLE[trouble](wire)
    client = api.connect(
        base_url=wire.base_url,
        key=SecretStr(KEY),
        ledger=book,
        clock=clock,
        retry=RetryPolicy(max_attempts=2),
        sleep=lambda _: None,
    )
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    seen = repr(client)
    try:
        fetched = ask(client, regions="us")
        seen += repr(fetched)
    except ExtractError as failure:
        seen += traceback.format_exc()
        letter = client.dead_request("odds", PATH, {"regions": "us"}, failure)
        seen += json.dumps(asdict(letter), default=str)
        pending: list[BaseException | None] = [failure]
        while pending:
            one = pending.pop()
            if one is not None:
                seen += f"{one!r} {one} {vars(one)}"
                pending += [one.__cause__, one.__context__]
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    seen += json.dumps([asdict(row) for row in book.requests], default=str)
    output = capfd.readouterr()
    seen += logged.getvalue() + output.out + output.err

    assert "GET /v4/sports/basketball_nba/odds" in seen or trouble == "refused"
    assert KEY not in seen
    assert quote_plus(KEY) not in seen
