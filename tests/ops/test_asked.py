"""What the warehouse remembers of the past: what landed, and what was answered without landing."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from extract.extraction import Problems, extraction
from extract.landing import land
from extract.past import Past, Scope
from extract.payloads import Response
from extract.records import ApiRequest
from ops.asked import has_all_pages, past_of
from ops.clock import Clock
from ops.ledger import Ledger
from ops.warehouse import Connection

NBA, NOON, MINUTE = "basketball_nba", datetime(2024, 1, 17, 12, tzinfo=UTC), timedelta(minutes=1)
US = Scope.sent("h2h", "us", None)


@pytest.fixture
def ledger(warehouse: Connection) -> Iterator[Ledger]:
    with Ledger(warehouse, Clock(NOON + timedelta(hours=2))) as ledger:
        yield ledger


def answer(ledger: Ledger, date: datetime, snapshot: datetime, *, error_code: str | None = None, **times: Any) -> str:
    """Record a request for a date as the client does; what it brought does not land."""
    request_id = str(uuid.uuid4())
    params = {"date": f"{date:%FT%TZ}", "markets": "h2h", "regions": "us", **times}
    ledger.record_request(
        ApiRequest(
            request_id=request_id, source="odds_api", endpoint="historical_odds",
            url_path=f"/v4/historical/sports/{NBA}/odds", params=params, requested_at=datetime.now(UTC),
            captured_at=snapshot, status=200, error_code=error_code, error_message=error_code, attempts=1,
            latency_ms=1.0, row_count=0, byte_count=2, credits_last=10, credits_used=10, credits_remaining=90,
        )
    )  # fmt: skip
    return request_id


def response(request_id: str, snapshot: datetime) -> Response:
    return Response(
        request_id, "historical_odds", snapshot, {}, [], "hash", sport_key=NBA, markets_asked="h2h", regions_asked="us"
    )


def land_it(ledger: Ledger, source: str, one: Response) -> None:
    land(ledger.connection.url, extraction(source, {"past": iter([one])}, Problems(), ledger))


def is_known(past: Past, date: datetime) -> bool:
    return past.missing(US, date) == []


def test_a_date_that_an_earlier_snapshot_answered_is_known_by_its_request(ledger: Ledger) -> None:
    day = timedelta(days=1)
    following = f"{NOON + 5 * MINUTE:%FT%TZ}"
    land_it(ledger, "odds_api", response(answer(ledger, NOON, NOON, next_timestamp=following), NOON))
    answer(ledger, NOON + day, NOON, next_timestamp=following)
    answer(ledger, NOON + 2 * day, NOON, error_code="server_error")

    past = past_of(ledger, NBA)

    known = [is_known(past, NOON + days * day) for days in range(3)]
    assert known == [True, True, False]
    assert not is_known(past_of(ledger, "basketball_wnba"), NOON)


def test_the_last_snapshot_answers_all_dates_until_it_was_asked_for(ledger: Ledger) -> None:
    """With a next one or a previous one missing it is the last; with both missing the data have not begun."""
    with ledger.run("backfill"):
        request_id = answer(ledger, NOON, NOON - MINUTE, previous_timestamp=f"{NOON - 6 * MINUTE:%FT%TZ}")
        land_it(ledger, "odds_api", response(request_id, NOON - MINUTE))
        before_all = NOON - timedelta(days=400)
        land_it(ledger, "odds_api", response(answer(ledger, before_all, before_all), before_all))

    past = past_of(ledger, NBA)

    # The clock of the run stood at 14:00.
    known = [is_known(past, NOON + minutes * MINUTE) for minutes in (-2, -1, 0, 120, 121)]
    assert known == [False, True, True, True, False]
    assert is_known(past, before_all)
    assert not is_known(past, before_all + MINUTE)


def test_an_answer_that_was_lost_is_not_known_and_one_that_waits_to_land_is(ledger: Ledger) -> None:
    answer(ledger, NOON, NOON)
    waiting = answer(ledger, NOON + MINUTE, NOON + MINUTE)
    ledger.keep_response("odds_api", response(waiting, NOON + MINUTE))

    past = past_of(ledger, NBA)

    assert not is_known(past, NOON)
    assert is_known(past, NOON + MINUTE)


def test_a_stretch_of_days_is_complete_with_a_page_that_is_not_full(ledger: Ledger) -> None:
    first, last, params = date(2024, 1, 8), date(2024, 1, 14), {"start_date": "2024-01-08", "end_date": "2024-01-14"}

    def page(rows: int, captured_at: datetime) -> None:
        games = [{"id": 1_000 + number, "season": 2023, "date": "2024-01-09"} for number in range(rows)]
        land_it(
            ledger, "balldontlie", Response(str(uuid.uuid4()), "games", captured_at, params, games, f"{captured_at}")
        )

    page(100, NOON)
    assert not has_all_pages(ledger, "games", first, last, NOON)
    page(7, NOON)
    assert has_all_pages(ledger, "games", first, last, NOON)
    assert not has_all_pages(ledger, "games", first, last, NOON + MINUTE)
    assert not has_all_pages(ledger, "stats", first, last, NOON)
    assert not has_all_pages(ledger, "games", first, date(2024, 1, 15), NOON)
