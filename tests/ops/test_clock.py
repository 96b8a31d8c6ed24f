"""The pipeline's one notion of now."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ops.clock import Clock, parse_instant, to_iso
from ops.errors import SettingsError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_fixed_clock_stands_still_in_utc() -> None:
    clock = Clock(NOON.astimezone(timezone(timedelta(hours=-5))))
    assert clock.is_fixed
    assert clock.now() == NOON
    assert clock.now().utcoffset() == timedelta(0)


def test_a_real_clock_runs() -> None:
    clock = Clock()
    assert not clock.is_fixed
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00+00:00", "2026-11-23 07:00:00-05:00", " 2026-11-23T12:00Z "]
)
def test_instants_that_say_their_zone_are_read(text: str) -> None:
    assert parse_instant(text) == NOON


def test_a_bare_date_is_its_first_instant_in_utc() -> None:
    assert parse_instant("2026-11-23") == datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-23T12:00:00", "yesterday", "", "2026-13-01"])
def test_what_is_no_instant_or_says_no_zone_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="write it as"):
        parse_instant(text)


def test_an_instant_is_written_so_that_it_is_read_again() -> None:
    assert to_iso(NOON) == "2026-11-23T12:00:00Z"
    assert parse_instant(to_iso(NOON)) == NOON
