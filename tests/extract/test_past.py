"""What of the past is known: by date, market and place."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.past import Past, Scope, scopes_of

NOON = datetime(2024, 1, 17, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL = Scope.sent("h2h,spreads,totals", "us", None)

SCOPES = st.builds(
    Scope,
    st.frozensets(st.sampled_from(["h2h", "spreads", "totals"]), min_size=1),
    st.frozensets(st.sampled_from(["us", "eu", "uk"]), min_size=1),
)


def known(scope: Scope, date: datetime, snapshot: datetime, until: datetime | None) -> Past:
    past = Past()
    past.answered(scope, date, snapshot, until)
    past.landed(scope, snapshot)
    return past


def asked(past: Past, wanted: Scope, date: datetime) -> list[dict[str, str]]:
    return [scope.params for scope in past.missing(wanted, date)]


def test_a_snapshot_answers_until_the_next_one() -> None:
    past = known(ALL, NOON, NOON - 5 * MINUTE, NOON + 5 * MINUTE)

    minutes = [one for one in range(-7, 8) if not past.missing(ALL, NOON + one * MINUTE)]

    assert minutes == [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4]


def test_a_date_that_was_answered_is_known_though_nobody_says_until_when() -> None:
    # Recorded once a day: the snapshot of yesterday, which says that the next one came five minutes later.
    past = known(ALL, NOON, NOON - 1440 * MINUTE, NOON - 1435 * MINUTE)

    assert past.missing(ALL, NOON) == []
    assert past.missing(ALL, NOON - MINUTE) == [ALL]


def test_a_date_whose_answer_was_lost_is_asked_again() -> None:
    past = Past()
    past.answered(ALL, NOON, NOON, NOON + 5 * MINUTE)

    assert past.missing(ALL, NOON) == [ALL]


def test_another_market_is_asked_alone_and_another_region_for_all_markets() -> None:
    past = known(Scope.sent("h2h,totals", "us", None), NOON, NOON, NOON + MINUTE)

    assert asked(past, ALL, NOON) == [{"markets": "spreads", "regions": "us"}]
    both = Scope.sent("h2h,spreads,totals", "eu,us", None)
    assert asked(past, both, NOON) == [
        {"markets": "h2h,totals", "regions": "eu"},
        {"markets": "spreads", "regions": "eu,us"},
    ]
    # 10 x (2 x 1 + 1 x 2), where asking all of it again would be 10 x 3 x 2.
    assert [scope.historical_credits for scope in past.missing(both, NOON)] == [20, 20]


def test_bookmakers_are_known_by_name_and_never_by_a_region() -> None:
    named = Scope.sent("h2h", None, "betmgm,fanduel")
    past = known(Scope.sent("h2h", "us", None), NOON, NOON, NOON + MINUTE)
    assert past.missing(named, NOON) == [named]

    past = known(Scope.sent("h2h", None, "fanduel"), NOON, NOON, NOON + MINUTE)
    assert asked(past, named, NOON) == [{"markets": "h2h", "bookmakers": "betmgm"}]


def test_what_several_requests_brought_together_is_known() -> None:
    past = Past()
    for markets in ("h2h,spreads", "totals"):
        scope = Scope.sent(markets, "us", None)
        past.answered(scope, NOON, NOON - MINUTE, NOON + MINUTE)
        past.landed(scope, NOON - MINUTE)

    assert past.missing(ALL, NOON) == []
    assert past.is_here(ALL, NOON - MINUTE)


def test_events_have_no_markets_and_cost_one_credit() -> None:
    events = Scope()
    assert events.params == {}
    assert events.historical_credits == 1
    assert Past().missing(events, NOON) == [events]
    assert known(events, NOON, NOON, None).missing(events, NOON) == []


@given(wanted=SCOPES, here=st.lists(SCOPES, max_size=4))
def test_what_is_asked_is_what_is_missing_and_no_cell_twice(wanted: Scope, here: list[Scope]) -> None:
    """Ten credits for each market and region that is not here: the rule of the API, over any requests before."""
    past = Past()
    for scope in here:
        past.answered(scope, NOON, NOON, NOON + MINUTE)
        past.landed(scope, NOON)

    missing = past.missing(wanted, NOON)

    cells = {(market, region) for market in wanted.markets for region in wanted.regions}
    cells -= {(market, region) for scope in here for market in scope.markets for region in scope.regions}
    again = [(market, region) for scope in missing for market in scope.markets for region in scope.regions]
    assert sorted(again) == sorted(cells)
    assert sum(scope.historical_credits for scope in missing) == 10 * len(cells)


@pytest.mark.parametrize(("count", "regions"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_bookmakers_are_charged_by_the_ten(count: int, regions: int) -> None:
    named = Scope(frozenset({"h2h"}), bookmakers=frozenset(f"book{number}" for number in range(count)))
    assert named.historical_credits == 10 * regions
    assert scopes_of(named.cells) == [named]
