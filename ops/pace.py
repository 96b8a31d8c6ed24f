"""A pace that all runners of a warehouse keep together."""

import time
from collections.abc import Callable

from extract.client import RateLimit
from ops.ledger import Ledger


class SharedPace(RateLimit):
    """At most so many requests of a source in so many seconds, those of other runners counted, as the ledger has them.

    Who is given fewer than the plan allows leaves the others the rest of it.
    """

    def __init__(
        self,
        ledger: Ledger,
        source: str,
        calls: int,
        seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(calls, seconds, sleep=sleep)
        self._ledger, self._source, self._calls, self._window = ledger, source, calls, seconds

    def wait(self) -> None:
        """Return as soon as one more call is allowed, and count it."""
        while (pause := self._ledger.pause(self._source, self._calls, self._window)) > 0:
            self._sleep(pause)
        super().wait()
