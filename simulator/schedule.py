"""Who plays whom and when: the simulated league's calendar, postponements included.

A game depends on the seed, its day and its place in that day only, so the same game comes out whatever window
of days a league covers. Instants are whole seconds since 1970; a day is the US Eastern one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

from simulator.chance import bits, hex_id, integer, uniform
from simulator.teams import TEAMS, Team

EASTERN = ZoneInfo("America/New_York")
HOUR = 3_600
MINUTE = 60

_FIRST_GAME_ID = 20_000_000
_FIRST_DAY = date(2000, 1, 1)
_DAYS_TO_FIRST_TRY = (3, 8)
_DAYS_TRIED = 14
_SLOTS_PER_DAY = 16
_EVENING = ("19:00", "19:00", "19:30", "19:30", "19:30", "20:00", "20:00", "20:30", "21:00", "22:00", "22:00", "22:30")
_WEEKEND = ("13:00", "15:30", "18:00", "18:00", "19:00", "19:00", "19:30", "20:00", "20:00", "20:30", "21:00", "22:00")
_AFTER_THE_BUZZER = 15 * MINUTE
_LONGEST_GAME = 5 * HOUR


@dataclass(frozen=True, slots=True)
class LeagueSettings:
    """What a simulated league is made of.

    The league has `days` days of `games_per_day` games from `first_day`. Events are listed `lookahead_hours`
    before tip-off. Shares are fractions of the games: `postponed_share` are called off and played on a later day,
    `relisted_share` get a new event id while on offer, `moved_share` have their tip-off moved beforehand,
    `frozen_score_share` are reported as completed with a partial score by the scores endpoint.
    """

    first_day: date
    days: int = 60
    games_per_day: int = 8
    seed: int = 7
    lookahead_hours: int = 36
    postponed_share: float = 0.015
    relisted_share: float = 0.01
    moved_share: float = 0.03
    frozen_score_share: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.games_per_day <= len(TEAMS) // 2:
            raise ValueError(
                f"games_per_day is {self.games_per_day}: thirty teams can play 1 to 15 games a day; "
                "for a larger league raise days"
            )
        if self.days < 1:
            raise ValueError(f"days is {self.days}: a league needs at least one day")
        if self.lookahead_hours < 1:
            raise ValueError(f"lookahead_hours is {self.lookahead_hours}: list games at least one hour ahead")


@dataclass(frozen=True, slots=True)
class Postponement:
    """A game called off at `announced_at`; from `rescheduled_at` on it is known to tip off at `tip` on `day`."""

    announced_at: int
    rescheduled_at: int
    day: date
    tip: int


@dataclass(frozen=True, slots=True)
class Fixture:
    """One game as scheduled. `tip` is the first schedule's tip-off, `early_tip` what it was before `moved_at`."""

    key: str
    seed: int
    game_id: int
    day: date
    home: Team
    away: Team
    tip: int
    early_tip: int
    moved_at: int
    postponement: Postponement | None
    feed_delay: int
    """Seconds by which the odds feed lists the tip-off later than the schedule."""
    start_delay: int
    """Seconds from the tip-off as the odds feed lists it to the actual start."""

    @property
    def season(self) -> int:
        """The year in which the season started."""
        return season_of(self.day)

    @property
    def final_tip(self) -> int:
        """The scheduled tip-off of the day on which it is played."""
        return self.postponement.tip if self.postponement else self.tip

    @property
    def starts_at(self) -> int:
        """When the ball goes up."""
        return self.final_tip + self.feed_delay + self.start_delay

    def tip_known_at(self, now: int) -> int:
        """The tip-off as scheduled, as known at `now`."""
        if self.postponement and now >= self.postponement.rescheduled_at:
            return self.postponement.tip
        return self.early_tip if now < self.moved_at else self.tip

    def day_known_at(self, now: int) -> date:
        """The Eastern day of the game, as known at `now`."""
        if self.postponement and now >= self.postponement.rescheduled_at:
            return self.postponement.day
        return self.day

    def is_called_off_at(self, now: int) -> bool:
        """Whether it is postponed without a new date yet."""
        return self.postponement is not None and (
            self.postponement.announced_at <= now < self.postponement.rescheduled_at
        )

    def commence_time(self, now: int, *, is_first_date: bool) -> int:
        """When the odds feed says it starts: the listed time, near tip-off the next whole minute of the actual
        start, and after the start that start to the second."""
        if is_first_date and self.postponement is not None:
            return self.tip + self.feed_delay
        if now >= self.starts_at:
            return self.starts_at
        listed = self.tip_known_at(now) + self.feed_delay
        if now >= listed - 5 * MINUTE:
            return -(-self.starts_at // MINUTE) * MINUTE
        return listed


@dataclass(frozen=True, slots=True)
class Listing:
    """A stretch of time during which the odds feed may list a fixture under one event id.

    `until` is exclusive and, for a game that is played, generous: the end of the game decides.
    """

    event_id: str
    fixture: Fixture
    since: int
    until: int
    is_first_date: bool


def season_of(day: date) -> int:
    """The start year of the season to which an Eastern day belongs."""
    return day.year if day.month >= 7 else day.year - 1


def day_in_new_york(epoch: int) -> date:
    """The US Eastern day of an instant."""
    return datetime.fromtimestamp(epoch, EASTERN).date()


def fixtures_of_day(settings: LeagueSettings, day: date) -> list[Fixture]:
    """The games first scheduled for `day`, in order of their ids."""
    return [_fixture(settings, day, slot, home, away) for slot, (home, away) in enumerate(_pairs(settings, day))]


def listings_of(settings: LeagueSettings, fixture: Fixture) -> list[Listing]:
    """The stretches of time in which `fixture` is on offer, each under its own event id."""
    ahead = settings.lookahead_hours * HOUR
    since = min(fixture.early_tip, fixture.tip) - ahead
    postponement = fixture.postponement
    spans: list[tuple[int, int, bool]] = []
    if postponement is not None:
        if since < postponement.announced_at:
            spans.append((since, postponement.announced_at, True))
        since = max(postponement.rescheduled_at, postponement.tip - ahead)
    until = fixture.starts_at + _LONGEST_GAME + _AFTER_THE_BUZZER
    if uniform(f"{fixture.key}:relisted") < settings.relisted_share:
        replaced_at = since + integer(f"{fixture.key}:replaced", 0, max(1, fixture.final_tip - since - HOUR))
        spans.append((since, replaced_at, False))
        since = replaced_at
    spans.append((since, until, False))
    return [Listing(hex_id(f"{fixture.key}:event:{number}"), fixture, *span) for number, span in enumerate(spans)]


@lru_cache(maxsize=4_096)
def _pairs(settings: LeagueSettings, day: date) -> tuple[tuple[Team, Team], ...]:
    """(home, away) of each game of a day: thirty shuffled teams are dealt out over as many days as they last."""
    per_day = settings.games_per_day
    days_per_round = max(1, len(TEAMS) // 2 // per_day)
    round_number, day_of_round = divmod(day.toordinal(), days_per_round)
    order = list(TEAMS)
    Random(f"{settings.seed}:round:{round_number}").shuffle(order)
    dealt = order[2 * per_day * day_of_round : 2 * per_day * (day_of_round + 1)]
    return tuple(zip(dealt[::2], dealt[1::2], strict=True))


def plays_on(settings: LeagueSettings, team: Team, day: date) -> bool:
    """Whether `team` has a game first scheduled for `day`."""
    return any(team in pair for pair in _pairs(settings, day))


def _instant(day: date, clock_time: str) -> int:
    return int(datetime.combine(day, time.fromisoformat(clock_time), EASTERN).timestamp())


def _game_id(day: date, slot: int) -> int:
    return _FIRST_GAME_ID + (day - _FIRST_DAY).days * _SLOTS_PER_DAY + slot


def _fixture(settings: LeagueSettings, day: date, slot: int, home: Team, away: Team) -> Fixture:
    game_id = _game_id(day, slot)
    key = f"{settings.seed}:{game_id}"
    times = _WEEKEND if day.weekday() >= 5 else _EVENING
    tip = _instant(day, times[bits(f"{key}:tip") % len(times)])
    early_tip, moved_at = tip, tip
    if uniform(f"{key}:moved") < settings.moved_share:
        early_tip = tip + 30 * MINUTE * (1 if bits(f"{key}:later") % 2 else -1)
        moved_at = tip - integer(f"{key}:moved_at", 6, 30) * HOUR
    return Fixture(
        key=key,
        seed=settings.seed,
        game_id=game_id,
        day=day,
        home=home,
        away=away,
        tip=tip,
        early_tip=early_tip,
        moved_at=moved_at,
        postponement=_postponement(settings, key, day, tip, home, away),
        feed_delay=(0, 10, 10, 5)[bits(f"{key}:feed") % 4] * MINUTE,
        start_delay=integer(f"{key}:start", 60, 480),
    )


def _postponement(
    settings: LeagueSettings, key: str, day: date, tip: int, home: Team, away: Team
) -> Postponement | None:
    """The new date of a game that is called off, or None: a game that finds no day on which both teams are free,
    or only one that an earlier postponed game of theirs has taken, is played as scheduled."""
    new_day = _new_day(settings, key, day, home, away)
    if new_day is None or _is_taken(settings, key, new_day, (home, away)):
        return None
    announced_at = tip - integer(f"{key}:announced", 2 * HOUR, 20 * HOUR)
    return Postponement(
        announced_at=announced_at,
        rescheduled_at=announced_at + integer(f"{key}:rescheduled", 8 * HOUR, 30 * HOUR),
        day=new_day,
        tip=_instant(new_day, "19:30"),
    )


def _new_day(settings: LeagueSettings, key: str, day: date, home: Team, away: Team) -> date | None:
    """The first day that suits both schedules, if the game is called off at all."""
    if uniform(f"{key}:postponed") >= settings.postponed_share:
        return None
    first_try = integer(f"{key}:new_day", *_DAYS_TO_FIRST_TRY)
    for ahead in range(first_try, first_try + _DAYS_TRIED):
        candidate = day + timedelta(days=ahead)
        if not plays_on(settings, home, candidate) and not plays_on(settings, away, candidate):
            return candidate
    return None


def _is_taken(settings: LeagueSettings, key: str, new_day: date, teams: tuple[Team, Team]) -> bool:
    """Whether an earlier game of one of the teams was put off to `new_day` too."""
    game_id = int(key.rpartition(":")[2])
    for ahead in range(_DAYS_TO_FIRST_TRY[0], _DAYS_TO_FIRST_TRY[1] + _DAYS_TRIED):
        day = new_day - timedelta(days=ahead)
        for slot, pair in enumerate(_pairs(settings, day)):
            other_id = _game_id(day, slot)
            if other_id < game_id and set(pair) & set(teams):
                other_key = f"{settings.seed}:{other_id}"
                if _new_day(settings, other_key, day, *pair) == new_day:
                    return True
    return False
