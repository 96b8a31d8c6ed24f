"""Randomness without state: the same key always gives the same number.

Everything the simulated league does is a pure function of a seed and of what is being asked about, so a
number is drawn by hashing a key such as ``"7:tip:20000123"`` rather than by advancing a generator.
"""

from __future__ import annotations

from hashlib import blake2b
from statistics import NormalDist

_STANDARD_NORMAL = NormalDist()
_SCALE = 2.0**-53


def bits(key: str) -> int:
    """64 well-mixed bits for `key`."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")


def uniform(key: str) -> float:
    """A number in the open interval (0, 1)."""
    return ((bits(key) >> 11) + 0.5) * _SCALE


def normal(key: str, mean: float = 0.0, sd: float = 1.0) -> float:
    """A draw from the normal distribution with `mean` and `sd`."""
    return mean + sd * _STANDARD_NORMAL.inv_cdf(uniform(key))


def integer(key: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + bits(key) % (high - low + 1)


def hex_id(key: str) -> str:
    """A 32-digit hexadecimal id, the shape of The Odds API's event ids."""
    return blake2b(key.encode(), digest_size=16).hexdigest()
