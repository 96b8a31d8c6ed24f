"""Dead letters: kept once, opened again when they come back, settled when the marts can use them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from extract.records import DeadLetter
from ops import dead_letters
from ops.clock import Clock
from ops.errors import LinekeeperError
from ops.ledger import Ledger
from ops.warehouse import Connection

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BROKEN = DeadLetter(
    "element", "odds_api", "odds", "odds/abc", "missing_id", "id is None", {"name": "x\x00y"}, b"\xff\x00"
)


@pytest.fixture
def ledger(warehouse: Connection) -> Iterator[Ledger]:
    with Ledger(warehouse, Clock(NOON)) as ledger:
        yield ledger


@pytest.fixture
def marts(ledger: Ledger) -> Ledger:
    """The two marts that dead letters are collected from, as empty tables."""
    ledger.query("create schema marts")
    ledger.query(
        """
        create table marts.rejected_quotes (
            event_id text, bookmaker_key text, market_key text, outcome_name text, description text,
            line_points numeric, price_quoted text, reason text, first_captured_at timestamptz,
            last_captured_at timestamptz, quote_count bigint
        )
        """
    )
    ledger.query(
        "create table marts.unmatched_events (source text, source_id text, reason text, candidates jsonb, detail text)"
    )
    return ledger


def _reject(ledger: Ledger, price: str = "50", count: int = 1) -> None:
    ledger.query("delete from marts.rejected_quotes")
    ledger.query(
        "insert into marts.rejected_quotes values "
        "('e1', 'fanduel', 'h2h', 'Boston Celtics', null, null, %s, 'impossible_price', %s, %s, %s)",
        (price, NOON - timedelta(hours=1), NOON, count),
    )


def test_the_same_letter_again_is_one_more_attempt(warehouse: Connection) -> None:
    for hour in range(3):
        with Ledger(warehouse, Clock(NOON + timedelta(hours=hour))) as ledger:
            ledger.dead_letter(BROKEN)
            [letter] = dead_letters.find(ledger)
    assert letter.attempts == 3
    assert letter.first_seen_at == NOON
    assert letter.last_seen_at == NOON + timedelta(hours=2)
    assert letter.raw_body == b"\xff\x00"


@pytest.mark.parametrize(
    ("closed_as", "then"), [("replayed", "open"), ("resolved", "open"), ("discarded", "discarded")]
)
def test_a_closed_letter_that_comes_back_is_open_unless_it_was_discarded(
    ledger: Ledger, closed_as: str, then: str
) -> None:
    ledger.dead_letter(BROKEN)
    [letter] = dead_letters.find(ledger)
    dead_letters.close(ledger, letter, closed_as, "by hand")
    assert dead_letters.find(ledger) == []
    ledger.dead_letter(BROKEN)
    [again] = dead_letters.find(ledger, state=None)
    assert (again.state, again.attempts) == (then, 2)


def test_a_letter_is_found_by_how_its_id_begins(ledger: Ledger) -> None:
    ledger.dead_letter(BROKEN)
    [letter] = dead_letters.find(ledger)
    assert dead_letters.get(ledger, letter.dead_letter_id[:8]) == letter
    with pytest.raises(LinekeeperError, match="no dead letter has an id that begins with 'zzz'"):
        dead_letters.get(ledger, "zzz")
    ledger.dead_letter(DeadLetter("request", "odds_api", "odds", "/v4", "server_error"))
    with pytest.raises(LinekeeperError, match="more than one"):
        dead_letters.get(ledger, "")


def test_without_the_marts_there_is_nothing_to_collect(ledger: Ledger) -> None:
    assert dead_letters.collect(ledger) == 0


def test_rejected_quotes_are_collected_once(marts: Ledger) -> None:
    _reject(marts, count=4)
    assert dead_letters.collect(marts) == 1
    [letter] = dead_letters.find(marts, kind="quote")
    assert letter.reason == "impossible_price"
    assert letter.natural_key == "e1 fanduel h2h Boston Celtics - -"
    assert letter.attempts == 4
    assert letter.first_seen_at == NOON - timedelta(hours=1)
    before = marts.query("select xmin, * from ops.dead_letters")
    assert dead_letters.collect(marts) == 0
    assert marts.query("select xmin, * from ops.dead_letters") == before


def test_a_rejected_quote_seen_more_often_is_brought_up_to_date(marts: Ledger) -> None:
    _reject(marts, count=1)
    dead_letters.collect(marts)
    _reject(marts, count=9)
    assert dead_letters.collect(marts) == 0
    [letter] = dead_letters.find(marts)
    assert letter.attempts == 9


def test_an_event_that_has_since_matched_is_resolved_and_opens_again_if_it_is_lost(marts: Ledger) -> None:
    unmatched = "insert into marts.unmatched_events values ('odds_api', 'e9', 'no_game', '[]', 'no game near')"
    marts.query(unmatched)
    assert dead_letters.collect(marts) == 1
    marts.query("delete from marts.unmatched_events")
    dead_letters.collect(marts)
    [resolved] = dead_letters.find(marts, state=None)
    assert (resolved.state, resolved.closed_reason) == ("resolved", "the marts can use it now")
    marts.query(unmatched)
    assert dead_letters.collect(marts) == 0
    [again] = dead_letters.find(marts)
    assert again.state == "open"


def test_a_discarded_quote_stays_discarded(marts: Ledger) -> None:
    _reject(marts)
    dead_letters.collect(marts)
    [letter] = dead_letters.find(marts)
    dead_letters.close(marts, letter, "discarded", "a known fault")
    _reject(marts, count=2)
    dead_letters.collect(marts)
    assert [one.state for one in dead_letters.find(marts, state=None)] == ["discarded"]


def test_letters_of_requests_are_not_settled_by_the_marts(marts: Ledger) -> None:
    marts.dead_letter(BROKEN)
    dead_letters.collect(marts)
    assert [letter.state for letter in dead_letters.find(marts)] == ["open"]
