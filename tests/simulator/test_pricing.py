"""Prices as bookmakers print them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.pricing import american, american_from_decimal, decimal_from_american, win_probability, with_hold


@given(st.floats(0.004, 0.996), st.floats(0.0, 0.10))
def test_both_sides_sum_to_one_plus_the_hold_and_stay_possible(probability: float, hold: float) -> None:
    first, second = with_hold(probability, hold)
    assert first + second == pytest.approx(1 + hold)
    assert 0 < first < 1
    assert 0 < second < 1


def test_an_even_market_with_the_usual_hold_is_minus_110_on_both_sides() -> None:
    # -110 is 110/210 = 0.5238, twice that is 1.0476
    assert [american(side) for side in with_hold(0.5, 0.0476)] == [-110, -110]


@given(st.floats(0.001, 0.999))
def test_an_american_price_is_never_in_the_gap(implied: float) -> None:
    price = american(implied)
    assert price >= 100 or price < -100


@given(st.integers(101, 5_000))
def test_a_price_survives_the_way_through_decimal_odds_where_two_places_tell_it(size: int) -> None:
    # two decimal places tell +101 to +5000 apart, but -300 becomes 1.33, which is -303
    assert american_from_decimal(decimal_from_american(size)) == size
    assert american_from_decimal(decimal_from_american(-300)) == -303


def test_a_decimal_price_of_one_or_less_is_refused() -> None:
    with pytest.raises(ValueError, match="not above 1"):
        american_from_decimal(1.0)


def test_a_three_point_favourite_wins_six_times_in_ten() -> None:
    # the normal distribution at 3 / 12 = 0.25 standard deviations: 0.5987
    assert win_probability(3.0, 12.0) == pytest.approx(0.5987, abs=0.0001)
