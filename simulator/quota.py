"""Credits of The Odds API and the rate limits of both APIs."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from time import monotonic


class Quota:
    """Monthly credits. They start anew with each calendar month of the simulator's clock."""

    def __init__(self, monthly_credits: int) -> None:
        if monthly_credits < 0:
            raise ValueError(f"the monthly credits are {monthly_credits}: give 0 or more")
        self.monthly_credits = monthly_credits
        self._used = 0
        self._month: tuple[int, int] | None = None

    def is_exhausted(self, now: datetime) -> bool:
        """Whether no credit is left in the month of `now`."""
        self._turn_page(now)
        return self._used >= self.monthly_credits

    def charge(self, now: datetime, cost: int) -> dict[str, str]:
        """Take `cost` credits, never below zero, and give the response headers that say so."""
        self._turn_page(now)
        self._used = min(self.monthly_credits, self._used + cost)
        return {
            "x-requests-remaining": str(self.monthly_credits - self._used),
            "x-requests-used": str(self._used),
            "x-requests-last": str(cost),
        }

    def use_up(self, now: datetime) -> None:
        """Leave nothing for the rest of the month of `now`."""
        self._turn_page(now)
        self._used = self.monthly_credits

    def _turn_page(self, now: datetime) -> None:
        month = (now.year, now.month)
        if month != self._month:
            self._month, self._used = month, 0


class RateLimit:
    """At most `limit` requests in any `seconds` of real time; None means no limit."""

    def __init__(self, limit: int | None, seconds: float) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"the rate limit is {limit}: allow at least one request, or none at all for no limit")
        self.limit = limit
        self._seconds = seconds
        self._times: deque[float] = deque()

    def admit(self) -> bool:
        """Whether one more request is within the limit; counts it if so."""
        if self.limit is None:
            return True
        now = monotonic()
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return False
        self._times.append(now)
        return True
