"""The pipeline's one notion of now."""

from dataclasses import dataclass
from datetime import UTC, datetime

from ops.errors import SettingsError


@dataclass(frozen=True)
class Clock:
    """Real time, or the one instant given with `--as-of`.

    Everything that asks for the time asks a clock: captures, extraction windows
    and dbt's `as_of` variable. So any past cycle can be run again as it was.
    """

    as_of: datetime | None = None

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC) if self.as_of is None else self.as_of.astimezone(UTC)

    @property
    def is_fixed(self) -> bool:
        """Whether this clock stands still."""
        return self.as_of is not None


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant that says its zone, such as `2026-11-23T18:00:00Z`.

    A bare date means its first instant in UTC. A time without a zone is refused:
    guessing the zone would shift every window by hours.

    Raises:
        SettingsError: the text is no instant, or does not say its zone.
    """
    remedy = "write it as 2026-11-23T18:00:00Z or 2026-11-23"
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingsError(f"{text!r} is not a time: {remedy}") from None
    if instant.tzinfo is None:
        if len(text.strip()) > len("2026-11-23"):
            raise SettingsError(f"{text!r} does not say its time zone: {remedy}")
        instant = instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


def to_iso(instant: datetime) -> str:
    """Write an instant as ISO 8601 in UTC with `Z`, microseconds only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
