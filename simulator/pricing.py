"""From a probability to a price as a bookmaker would print it."""

from __future__ import annotations

from math import erf, sqrt

_ROOT_2 = sqrt(2.0)


def win_probability(margin: float, sd: float) -> float:
    """P(X > 0) for a normal X with mean `margin` and standard deviation `sd` points."""
    return 0.5 * (1.0 + erf(margin / (sd * _ROOT_2)))


def with_hold(probability: float, hold: float) -> tuple[float, float]:
    """Implied probabilities of a two-way market that sum to 1 + `hold`, for a fair `probability` of the first side.

    Both sides are marked up in proportion, except that a heavy favourite keeps at least six tenths of the distance to
    certainty; what he is spared, the outsider bears.
    """
    favourite = max(probability, 1.0 - probability)
    marked_up = min(favourite * (1.0 + hold), 1.0 - 0.6 * (1.0 - favourite))
    rest = 1.0 + hold - marked_up
    return (marked_up, rest) if probability >= 0.5 else (rest, marked_up)


def american(implied: float) -> int:
    """The American price nearest to an implied probability, on the steps that books use; never −100."""
    implied = min(max(implied, 0.004), 0.9965)
    exact = 100.0 * implied / (1.0 - implied) if implied > 0.5 else 100.0 * (1.0 - implied) / implied
    step = 1 if exact < 160 else 5 if exact < 400 else 10 if exact < 1000 else 50
    size = max(100, round(exact / step) * step)
    return -size if implied > 0.5 and size > 100 else size


def decimal_from_american(price: int) -> float | int:
    """The decimal price to two places, an int where it is whole, as in the API's JSON."""
    exact = round(1.0 + (price / 100.0 if price > 0 else 100.0 / -price), 2)
    return int(exact) if exact.is_integer() else exact


def american_from_decimal(price: float) -> int:
    """The nearest American price of a decimal one."""
    if price <= 1.0:
        raise ValueError(f"the decimal price {price} is not above 1: a recorded payload is damaged")
    return round((price - 1.0) * 100.0) if price >= 2.0 else round(-100.0 / (price - 1.0))
