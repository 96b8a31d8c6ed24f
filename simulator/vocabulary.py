"""What The Odds API knows by name: regions, bookmakers, markets, sports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def words(text: str) -> tuple[str, ...]:
    """The words of `text`."""
    return tuple(text.split())


REGIONS = ("us", "us2", "us_dfs", "us_ex", "uk", "au", "eu", "fr", "se")

FEATURED_MARKETS = ("h2h", "spreads", "totals", "outrights")
LAY_MARKETS = {"h2h_lay": "h2h", "outrights_lay": "outrights"}
"""Markets that an exchange adds by itself when the market on the right is asked for."""

_PLAYER = words(
    "points points_q1 rebounds rebounds_q1 assists assists_q1 threes blocks steals blocks_steals "
    "turnovers points_rebounds_assists points_rebounds points_assists rebounds_assists field_goals "
    "frees_made frees_attempts first_basket first_team_basket double_double triple_double "
    "method_of_first_basket fantasy_points"
)
_LADDERS = words(
    "points rebounds assists blocks steals turnovers threes points_rebounds_assists points_rebounds "
    "points_assists rebounds_assists"
)
_PERIOD = words("h2h h2h_3_way spreads totals team_totals alternate_spreads alternate_totals alternate_team_totals")

MARKETS = frozenset(
    {*FEATURED_MARKETS, *LAY_MARKETS}
    | {"alternate_spreads", "alternate_totals", "team_totals", "alternate_team_totals"}
    | {"h2h_3_way", "draw_no_bet", "btts", "double_chance"}
    | {f"{market}_{period}" for market in _PERIOD for period in ("q1", "q2", "q3", "q4", "h1", "h2")}
    | {f"player_{stat}" for stat in _PLAYER}
    | {f"player_{stat}_alternate" for stat in _LADDERS}
)
"""Every market key that the per-event endpoint accepts."""


@dataclass(frozen=True, slots=True)
class Bookmaker:
    """A bookmaker of the simulated league.

    `h2h_hold` and `line_hold` are what the implied probabilities of both sides sum to above 1, as measured per
    book on recorded NBA odds. `is_live` says whether the book keeps pricing a game that has started.
    """

    key: str
    title: str
    h2h_hold: float
    line_hold: float
    is_live: bool


BOOKMAKERS: tuple[Bookmaker, ...] = (
    Bookmaker("draftkings", "DraftKings", 0.0428, 0.0475, True),
    Bookmaker("fanduel", "FanDuel", 0.0406, 0.0476, True),
    Bookmaker("betmgm", "BetMGM", 0.0464, 0.0473, True),
    Bookmaker("betrivers", "BetRivers", 0.0437, 0.0492, True),
    Bookmaker("williamhill_us", "Caesars", 0.0434, 0.0476, True),
    Bookmaker("bovada", "Bovada", 0.0420, 0.0475, True),
    Bookmaker("betonlineag", "BetOnline.ag", 0.0355, 0.0475, True),
    Bookmaker("lowvig", "LowVig.ag", 0.0356, 0.0300, True),
    Bookmaker("mybookieag", "MyBookie.ag", 0.0452, 0.0479, False),
    Bookmaker("betus", "BetUS", 0.0394, 0.0476, False),
    Bookmaker("fanatics", "Fanatics", 0.0440, 0.0476, False),
)
"""The eleven bookmakers of the us region."""

_REGION_OF: dict[str, str] = {
    **dict.fromkeys(
        (
            *(book.key for book in BOOKMAKERS),
            *words("wynnbet sugarhouse pointsbetus twinspires foxbet barstool unibet_us superbook circasports"),
        ),
        "us",
    ),
    **dict.fromkeys(words("ballybet betanysports betparx espnbet fliff hardrockbet rebet"), "us2"),
    **dict.fromkeys(words("betr_us_dfs pick6 prizepicks underdog"), "us_dfs"),
    **dict.fromkeys(words("betopenly kalshi novig polymarket prophetx"), "us_ex"),
    **dict.fromkeys(words("pinnacle matchbook onexbet betfair_ex_eu gtbets intertops"), "eu"),
}


def region_of(bookmaker_key: str) -> str:
    """The region that lists a bookmaker; an unknown one counts as us, where the recordings were made."""
    return _REGION_OF.get(bookmaker_key, "us")


def sport_payload(
    key: str, group: str, title: str, description: str, *, active: bool, has_outrights: bool = False
) -> dict[str, Any]:
    """A row of ``/v4/sports``."""
    return {
        "key": key,
        "group": group,
        "title": title,
        "description": description,
        "active": active,
        "has_outrights": has_outrights,
    }
