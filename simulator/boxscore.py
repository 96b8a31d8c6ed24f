"""Players of the simulated league and the box scores they leave, which sum to the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from random import Random
from typing import Any

from simulator.play import Game
from simulator.teams import TEAMS, Team
from simulator.vocabulary import words

_ROSTER = 13
_USED = 10
_MINUTES = (36, 34, 33, 31, 28, 22, 18, 16, 13, 9)
_USAGE = (1.35, 1.2, 1.05, 0.95, 0.85, 0.9, 0.8, 0.75, 0.7, 0.65)
_POSITIONS = ("G", "F", "C", "G", "F", "G-F", "F-C", "G", "F", "C", "G", "F", "")
_HEIGHTS = ("6-2", "6-7", "6-11", "6-4", "6-8", "6-5", "6-9", "6-1", "6-7", "7-0", "6-3", "6-6", None)
_FIRST_PLAYER_ID = 9_000_000
_STATS_PER_GAME = 32
_FIRST_NAMES = words(
    "Abel Amari Andre Anton Bram Caleb Cedric Dario Davor Deshawn Dorian Elias Emeka Felix Goran Hugo "
    "Idris Isaiah Jalen Jonas Julius Kofi Lamar Leon Luca Malik Marek Mateo Nikola Omar Owen Rafael Rory "
    "Santi Silas Tariq Theo Tobias Vlatko Zaire D'Andre Želimir"
)
_LAST_NAMES = words(
    "Abbot Adeyemi Alvarez Barlow Bianchi Brandt Calloway Carver Diallo Dorsey Ekström Fairley Ferro "
    "Galloway Greer Hadley Hollis Ibarra Jansen Keller Kovač Lowell Maddox Mensah Novak O'Dell Okafor "
    "Pruitt Quarles Renner Sayles Stroud Tanner Tolliver Ulrich Vance Walcott Whitlow Yarrow Zeller "
    "Marsh-Bell"
)


@dataclass(frozen=True, slots=True)
class Player:
    """One player of the simulated league; `rank` is his place in his team's rotation, 0 first."""

    player_id: int
    first_name: str
    last_name: str
    team: Team
    rank: int

    @property
    def name(self) -> str:
        """The name as bookmakers describe him."""
        return f"{self.first_name} {self.last_name}"

    def facts(self) -> dict[str, Any]:
        """What BallDontLie sends about him wherever he appears, without his team."""
        return {
            "id": self.player_id,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "position": _POSITIONS[self.rank],
            "height": _HEIGHTS[self.rank],
            "weight": None if self.rank == _ROSTER - 1 else str(185 + 7 * (self.player_id % 12)),
            "jersey_number": str(self.player_id * 7 % 55),
            "college": None if self.rank % 4 == 3 else "State",
            "country": "USA",
            "draft_year": None if self.rank >= _USED else 2015 + self.player_id % 10,
            "draft_round": None if self.rank >= _USED else 1 + self.rank // 6,
            "draft_number": None if self.rank >= _USED else 1 + self.player_id % 58,
        }

    def payload(self) -> dict[str, Any]:
        """A row of /players."""
        return {**self.facts(), "team": self.team.payload()}


@dataclass(frozen=True, slots=True)
class Line:
    """A player's line in a box score; his team's lines sum to the team's score."""

    player: Player
    minutes: int
    fgm: int
    fga: int
    fg3m: int
    fg3a: int
    ftm: int
    fta: int
    oreb: int
    dreb: int
    ast: int
    stl: int
    blk: int
    turnover: int
    pf: int
    plus_minus: int | None

    @property
    def pts(self) -> int:
        """Points: two a field goal, one more a three, one a free throw."""
        return 2 * self.fgm + self.fg3m + self.ftm


@lru_cache(maxsize=8)
def rosters(seed: int) -> dict[int, tuple[Player, ...]]:
    """Thirteen players a team, by team id, no name twice in the league."""
    names = Random(f"{seed}:players").sample(list(product(_FIRST_NAMES, _LAST_NAMES)), _ROSTER * len(TEAMS))
    return {
        team.team_id: tuple(
            Player(
                _FIRST_PLAYER_ID + _ROSTER * index + rank,
                *names[_ROSTER * index + rank],
                team,
                rank,
            )
            for rank in range(_ROSTER)
        )
        for index, team in enumerate(TEAMS)
    }


def stat_id(game_id: int, index: int) -> int:
    """The id of the `index`-th line of a game."""
    return game_id * _STATS_PER_GAME + index


def prop_means(game: Game) -> list[tuple[str, dict[str, float]]]:
    """Expected points, rebounds and assists of every rotation player of both teams, visitors last."""
    home = (game.expected_total + game.expected_margin) / 2
    away = (game.expected_total - game.expected_margin) / 2
    players = rosters(game.fixture.seed)
    means = []
    for team, points in ((game.fixture.home, home), (game.fixture.away, away)):
        scoring, minutes = _weights(), _MINUTES
        for player in players[team.team_id][:_USED]:
            means.append(
                (
                    player.name,
                    {
                        "player_points": points * scoring[player.rank] / sum(scoring),
                        "player_rebounds": 43.0 * minutes[player.rank] / sum(minutes),
                        "player_assists": 26.0 * scoring[player.rank] / sum(scoring),
                    },
                )
            )
    return means


def _weights() -> list[float]:
    return [minutes * usage for minutes, usage in zip(_MINUTES, _USAGE, strict=True)]


@dataclass(frozen=True, slots=True)
class _TeamTotals:
    fg2m: int
    fg3m: int
    ftm: int
    miss2: int
    miss3: int
    miss_ft: int
    oreb: int
    turnover: int

    @property
    def misses(self) -> int:
        return self.miss2 + self.miss3


@lru_cache(maxsize=1_024)
def box_score(game: Game) -> tuple[Line, ...]:
    """Every line of the game, home team first, players in the order of the rotation; men who did not play last."""
    dice = Random(f"{game.fixture.key}:box")
    possessions = round(dice.gauss(99.0, 4.0) * (48 + 5 * game.overtimes) / 48)
    home = _team_totals(dice, game.home_score, possessions)
    away = _team_totals(dice, game.away_score, possessions)
    margin = game.home_score - game.away_score
    roster = rosters(game.fixture.seed)
    sides = (
        (game.fixture.home, home, away, margin),
        (game.fixture.away, away, home, -margin),
    )
    return tuple(
        line
        for team, own, other, lead in sides
        for line in _team_lines(dice, roster[team.team_id], own, other, lead, game.overtimes)
    )


def _team_totals(dice: Random, points: int, possessions: int) -> _TeamTotals:
    """Shots that make up exactly `points`, with misses that use up about `possessions`."""
    fg3m = max(0, min(round(dice.gauss(12.8, 3.2)), points // 3))
    ftm = max(0, min(round(dice.gauss(17.0, 4.5)), points - 3 * fg3m))
    if (points - 3 * fg3m - ftm) % 2:
        ftm += 1 if ftm < points - 3 * fg3m else -1
    fg2m = (points - 3 * fg3m - ftm) // 2
    miss_ft = round(ftm * dice.uniform(0.15, 0.40))
    miss3 = round(fg3m * dice.uniform(1.2, 2.2)) + 3
    turnover = max(5, round(dice.gauss(13.0, 3.0)))
    oreb = max(3, round(dice.gauss(10.0, 2.5)))
    # possessions = attempts - offensive rebounds + turnovers + 0.44 free throws
    attempts = possessions + oreb - turnover - 0.44 * (ftm + miss_ft)
    miss2 = max(8, round(attempts) - fg2m - fg3m - miss3)
    return _TeamTotals(fg2m, fg3m, ftm, miss2, miss3, miss_ft, min(oreb, miss2 + miss3), turnover)


def _team_lines(
    dice: Random,
    players: Sequence[Player],
    own: _TeamTotals,
    other: _TeamTotals,
    lead: int,
    overtimes: int,
) -> list[Line]:
    weights = [weight * dice.uniform(0.75, 1.25) for weight in _weights()]
    minutes = _spread_minutes(dice, 240 + 25 * overtimes)
    by_minutes = [float(played) for played in minutes]
    deal = {
        "fg2m": _deal(dice, own.fg2m, weights),
        "fg3m": _deal(dice, own.fg3m, weights),
        "ftm": _deal(dice, own.ftm, weights),
        "miss2": _deal(dice, own.miss2, weights),
        "miss3": _deal(dice, own.miss3, weights),
        "miss_ft": _deal(dice, own.miss_ft, weights),
        "oreb": _deal(dice, own.oreb, by_minutes),
        "dreb": _deal(dice, max(0, other.misses - other.oreb - dice.randint(2, 6)), by_minutes),
        "ast": _deal(dice, round((own.fg2m + own.fg3m) * dice.uniform(0.5, 0.7)), weights),
        "stl": _deal(dice, round(other.turnover * dice.uniform(0.4, 0.65)), by_minutes),
        "blk": _deal(dice, round(other.miss2 * dice.uniform(0.05, 0.2)), by_minutes),
        "turnover": _deal(dice, own.turnover, weights),
        "pf": _deal(dice, round(dice.gauss(19.0, 3.0)), by_minutes, most=6),
    }
    swings = [round(lead * played / 48 + dice.gauss(0.0, 4.0)) for played in minutes]
    swings[0] += 5 * lead - sum(swings)
    lines = []
    for player in players:
        if player.rank >= _USED:
            lines.append(Line(player, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, None))
            continue
        mine = {name: dealt[player.rank] for name, dealt in deal.items()}
        fgm = mine["fg2m"] + mine["fg3m"]
        lines.append(
            Line(
                player=player,
                minutes=minutes[player.rank],
                fgm=fgm,
                fga=fgm + mine["miss2"] + mine["miss3"],
                fg3m=mine["fg3m"],
                fg3a=mine["fg3m"] + mine["miss3"],
                ftm=mine["ftm"],
                fta=mine["ftm"] + mine["miss_ft"],
                oreb=mine["oreb"],
                dreb=mine["dreb"],
                ast=mine["ast"],
                stl=mine["stl"],
                blk=mine["blk"],
                turnover=mine["turnover"],
                pf=mine["pf"],
                plus_minus=swings[player.rank],
            )
        )
    return lines


def _deal(dice: Random, count: int, weights: Sequence[float], *, most: int | None = None) -> list[int]:
    """`count` things dealt out at random in proportion to `weights`, nobody getting more than `most`."""
    dealt = [0] * len(weights)
    for index in dice.choices(range(len(weights)), weights, k=max(0, count)):
        if most is None or dealt[index] < most:
            dealt[index] += 1
    return dealt


def _spread_minutes(dice: Random, total: int) -> list[int]:
    """Whole minutes of the rotation, summing to the team's total, at most the length of the game."""
    longest = total // 5
    raw = [played * dice.uniform(0.85, 1.15) for played in _MINUTES]
    minutes = [min(longest, max(1, int(played * total / sum(raw)))) for played in raw]
    index = 0
    while (left := total - sum(minutes)) != 0:
        step = 1 if left > 0 else -1
        if 1 <= minutes[index] + step <= longest:
            minutes[index] += step
        index = (index + 1) % len(minutes)
    return minutes


def stat_payload(game: Game, game_facts: dict[str, Any], index: int) -> dict[str, Any]:
    """A row of /stats; `game_facts` is the game as /stats nests it."""
    line = box_score(game)[index]
    return {
        "id": stat_id(game.fixture.game_id, index),
        "min": f"{line.minutes:02d}",
        "fgm": line.fgm,
        "fga": line.fga,
        "fg_pct": _share(line.fgm, line.fga),
        "fg3m": line.fg3m,
        "fg3a": line.fg3a,
        "fg3_pct": _share(line.fg3m, line.fg3a),
        "ftm": line.ftm,
        "fta": line.fta,
        "ft_pct": _share(line.ftm, line.fta),
        "oreb": line.oreb,
        "dreb": line.dreb,
        "reb": line.oreb + line.dreb,
        "ast": line.ast,
        "stl": line.stl,
        "blk": line.blk,
        "turnover": line.turnover,
        "pf": line.pf,
        "pts": line.pts,
        "plus_minus": line.plus_minus,
        "player": {**line.player.facts(), "team_id": line.player.team.team_id},
        "team": line.player.team.payload(),
        "game": game_facts,
    }


def _share(made: int, tried: int) -> float:
    """A fraction from 0 to 1, with seven digits as the API's floats have; 0 where nothing was tried."""
    return round(made / tried, 7) if tried else 0.0
