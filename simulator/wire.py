"""How BallDontLie words a game, shared by the simulated league and the recordings that are played back."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.source import Json

_ORDINALS = {1: "1st Qtr", 2: "2nd Qtr", 3: "3rd Qtr", 4: "4th Qtr"}
_PERIODS = ("q1", "q2", "q3", "q4", "ot1", "ot2", "ot3")


def live_status(period: int, *, is_halftime: bool) -> str:
    """The status of a running game; the wording in overtime is this simulator's own, the API documents none."""
    if is_halftime:
        return "Halftime"
    return _ORDINALS.get(period) or ("OT" if period == 5 else f"{period - 4}OT")


def live_time(period: int, seconds_left: int) -> str:
    """The game clock, such as ``Q3 5:31``."""
    name = f"Q{period}" if period <= 4 else "OT" if period == 5 else f"{period - 4}OT"
    return f"{name} {seconds_left // 60}:{seconds_left % 60:02d}"


def period_fields(side: str, points: Sequence[int]) -> Json:
    """``home_q1`` … ``home_ot3`` (or ``visitor_…``), null for periods that have not begun."""
    return {f"{side}_{name}": points[index] if index < len(points) else None for index, name in enumerate(_PERIODS)}
