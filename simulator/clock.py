"""The simulator's notion of now: the real time, or an instant that stands still until it is set again."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime, strftime

_WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class SimulatorClock:
    """Now, as the served data see it; `fixed_at=None` means the real time."""

    def __init__(self, fixed_at: datetime | None = None) -> None:
        self._fixed_at: datetime | None = None
        self.set(fixed_at)

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        return self._fixed_at if self._fixed_at is not None else datetime.now(UTC)

    def epoch(self) -> int:
        """The current instant in whole seconds since 1970."""
        return int(self.now().timestamp())

    def set(self, instant: datetime | None) -> None:
        """Stand still at `instant`, or follow the real time again if it is None."""
        if instant is not None and instant.tzinfo is None:
            raise ValueError(f"the instant {instant.isoformat()} has no time zone: give it one, e.g. tzinfo=UTC")
        self._fixed_at = None if instant is None else instant.astimezone(UTC)


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant such as ``2024-01-17T12:00:00Z`` or ``2024-01-17`` (midnight UTC), in UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an instant: write it like 2024-01-17T12:00:00Z") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


@lru_cache(maxsize=65_536)
def iso(epoch: int) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``, the way The Odds API writes an instant."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(epoch))


def iso_milliseconds(epoch: int) -> str:
    """``YYYY-MM-DDTHH:MM:SS.000Z``, the way BallDontLie writes ``datetime``."""
    return f"{iso(epoch)[:-1]}.000Z"


@lru_cache(maxsize=65_536)
def from_iso(text: str) -> int:
    """Whole seconds since 1970 of an instant written by either API; ValueError if it is something else."""
    whole = f"{text[:19]}Z" if len(text) == 24 and text.endswith(".000Z") else text
    if _WIRE_TIME.fullmatch(whole) is None:
        raise ValueError(f"{text!r} is not an instant of the form YYYY-MM-DDTHH:MM:SSZ")
    return timegm(datetime.fromisoformat(whole).timetuple())
