"""BallDontLie's NBA API, version 1, as a dlt source.

Assumptions about the API (its OpenAPI description and recorded payloads; not verified
against the live API by this project):

- The key is the whole ``Authorization`` header, without ``Bearer``.
- Pages of at most 100 rows: ``{"data": [...], "meta": {"next_cursor": ...}}``. The last
  page has no cursor, or a null one, or no ``meta``. The cursor is opaque: ``/games`` is
  sorted by date, so nothing may be concluded from it.
- Repeated parameters are written ``dates[]=…&dates[]=…``.
- The free plan allows 5 requests a minute and has no ``/stats``. It says so with 401 and
  the plain text ``Unauthorized``, exactly as for a wrong key; so a 401 is a limit of the
  plan if the same key is let in elsewhere.
- ``/teams`` lists franchises of the past too. They land like all others: what a team is
  is not decided here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import date
from typing import Any

from pydantic import SecretStr

from extract.client import (
    Answer,
    ApiClient,
    ApiKey,
    Fetched,
    RateLimit,
    Refusal,
    RetryPolicy,
)
from extract.extraction import Asker, Extraction, Problems, extraction
from extract.payloads import Response, digest
from extract.records import (
    AuthenticationError,
    Clock,
    ExtractError,
    InvalidRequest,
    Ledger,
    PaginationError,
    TierLimit,
)

SOURCE = "balldontlie"
LABEL = "BallDontLie"
DEFAULT_URL = "https://api.balldontlie.io"
ENDPOINTS = ("teams", "players", "games", "stats")
FREE_REQUESTS_PER_MINUTE = 5

_PER_PAGE = 100
# A season has 46,000 stats rows: 460 pages. Nothing asked here is ten times as long.
_MOST_PAGES = 5_000
_GAMES_PER_REQUEST = 50
# The window is a little longer than a minute, because the API counts arrivals.
MINUTE = 60.5


def connect(
    *,
    base_url: str = DEFAULT_URL,
    key: SecretStr,
    ledger: Ledger,
    clock: Clock,
    requests_per_minute: int = FREE_REQUESTS_PER_MINUTE,
    rate_limit: RateLimit | None = None,
    retry: RetryPolicy | None = None,
    timeout: tuple[float, float] = (5.0, 30.0),
    sleep: Callable[[float], None] = time.sleep,
) -> ApiClient:
    """A client of BallDontLie; asks nothing yet.

    Args:
        requests_per_minute: what the plan allows: 5 free, 60 ALL-STAR, 600 GOAT.
        rate_limit: in its place; share one between clients with the same key.

    Raises:
        AuthenticationError: the key is empty or cannot be a key.
        InvalidRequest: ``base_url`` is no http(s) URL.
    """
    return ApiClient(
        source=SOURCE,
        label=LABEL,
        base_url=base_url,
        url_setting="BALLDONTLIE_URL",
        key=ApiKey(key, "header", "Authorization", "BALLDONTLIE_API_KEY"),
        ledger=ledger,
        clock=clock,
        explain=_explain,
        rate_limit=rate_limit or RateLimit(requests_per_minute, MINUTE, sleep=sleep),
        retry=retry,
        timeout=timeout,
        sleep=sleep,
    )


def balldontlie(
    client: ApiClient,
    *,
    endpoints: Collection[str],
    start_date: date | None = None,
    end_date: date | None = None,
    seasons: Collection[int] = (),
    dates: Collection[date] = (),
    game_ids: Collection[int] = (),
) -> Extraction:
    """Teams, players, games and box scores, every page of them.

    Args:
        client: from ``connect``.
        endpoints: some of ``ENDPOINTS``.
        start_date, end_date: both included; dates of games in US Eastern time.
        seasons: start years.
        dates: single dates of games in US Eastern time.
        game_ids: for ``stats`` alone; asked ``_GAMES_PER_REQUEST`` at a time. Without
            it, stats are narrowed by the dates and seasons.

    Returns:
        An extraction with one resource an endpoint; nothing is asked until it is
        landed. A plan without an endpoint is in ``problems.limits``, not a failure.

    Raises:
        InvalidRequest: an unknown endpoint, or games or stats without any narrowing,
            which would ask for every season since 1946.
    """
    if unknown := sorted(set(endpoints) - set(ENDPOINTS)):
        raise InvalidRequest(f"{LABEL} has no endpoint {', '.join(unknown)} here: use {', '.join(ENDPOINTS)}")
    when: dict[str, Any] = {
        "start_date": start_date.isoformat() if start_date else None,
        "end_date": end_date.isoformat() if end_date else None,
        "seasons[]": sorted(set(seasons)) or None,
        "dates[]": sorted({day.isoformat() for day in dates}) or None,
    }
    is_narrowed = any(when.values())
    if "games" in endpoints and not is_narrowed:
        raise InvalidRequest("games of all seasons were asked for: give dates or seasons")
    if "stats" in endpoints and not (is_narrowed or game_ids):
        raise InvalidRequest("stats of all seasons were asked for: give game ids, dates or seasons")
    asks: dict[str, list[dict[str, Any]]] = {
        "teams": [{}],
        "players": [{"per_page": _PER_PAGE}],
        "games": [{**when, "per_page": _PER_PAGE}],
        "stats": [{**narrowing, "per_page": _PER_PAGE} for narrowing in _of_games(game_ids)]
        or [{**when, "per_page": _PER_PAGE}],
    }
    problems = Problems()
    asker = Asker(client, problems)
    return extraction(
        SOURCE,
        {endpoint: _endpoint(asker, endpoint, asks[endpoint]) for endpoint in ENDPOINTS if endpoint in endpoints},
        problems,
        client.ledger,
    )


def _of_games(game_ids: Collection[int]) -> list[dict[str, Any]]:
    ids = sorted(set(game_ids))
    return [{"game_ids[]": ids[first : first + _GAMES_PER_REQUEST]} for first in range(0, len(ids), _GAMES_PER_REQUEST)]


def _endpoint(asker: Asker, endpoint: str, asks: list[dict[str, Any]]) -> Iterator[Response]:
    """All pages of all asks; ends the endpoint at a limit of the plan."""
    path = f"/v1/{endpoint}"
    for params in asks:
        if asker.is_stopped:
            return
        pages = _pages(asker.client, endpoint, path, params)
        while True:
            failure: ExtractError | None = None
            try:
                fetched = next(pages, None)
            except AuthenticationError as refused:
                failure, fetched = refused, None
            except ExtractError as failed:
                failure, fetched = failed, None
            if isinstance(failure, AuthenticationError) and _is_let_in(asker.client, endpoint):
                asker.problems.limits.append(_limit(endpoint, failure))
                return
            if failure is not None:
                asker.fail(failure, endpoint, path, params)
            if fetched is None:
                break
            yield Response(
                request_id=fetched.request_id,
                endpoint=endpoint,
                captured_at=fetched.captured_at,
                params=fetched.params,
                elements=fetched.answer.elements,
                response_hash=fetched.response_hash,
            )


def _pages(client: ApiClient, endpoint: str, path: str, params: dict[str, Any]) -> Iterator[Fetched]:
    """The pages of one ask, to the last.

    Raises:
        PaginationError: a cursor or a page comes again, empty pages go on, or there are
            more than ``_MOST_PAGES``.
    """
    cursor: Any = None
    cursors: set[str] = set()
    pages: set[str] = set()
    for _ in range(_MOST_PAGES):
        fetched = client.get(endpoint, path, {**params, "cursor": cursor}, _page)
        page = digest(fetched.answer.elements)
        if page in pages:
            raise PaginationError(
                f"{LABEL} {path} sends the same page again at cursor {cursor!r:.60}: "
                "what came before it has landed; try again later"
            )
        pages.add(page)
        yield fetched
        cursor = fetched.answer.next_cursor
        if cursor is None:
            return
        if str(cursor) in cursors:
            raise PaginationError(
                f"{LABEL} {path} sends cursor {cursor!r:.60} again, so its pages never end: "
                "what came before it has landed; try again later"
            )
        cursors.add(str(cursor))
    raise PaginationError(f"{LABEL} {path} goes on after {_MOST_PAGES:,} pages: ask for fewer dates or seasons")


def _page(body: Any) -> Answer:
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise ValueError(f"expected an object with a list as data, got {type(body).__name__}")
    meta = body.get("meta") or {}
    if not isinstance(meta, dict):
        raise ValueError(f"expected an object as meta, got {type(meta).__name__}")
    return Answer(body["data"], next_cursor=meta.get("next_cursor"))


def _is_let_in(client: ApiClient, endpoint: str) -> bool:
    """Whether the key opens another endpoint; asks one of them if that is not known."""
    if not client.has_succeeded:
        other = "teams" if endpoint != "teams" else "games"
        narrow = {"per_page": 1} if other == "games" else {}
        try:
            client.get(other, f"/v1/{other}", narrow, _page)
        except ExtractError:
            return False
    return True


def _limit(endpoint: str, refused: ExtractError) -> TierLimit:
    return TierLimit(
        f"the {LABEL} plan of this key does not include /{endpoint} (401): what is made of it "
        "stays empty; the ALL-STAR plan has it",
        status=refused.status,
    )


def _explain(refusal: Refusal) -> ExtractError | None:
    """What an answer means; the API's 401 is plain text and does not say which."""
    if refusal.status == 401:
        return AuthenticationError(
            f"{LABEL} refuses the key (401 {refusal.message or 'without a word'}): check BALLDONTLIE_API_KEY",
            status=refusal.status,
        )
    return None
