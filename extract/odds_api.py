"""The Odds API, version 4, as dlt sources.

Assumptions about the API (docs of 2026 and recorded payloads; not verified against
the live API by this project):

- The key is the query parameter ``apiKey``. Times are asked as
  ``YYYY-MM-DDTHH:MM:SSZ`` and nothing else: milliseconds or an offset give 422.
- ``x-requests-last``, ``-used`` and ``-remaining`` come with every response.
- An exhausted quota is 401 with ``error_code`` ``OUT_OF_USAGE_CREDITS``; so the code
  is read before the status. Its quota comes back on the 1st of the month.
- 30 requests a second are allowed; this package keeps to 25.
- ``/odds`` takes the featured markets only, the others are asked event by event.
  The lay markets of exchanges come by themselves with ``h2h`` and ``outrights``.
- ``bookmakers`` wins over ``regions``, and every started 10 of them cost one region.
- A historical response is the snapshot nearest before the date asked. It holds until
  its own ``next_timestamp``, which is null at the end of the data. Where there is
  neither a next nor a previous one, the data have not begun.
- Live responses do not say when they were made: ``captured_at`` is when we asked.

Prices are asked as American integers, because two-decimal decimal prices cannot be
turned back into them, and times as ISO 8601.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from extract.client import Answer, ApiClient, ApiKey, Fetched, RateLimit, Refusal, RetryPolicy
from extract.contracts import is_time
from extract.extraction import Asker, Extraction, Problems, extraction, in_chunks
from extract.past import HISTORICAL_FACTOR, Past, Scope
from extract.payloads import Response
from extract.records import (
    AuthenticationError,
    CircuitOpen,
    Clock,
    EventNotFound,
    ExtractError,
    FatalError,
    InvalidRequest,
    Ledger,
    QuotaExhausted,
    TierLimit,
    UnknownSport,
    UnreachableHost,
)

SOURCE = "odds_api"
LABEL = "The Odds API"
DEFAULT_URL = "https://api.the-odds-api.com"
ENDPOINTS = frozenset({"sports", "events", "odds", "scores", "event_odds"})

FEATURED_MARKETS = frozenset({"h2h", "spreads", "totals", "outrights"})
_LAY_MARKETS = {"h2h_lay": "h2h", "outrights_lay": "outrights"}

RESPONSES_PER_LOAD = 50
_END = datetime.max.replace(tzinfo=UTC)
_FORMATS = {"oddsFormat": "american", "dateFormat": "iso"}


def connect(
    *,
    base_url: str = DEFAULT_URL,
    key: SecretStr,
    ledger: Ledger,
    clock: Clock,
    rate_limit: RateLimit | None = None,
    retry: RetryPolicy | None = None,
    timeout: tuple[float, float] = (5.0, 30.0),
    sleep: Callable[[float], None] = time.sleep,
) -> ApiClient:
    """A client of The Odds API; asks nothing yet.

    Raises:
        AuthenticationError: the key is empty or cannot be a key.
        InvalidRequest: ``base_url`` is no http(s) URL.
    """
    return ApiClient(
        source=SOURCE,
        label=LABEL,
        base_url=base_url,
        url_setting="ODDS_API_URL",
        key=ApiKey(key, "query", "apiKey", "ODDS_API_KEY"),
        ledger=ledger,
        clock=clock,
        explain=_explain,
        rate_limit=rate_limit or RateLimit(25, 1.0, sleep=sleep),
        retry=retry,
        timeout=timeout,
        sleep=sleep,
    )


def odds_api(
    client: ApiClient,
    *,
    sports: Collection[str],
    regions: Collection[str] = (),
    bookmakers: Collection[str] = (),
    markets: Collection[str] = ("h2h", "spreads", "totals"),
    event_markets: Collection[str] = (),
    endpoints: Collection[str] = ("sports", "events", "odds", "scores"),
    scores_days: int = 3,
    event_window: timedelta = timedelta(hours=24),
) -> Extraction:
    """What is on offer now, and the scores, one request per sport and endpoint.

    Args:
        client: from ``connect``.
        sports: sport keys, such as ``basketball_nba``.
        regions: such as ``us``; ignored if ``bookmakers`` are given.
        bookmakers: bookmaker keys.
        markets: featured markets, asked of ``/odds`` (see ``split_markets``).
        event_markets: other markets, asked event by event if ``event_odds`` is among
            the endpoints.
        endpoints: some of ``ENDPOINTS``; ``event_odds`` asks ``events`` too.
        scores_days: completed games of the last 1 to 3 days; 0 for none.
        event_window: ``event_odds`` asks for events that start within this time.

    Returns:
        An extraction with one resource an endpoint; nothing is asked until it is landed.

    Raises:
        InvalidRequest: the parameters contradict what the API takes.
    """
    _known(endpoints)
    if not sports and set(endpoints) != {"sports"}:
        raise InvalidRequest("no sport to ask for: set ODDS_API_SPORTS, e.g. basketball_nba")
    if scores_days not in (0, 1, 2, 3):
        raise InvalidRequest(f"scores_days is {scores_days}: the API takes 1 to 3, or 0 for none")
    problems = Problems()
    asker = Asker(client, problems)
    listed: dict[str, list[Any]] = {}
    resources: dict[str, Iterator[Response]] = {}
    if "sports" in endpoints:
        resources["sports"] = _sports(asker)
    if "events" in endpoints or "event_odds" in endpoints:
        resources["events"] = _events(asker, sports, listed)
    if "odds" in endpoints:
        offer = _offer(markets, regions, bookmakers)
        _only(markets, is_featured=True)
        resources["odds"] = _odds(asker, sports, offer)
    if "event_odds" in endpoints:
        offer = _offer(event_markets, regions, bookmakers)
        _only(event_markets, is_featured=False)
        resources["event_odds"] = _event_odds(asker, sports, offer, listed, event_window)
    if "scores" in endpoints:
        resources["scores"] = _scores(asker, sports, scores_days)
    return extraction(SOURCE, resources, problems, client.ledger)


def odds_api_event_odds(
    client: ApiClient,
    *,
    sport: str,
    event_ids: Collection[str],
    markets: Collection[str],
    regions: Collection[str] = (),
    bookmakers: Collection[str] = (),
) -> Extraction:
    """What is on offer now for single events, for markets that are not featured.

    Returns:
        An extraction; nothing is asked until it is landed.

    Raises:
        InvalidRequest: the parameters contradict what the API takes.
    """
    offer = _offer(markets, regions, bookmakers)
    _only(markets, is_featured=False)
    problems = Problems()
    responses = _odds_of_events(Asker(client, problems), sport, event_ids, offer)
    return extraction(SOURCE, {"event_odds": responses}, problems, client.ledger)


def odds_api_historical(
    client: ApiClient,
    *,
    sport: str,
    start: datetime,
    end: datetime,
    step: timedelta,
    past: Past,
    regions: Collection[str] = (),
    bookmakers: Collection[str] = (),
    markets: Collection[str] = ("h2h", "spreads", "totals"),
    endpoint: str = "historical_odds",
    size: int = RESPONSES_PER_LOAD,
    may_spend: Callable[[int], bool] = lambda _: True,
) -> Iterator[Extraction]:
    """Walk the past: the snapshots of one sport at ``start``, ``start + step``, … ``end``.

    Only what ``past`` does not know is asked: of a date of which some markets or regions are here
    the others, by themselves. A snapshot that answers several dates is asked for and landed
    once, and after the last one the source has there is nothing to ask. A date that fails is a
    dead letter and the walk goes on, until failures one after the other open the circuit,
    or the host is gone.

    Args:
        start, end: aware; both included.
        step: at least 5 minutes, the API's own step.
        past: what is here already; it learns each answer.
        endpoint: ``historical_odds``, or ``historical_events`` (1 credit each, without
            markets and regions).
        size: responses per load.
        may_spend: asked before each request with what it costs at most; where it says no the
            walk ends.

    Yields:
        Extractions; land each before asking for the next.

    Raises:
        InvalidRequest: before anything is asked.
    """
    dates = asked_dates(start, end, step)
    if endpoint == "historical_odds":
        wanted = historical_scope(markets, regions, bookmakers)
        path, formats = historical_path(sport), _FORMATS
    elif endpoint == "historical_events":
        wanted = Scope()
        path, formats = f"/v4/historical/sports/{sport}/events", {"dateFormat": "iso"}
    else:
        raise InvalidRequest(f"{endpoint} cannot be walked: use historical_odds or historical_events")
    problems = Problems()
    asker = Asker(client, problems)

    def ask(date: datetime, scope: Scope) -> Fetched | None:
        return asker.ask(endpoint, path, {"date": api_time(date), **scope.params, **formats}, _snapshot)

    walk = (_response(fetched, endpoint, sport) for fetched in _walk(asker, ask, dates, wanted, past, may_spend))
    return in_chunks(SOURCE, endpoint, walk, problems, client.ledger, size=size)


def odds_api_historical_event_odds(
    client: ApiClient,
    *,
    sport: str,
    asks: Iterable[tuple[str, datetime]],
    markets: Collection[str],
    regions: Collection[str] = (),
    bookmakers: Collection[str] = (),
    size: int = RESPONSES_PER_LOAD,
) -> Iterator[Extraction]:
    """Past odds of single events, for markets that are not featured.

    Args:
        asks: event id and date, each one request.

    Yields:
        Extractions; land each before asking for the next.

    Raises:
        InvalidRequest: before anything is asked.
    """
    offer = _offer(markets, regions, bookmakers)
    _only(markets, is_featured=False)
    problems = Problems()
    asker = Asker(client, problems)

    def responses() -> Iterator[Response]:
        for event_id, date in asks:
            path = f"/v4/historical/sports/{sport}/events/{event_id}/odds"
            asked = {"date": api_time(date), **offer, **_FORMATS}
            fetched = asker.ask("historical_event_odds", path, asked, _snapshot_of_event)
            if fetched is not None:
                yield _response(fetched, "historical_event_odds", sport, event_id)

    return in_chunks(SOURCE, "historical_event_odds", responses(), problems, client.ledger, size=size)


def split_markets(markets: Iterable[str]) -> tuple[list[str], list[str]]:
    """Market keys as (asked of ``/odds``, asked event by event), sorted, each once.

    A lay market is asked as the market that it comes with.

    >>> split_markets(["totals", "h2h_lay", "player_points"])
    (['h2h', 'totals'], ['player_points'])
    """
    wanted = {_LAY_MARKETS.get(market, market) for market in markets}
    return sorted(wanted & FEATURED_MARKETS), sorted(wanted - FEATURED_MARKETS)


def historical_cost(
    *,
    snapshots: int,
    markets: Collection[str] = ("h2h", "spreads", "totals"),
    regions: Collection[str] = (),
    bookmakers: Collection[str] = (),
) -> int:
    """Credits that a backfill costs at most: 10 x markets x regions x snapshots.

    Bookmakers win over regions; every started 10 of them count as one region.

    >>> historical_cost(snapshots=238, markets=["h2h", "spreads", "totals"], regions=["us"])
    7140
    """
    charged = Scope(regions=frozenset(regions), bookmakers=frozenset(bookmakers)).regions_charged
    return HISTORICAL_FACTOR * len(set(markets)) * charged * snapshots


def historical_scope(markets: Collection[str], regions: Collection[str], bookmakers: Collection[str]) -> Scope:
    """What a request for these asks of a snapshot; bookmakers win over regions.

    Raises:
        InvalidRequest: there is nothing to ask for, or a market that is not featured.
    """
    sent = _offer(markets, regions, bookmakers)
    _only(markets, is_featured=True)
    return Scope.sent(sent["markets"], sent.get("regions"), sent.get("bookmakers"))


def historical_path(sport: str) -> str:
    """Where the odds of a sport's past are asked."""
    return f"/v4/historical/sports/{sport}/odds"


def asked_dates(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """The dates from ``start`` to ``end``, both included, at ``step``, in whole seconds as the API takes them.

    Raises:
        InvalidRequest: a time without a zone, an end before the start, or a step shorter than the API's own.
    """
    start, end = _utc(start).replace(microsecond=0), _utc(end)
    if step < timedelta(minutes=5):
        raise InvalidRequest(f"a step of {step} is shorter than the API's snapshots: 5 minutes")
    if start > end:
        raise InvalidRequest(f"the backfill ends ({end:%F %T}Z) before it starts ({start:%F %T}Z)")
    return [start + number * step for number in range((end - start) // step + 1)]


def answers_until(params: Mapping[str, Any], last: datetime) -> datetime | None:
    """Until when the snapshot of a historical response answers dates, by its own times.

    Args:
        params: with ``next_timestamp`` and ``previous_timestamp``.
        last: what to say of the last snapshot there is.

    Returns:
        None if the data have not begun: it answers the date asked alone.
    """
    following = params.get("next_timestamp")
    if following is not None:
        return parse_time(following)
    return None if params.get("previous_timestamp") is None else last


def api_time(instant: datetime) -> str:
    """The only way the API takes a time: ``2023-10-24T11:55:00Z``.

    Raises:
        InvalidRequest: the instant has no time zone.
    """
    return _utc(instant).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: Any) -> datetime:
    """A time of the API as an aware datetime.

    Raises:
        ValueError: it is not ISO 8601 text with a zone.
    """
    if not is_time(text):
        raise ValueError(f"{text!r:.60} is not a time with a zone, such as 2026-11-23T18:00:00Z")
    return datetime.fromisoformat(text).astimezone(UTC)


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise InvalidRequest(f"{instant.isoformat()} has no time zone: add Z for UTC")
    return instant.astimezone(UTC)


def _known(endpoints: Collection[str]) -> None:
    if unknown := sorted(set(endpoints) - ENDPOINTS):
        raise InvalidRequest(f"{LABEL} has no endpoint {', '.join(unknown)} here: use {', '.join(sorted(ENDPOINTS))}")


def _only(markets: Collection[str], *, is_featured: bool) -> None:
    wrong = sorted(
        market for market in markets if (market in FEATURED_MARKETS or market in _LAY_MARKETS) != is_featured
    )
    if wrong and is_featured:
        raise InvalidRequest(f"{', '.join(wrong)}: not featured, ask event by event (event_odds)")
    if wrong:
        raise InvalidRequest(f"{', '.join(wrong)}: featured, ask them of odds at less cost")


def _offer(markets: Collection[str], regions: Collection[str], bookmakers: Collection[str]) -> dict[str, str]:
    """The parameters that decide what is paid, sorted so that equal asks are equal."""
    if not markets:
        raise InvalidRequest("no market to ask for: set ODDS_API_MARKETS, e.g. h2h,spreads,totals")
    asked = {"markets": ",".join(sorted({_LAY_MARKETS.get(one, one) for one in markets}))}
    if bookmakers:
        return asked | {"bookmakers": ",".join(sorted(set(bookmakers)))}
    if regions:
        return asked | {"regions": ",".join(sorted(set(regions)))}
    raise InvalidRequest("no region to ask for: set ODDS_API_REGIONS, e.g. us")


def _sports(asker: Asker) -> Iterator[Response]:
    fetched = asker.ask("sports", "/v4/sports", {}, _list)
    if fetched is not None:
        yield _response(fetched, "sports")


def _events(asker: Asker, sports: Collection[str], listed: dict[str, list[Any]]) -> Iterator[Response]:
    for sport in sports:
        path = f"/v4/sports/{sport}/events"
        fetched = asker.ask("events", path, {"dateFormat": "iso"}, _list)
        if fetched is not None:
            listed[sport] = fetched.answer.elements
            yield _response(fetched, "events", sport)


def _odds(asker: Asker, sports: Collection[str], offer: dict[str, str]) -> Iterator[Response]:
    for sport in sports:
        path = f"/v4/sports/{sport}/odds"
        fetched = asker.ask("odds", path, {**offer, **_FORMATS}, _list)
        if fetched is not None:
            yield _response(fetched, "odds", sport)


def _scores(asker: Asker, sports: Collection[str], days: int) -> Iterator[Response]:
    for sport in sports:
        path = f"/v4/sports/{sport}/scores"
        asked = {"daysFrom": days or None, "dateFormat": "iso"}
        fetched = asker.ask("scores", path, asked, _list)
        if fetched is not None:
            yield _response(fetched, "scores", sport)


def _event_odds(
    asker: Asker,
    sports: Collection[str],
    offer: dict[str, str],
    listed: dict[str, list[Any]],
    window: timedelta,
) -> Iterator[Response]:
    for sport in sports:
        now = asker.client.clock.now()
        yield from _odds_of_events(asker, sport, _starting(listed.pop(sport, []), now, now + window), offer)


def _odds_of_events(asker: Asker, sport: str, event_ids: Iterable[str], offer: dict[str, str]) -> Iterator[Response]:
    for event_id in event_ids:
        path = f"/v4/sports/{sport}/events/{event_id}/odds"
        fetched = asker.ask("event_odds", path, {**offer, **_FORMATS}, _object)
        if fetched is not None:
            yield _response(fetched, "event_odds", sport, event_id)


def _starting(events: list[Any], after: datetime, until: datetime) -> list[str]:
    """Ids of the events that start in a window; what has no id or time is not asked."""
    chosen = []
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("id"), str):
            try:
                start = parse_time(event.get("commence_time"))
            except ValueError:
                continue
            if after < start <= until:
                chosen.append(event["id"])
    return chosen


def _walk(
    asker: Asker,
    ask: Callable[[datetime, Scope], Fetched | None],
    dates: Iterable[datetime],
    wanted: Scope,
    past: Past,
    may_spend: Callable[[int], bool],
) -> Iterator[Fetched]:
    for date in dates:
        for scope in past.missing(wanted, date):
            if not may_spend(scope.historical_credits):
                return
            fetched = ask(date, scope)
            if fetched is None:
                if any(isinstance(one, (FatalError, UnreachableHost, CircuitOpen)) for one in asker.problems.failures):
                    return
                continue
            snapshot = fetched.captured_at
            is_new = not past.is_here(scope, snapshot)
            past.answered(scope, date, snapshot, answers_until(fetched.params, _END))
            past.landed(scope, snapshot)
            if is_new:
                yield fetched


def _response(fetched: Fetched, endpoint: str, sport: str | None = None, event_id: str | None = None) -> Response:
    return Response(
        request_id=fetched.request_id,
        endpoint=endpoint,
        captured_at=fetched.captured_at,
        params=fetched.params,
        elements=fetched.answer.elements,
        response_hash=fetched.response_hash,
        sport_key=sport,
        event_id=event_id,
        markets_asked=fetched.params.get("markets"),
        regions_asked=fetched.params.get("regions"),
        bookmakers_asked=fetched.params.get("bookmakers"),
    )


def _list(body: Any) -> Answer:
    if not isinstance(body, list):
        raise ValueError(f"expected a list, got {type(body).__name__}")
    return Answer(body)


def _object(body: Any) -> Answer:
    if not isinstance(body, dict):
        raise ValueError(f"expected an object, got {type(body).__name__}")
    return Answer([body])


def snapshot_params(body: Any) -> dict[str, Any]:
    """The wrapper's three times, checked; the data is left to the caller.

    Raises:
        ValueError: it is not the wrapper of a historical response.
    """
    if not isinstance(body, dict) or "timestamp" not in body or "data" not in body:
        raise ValueError("expected an object with timestamp and data")
    times = {"timestamp": body["timestamp"]}
    for name in ("previous_timestamp", "next_timestamp"):
        times[name] = body.get(name)
        if times[name] is not None:
            parse_time(times[name])
    parse_time(body["timestamp"])
    return times


def _snapshot(body: Any) -> Answer:
    times = snapshot_params(body)
    return _at(times, _list(body["data"]))


def _snapshot_of_event(body: Any) -> Answer:
    times = snapshot_params(body)
    return _at(times, _object(body["data"]))


def _at(times: dict[str, Any], answer: Answer) -> Answer:
    captured_at = parse_time(times.pop("timestamp"))
    return Answer(answer.elements, captured_at=captured_at, params=times)


def _explain(refusal: Refusal) -> ExtractError | None:
    """What an error code of the API means and what to do about it."""
    code, status = refusal.code, refusal.status
    said = f"{LABEL} {refusal.path}: {code}"
    if code == "OUT_OF_USAGE_CREDITS":
        used = "" if refusal.quota.used is None else f" ({refusal.quota.used:,} used)"
        return QuotaExhausted(
            f"the credits of {LABEL} are used up{used} ({code}): they come back on the 1st of "
            "the month; ask for fewer markets or regions, or take a larger plan",
            code=code,
            status=status,
        )
    if code == "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN":
        return TierLimit(
            f"the plan of this key of {LABEL} has no historical odds ({code}): a paid plan has",
            code=code,
            status=status,
        )
    if code in ("MISSING_KEY", "INVALID_KEY", "DEACTIVATED_KEY"):
        return AuthenticationError(f"{LABEL} refuses the key ({code}): check ODDS_API_KEY", code=code, status=status)
    if code == "UNKNOWN_SPORT":
        sport = refusal.path.split("/sports/")[-1].split("/")[0]
        return UnknownSport(
            f"{LABEL} knows no sport {sport!r} ({code}): check ODDS_API_SPORTS; the endpoint /v4/sports lists the keys",
            code=code,
            status=status,
        )
    if code == "EVENT_NOT_FOUND":
        return EventNotFound(f"{said}: the event is over or was never there", code=code)
    return None
