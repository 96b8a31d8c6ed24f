"""How a simulated game goes: what the market should expect of it, and what then happens, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from simulator.chance import integer, normal, uniform
from simulator.schedule import MINUTE, Fixture
from simulator.teams import Team

MARGIN_SD = 12.4
"""Standard deviation of the final margin around the expected one, in points."""
TOTAL_SD = 17.0
"""Standard deviation of the points of both teams around the expected total."""
REGULATION_MINUTES = 48.0

_HOME_COURT = 2.4
_MEAN_TOTAL = 226.0
_KNOT = 30 * MINUTE
_KNOTS = 96
_MARGIN_STEP_SD = 0.18
_TOTAL_STEP_SD = 0.30
_MOST_OVERTIMES = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of real time: a period being played, or the break after it."""

    start: int
    end: int
    period: int
    is_break: bool


@dataclass(frozen=True, slots=True)
class Game:
    """A fixture with its course and its end.

    `margin_path` and `total_path` are what the market expects at half-hourly knots before the start, last one first.
    `home_points` and `away_points` are points per period, overtimes included; `home_flow` and `away_flow` are, per
    period, the points scored up to the end of each half minute of that period.
    """

    fixture: Fixture
    margin_path: tuple[float, ...]
    total_path: tuple[float, ...]
    home_points: tuple[int, ...]
    away_points: tuple[int, ...]
    home_flow: tuple[tuple[int, ...], ...]
    away_flow: tuple[tuple[int, ...], ...]
    segments: tuple[Segment, ...]

    @property
    def expected_margin(self) -> float:
        """What the market knows at the start of the home team's expected margin; the result is drawn around it."""
        return self.margin_path[0]

    @property
    def expected_total(self) -> float:
        """What the market knows at the start of the expected total."""
        return self.total_path[0]

    @property
    def home_score(self) -> int:
        """Points of the home team at the end."""
        return sum(self.home_points)

    @property
    def away_score(self) -> int:
        """Points of the visitors at the end."""
        return sum(self.away_points)

    @property
    def overtimes(self) -> int:
        """How many overtime periods it took."""
        return len(self.home_points) - 4

    @property
    def ends_at(self) -> int:
        """When the last buzzer sounds."""
        return self.segments[-1].end

    def margin_expected_at(self, now: int) -> float:
        """What the market knows at `now` of the expected margin; a martingale that ends in `expected_margin`."""
        return self.margin_path[self._knot(now)]

    def total_expected_at(self, now: int) -> float:
        """What the market knows at `now` of the expected total."""
        return self.total_path[self._knot(now)]

    def _knot(self, now: int) -> int:
        return min(max(0, -((now - self.fixture.starts_at) // _KNOT)), _KNOTS - 1)


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a started game: periods begun (so far) with their points, and what is left to play.

    `seconds_left` is the game clock of the current period, `minutes_left` what is left of regulation or of the
    current overtime.
    """

    period: int
    seconds_left: int
    is_break: bool
    home_points: tuple[int, ...]
    away_points: tuple[int, ...]
    minutes_left: float

    @property
    def is_halftime(self) -> bool:
        """Whether it is the long break in the middle."""
        return self.is_break and self.period == 2


def progress_at(game: Game, now: int) -> Progress | None:
    """The state of `game` at `now`; None before it starts or once it has ended."""
    if now < game.fixture.starts_at or now >= game.ends_at:
        return None
    segment = next(segment for segment in game.segments if now < segment.end)
    index, length = segment.period - 1, period_seconds(segment.period)
    flow_home, flow_away = game.home_flow[index], game.away_flow[index]
    elapsed = length if segment.is_break else length * (now - segment.start) // (segment.end - segment.start)
    half_minutes = elapsed // 30
    home_now = flow_home[half_minutes - 1] if half_minutes else 0
    away_now = flow_away[half_minutes - 1] if half_minutes else 0
    left = length - elapsed
    return Progress(
        period=segment.period,
        seconds_left=left,
        is_break=segment.is_break,
        home_points=(*game.home_points[:index], home_now),
        away_points=(*game.away_points[:index], away_now),
        minutes_left=left / 60 + 12 * max(0, 4 - segment.period),
    )


def period_seconds(period: int) -> int:
    """Game clock of a period: twelve minutes, five in overtime."""
    return 720 if period <= 4 else 300


@lru_cache(maxsize=2_048)
def play(fixture: Fixture) -> Game:
    """The one course that `fixture` takes."""
    key = fixture.key
    margin = _strength(fixture, fixture.home) - _strength(fixture, fixture.away) + _HOME_COURT
    margin += normal(f"{key}:news", sd=1.2)
    total = _MEAN_TOTAL + _pace(fixture, fixture.home) + _pace(fixture, fixture.away)
    total += normal(f"{key}:total_news", sd=2.0)
    margin_path = _walk(f"{key}:margin", margin, _MARGIN_STEP_SD)
    total_path = _walk(f"{key}:total", total, _TOTAL_STEP_SD)
    home, away = _points(key, margin_path[0], total_path[0])
    return Game(
        fixture=fixture,
        margin_path=margin_path,
        total_path=total_path,
        home_points=home,
        away_points=away,
        home_flow=tuple(_flow(f"{key}:home:{i}", points, i + 1) for i, points in enumerate(home)),
        away_flow=tuple(_flow(f"{key}:away:{i}", points, i + 1) for i, points in enumerate(away)),
        segments=_segments(key, fixture.starts_at, len(home)),
    )


def _strength(fixture: Fixture, team: Team) -> float:
    """Points by which `team` is better than the average one that season."""
    return normal(f"{fixture.seed}:strength:{fixture.season}:{team.team_id}", sd=4.2)


def _pace(fixture: Fixture, team: Team) -> float:
    """Points by which games of `team` are higher than average."""
    return normal(f"{fixture.seed}:pace:{fixture.season}:{team.team_id}", sd=3.0)


def _walk(key: str, opening: float, step_sd: float) -> tuple[float, ...]:
    """Values at half-hourly knots before the start, the last one first: a random walk that began at `opening`."""
    path = [opening]
    for knot in range(_KNOTS - 1, 0, -1):
        path.append(path[-1] + normal(f"{key}:{knot}", sd=step_sd))
    return tuple(reversed(path))


def _points(key: str, margin: float, total: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Points per period of both teams; overtime where regulation ends level, which never remains so."""
    home, away = [], []
    for quarter in range(1, 5):
        both = normal(f"{key}:{quarter}:both", total / 4, TOTAL_SD / 2)
        apart = normal(f"{key}:{quarter}:apart", margin / 4, MARGIN_SD / 2)
        home.append(max(8, round((both + apart) / 2)))
        away.append(max(8, round((both - apart) / 2)))
    lead = sum(home) - sum(away)
    if abs(lead) == 1 and uniform(f"{key}:equaliser") < 0.4:
        (away if lead > 0 else home)[3] += 1
        lead = 0
    for overtime in range(1, _MOST_OVERTIMES + 1):
        if lead:
            break
        both = normal(f"{key}:ot{overtime}:both", 22.0, 5.0)
        apart = normal(f"{key}:ot{overtime}:apart", margin * 5 / REGULATION_MINUTES, 4.5)
        home.append(max(2, round((both + apart) / 2)))
        away.append(max(2, round((both - apart) / 2)))
        if home[-1] == away[-1] and overtime == _MOST_OVERTIMES:
            (home if apart > 0 else away)[-1] += 2
        lead = home[-1] - away[-1]
    return tuple(home), tuple(away)


def _flow(key: str, points: int, period: int) -> tuple[int, ...]:
    """Points up to the end of each half minute of a period, baskets falling at random."""
    dice = Random(key)
    scored = [0] * (period_seconds(period) // 30)
    left = points
    while left:
        basket = min(left, dice.choice((1, 2, 2, 2, 3)))
        scored[dice.randrange(len(scored))] += basket
        left -= basket
    running = 0
    flow = []
    for basket in scored:
        running += basket
        flow.append(running)
    return tuple(flow)


def _segments(key: str, start: int, periods: int) -> tuple[Segment, ...]:
    """Real time: quarters of about half an hour, short breaks, a quarter of an hour at half-time."""
    segments = []
    for period in range(1, periods + 1):
        length = integer(f"{key}:{period}:length", 1_680, 1_980) if period <= 4 else 1_080
        segments.append(Segment(start, start + length, period, is_break=False))
        start += length
        if period < periods:
            pause = 15 * MINUTE if period == 2 else 150
            segments.append(Segment(start, start + pause, period, is_break=True))
            start += pause
    return tuple(segments)
