"""When to stop asking a source that is down, and when to try it again.

The circuit of a source has no state of its own: it follows from the requests that the
ledger has kept. So it survives the process, is the same for every runner of the
warehouse, and cannot contradict the record.

- *closed*: the last request was answered. An error that the API itself explains (a
  wrong key, an unknown sport) is an answer.
- *open*: the last ``failures_to_open`` requests, each with all its attempts, brought
  none. Nothing is asked until a pause is over that doubles with each further failure.
- *half-open*: the pause is over. One request is made, with one attempt: its answer closes
  the circuit, its failure begins the next pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Outage:
    """The latest requests of a source in a row that brought no answer, by the real clock.

    Attributes:
        failures: how many; at least 1.
        since: when the first of them was made.
        last_at: when the last of them was made.
        last_error: what went wrong with it.
    """

    failures: int
    since: datetime
    last_at: datetime
    last_error: str


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """How many failures open a circuit, and how long for; pauses are in seconds.

    With cycles of 15 minutes, a source that is down is tried in each cycle for half an hour and
    in every other one from then on. The longest pause is less than two cycles, so
    that a source which is back is asked again after 30 minutes at the latest.
    """

    failures_to_open: int = 3
    first_pause: float = 300.0
    longest_pause: float = 1_500.0

    def trial_at(self, outage: Outage | None) -> datetime | None:
        """When an open circuit may be tried; None if it is closed."""
        if outage is None or outage.failures < self.failures_to_open:
            return None
        doublings = min(outage.failures - self.failures_to_open, 16)
        return outage.last_at + timedelta(seconds=min(self.first_pause * 2**doublings, self.longest_pause))
