"""Fixtures for the tests of extract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from extract import balldontlie, odds_api
from extract.client import ApiClient, RateLimit, RetryPolicy
from tests.extract.doubles import KEY, Book, StoppedClock, Wire, listening

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server that answers what the test wants."""
    with listening() as wire:
        yield wire


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def naps() -> list[float]:
    """The waits, in seconds, that were asked for and not slept."""
    return []


def _unpaced(naps: list[float]) -> RateLimit:
    return RateLimit(1_000_000, 1.0, sleep=naps.append)


@pytest.fixture
def odds_client(wire: Wire, book: Book, clock: StoppedClock, naps: list[float]) -> ApiClient:
    """A client of The Odds API on the wire, that does not sleep."""
    return odds_api.connect(
        base_url=wire.base_url,
        key=SecretStr(KEY),
        ledger=book,
        clock=clock,
        rate_limit=_unpaced(naps),
        retry=RetryPolicy(max_attempts=4),
        timeout=(1.0, 1.0),
        sleep=naps.append,
    )


@pytest.fixture
def games_client(wire: Wire, book: Book, clock: StoppedClock, naps: list[float]) -> ApiClient:
    """A client of BallDontLie on the wire, that does not sleep."""
    return balldontlie.connect(
        base_url=wire.base_url,
        key=SecretStr(KEY),
        ledger=book,
        clock=clock,
        rate_limit=_unpaced(naps),
        retry=RetryPolicy(max_attempts=4),
        timeout=(1.0, 1.0),
        sleep=naps.append,
    )


@pytest.fixture
def recordings() -> Path:
    """The recorded payloads beside the project, where there are any."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recorded payloads in {RECORDINGS}")
    return RECORDINGS
