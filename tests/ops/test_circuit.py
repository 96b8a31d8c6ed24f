"""The circuit of a source follows from the requests on record, whoever made them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from extract.circuit import CircuitPolicy, Outage
from extract.records import ApiRequest
from ops.ledger import Ledger
from ops.report import circuits
from ops.warehouse import Connection

NOW = datetime.now(UTC)


@pytest.fixture
def ledger(warehouse: Connection) -> Iterator[Ledger]:
    with Ledger(warehouse) as ledger:
        yield ledger


def _ask(ledger: Ledger, seconds_ago: float, status: int | None, code: str | None, source: str = "odds_api") -> None:
    at = NOW - timedelta(seconds=seconds_ago)
    ledger.record_request(
        ApiRequest(
            str(uuid4()), source, "odds", "/v4", {}, at, at, status, code, code and f"it said {code}",
            1, 1.0, None, None, None, None, None,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code"),
    [(None, "unreachable_host"), (429, "EXCEEDED_FREQ_LIMIT"), (408, "server_error"), (503, "server_error"),
     (200, "bad_payload")],
)  # fmt: skip
def test_failures_in_a_row_are_counted_since_the_last_answer(ledger: Ledger, status: int | None, code: str) -> None:
    _ask(ledger, 50, 500, "server_error")
    _ask(ledger, 40, 200, None)
    assert ledger.outage("odds_api") is None
    _ask(ledger, 30, status, code)
    _ask(ledger, 20, status, code)
    _ask(ledger, 10, 200, None, source="balldontlie")
    assert ledger.outage("odds_api") == Outage(
        2, NOW - timedelta(seconds=30), NOW - timedelta(seconds=20), f"it said {code}"
    )
    assert ledger.outage("balldontlie") is None


@pytest.mark.parametrize(("status", "code"), [(401, "INVALID_KEY"), (404, "EVENT_NOT_FOUND"), (422, "invalid_request")])
def test_an_error_that_the_source_explains_is_an_answer(ledger: Ledger, status: int, code: str) -> None:
    _ask(ledger, 30, None, "unreachable_host")
    _ask(ledger, 20, status, code)
    assert ledger.outage("odds_api") is None


def test_another_runner_sees_the_same_circuit(ledger: Ledger, warehouse: Connection) -> None:
    for seconds in (3, 2, 1):
        _ask(ledger, seconds, None, "unreachable_host")
    with Ledger(warehouse) as other:
        assert other.outage("odds_api") == ledger.outage("odds_api")
        [line] = circuits(other, NOW)
    assert line.startswith("The circuit of odds_api is open: 3 requests in a row failed since ")
    assert line.endswith("the last said: it said unreachable_host")
    [line] = circuits(ledger, NOW + timedelta(minutes=6))
    assert "is half-open" in line


@pytest.mark.parametrize(
    ("failures", "minutes"), [(1, None), (2, None), (3, 5), (4, 10), (5, 20), (6, 25), (7, 25), (100, 25)]
)
def test_the_pause_doubles_up_to_less_than_two_cycles(failures: int, minutes: int | None) -> None:
    trial_at = CircuitPolicy().trial_at(Outage(failures, NOW - timedelta(hours=1), NOW, "down"))
    assert trial_at == (None if minutes is None else NOW + timedelta(minutes=minutes))


def test_without_an_outage_a_circuit_is_closed() -> None:
    assert CircuitPolicy().trial_at(None) is None
