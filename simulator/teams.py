"""The thirty teams, with BallDontLie's ids and The Odds API's spellings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Team:
    """One NBA team; `team_id` is BallDontLie's."""

    team_id: int
    abbreviation: str
    city: str
    name: str
    conference: str
    division: str

    @property
    def full_name(self) -> str:
        """The name BallDontLie gives ("LA Clippers")."""
        return f"{self.city} {self.name}"

    @property
    def odds_name(self) -> str:
        """The name The Odds API gives ("Los Angeles Clippers")."""
        return f"Los Angeles {self.name}" if self.city == "LA" else self.full_name

    def payload(self) -> dict[str, Any]:
        """The team as BallDontLie sends it, also nested in games."""
        return {
            "id": self.team_id,
            "conference": self.conference,
            "division": self.division,
            "city": self.city,
            "name": self.name,
            "full_name": self.full_name,
            "abbreviation": self.abbreviation,
        }


TEAMS: tuple[Team, ...] = (
    Team(1, "ATL", "Atlanta", "Hawks", "East", "Southeast"),
    Team(2, "BOS", "Boston", "Celtics", "East", "Atlantic"),
    Team(3, "BKN", "Brooklyn", "Nets", "East", "Atlantic"),
    Team(4, "CHA", "Charlotte", "Hornets", "East", "Southeast"),
    Team(5, "CHI", "Chicago", "Bulls", "East", "Central"),
    Team(6, "CLE", "Cleveland", "Cavaliers", "East", "Central"),
    Team(7, "DAL", "Dallas", "Mavericks", "West", "Southwest"),
    Team(8, "DEN", "Denver", "Nuggets", "West", "Northwest"),
    Team(9, "DET", "Detroit", "Pistons", "East", "Central"),
    Team(10, "GSW", "Golden State", "Warriors", "West", "Pacific"),
    Team(11, "HOU", "Houston", "Rockets", "West", "Southwest"),
    Team(12, "IND", "Indiana", "Pacers", "East", "Central"),
    Team(13, "LAC", "LA", "Clippers", "West", "Pacific"),
    Team(14, "LAL", "Los Angeles", "Lakers", "West", "Pacific"),
    Team(15, "MEM", "Memphis", "Grizzlies", "West", "Southwest"),
    Team(16, "MIA", "Miami", "Heat", "East", "Southeast"),
    Team(17, "MIL", "Milwaukee", "Bucks", "East", "Central"),
    Team(18, "MIN", "Minnesota", "Timberwolves", "West", "Northwest"),
    Team(19, "NOP", "New Orleans", "Pelicans", "West", "Southwest"),
    Team(20, "NYK", "New York", "Knicks", "East", "Atlantic"),
    Team(21, "OKC", "Oklahoma City", "Thunder", "West", "Northwest"),
    Team(22, "ORL", "Orlando", "Magic", "East", "Southeast"),
    Team(23, "PHI", "Philadelphia", "76ers", "East", "Atlantic"),
    Team(24, "PHX", "Phoenix", "Suns", "West", "Pacific"),
    Team(25, "POR", "Portland", "Trail Blazers", "West", "Northwest"),
    Team(26, "SAC", "Sacramento", "Kings", "West", "Pacific"),
    Team(27, "SAS", "San Antonio", "Spurs", "West", "Southwest"),
    Team(28, "TOR", "Toronto", "Raptors", "East", "Atlantic"),
    Team(29, "UTA", "Utah", "Jazz", "West", "Northwest"),
    Team(30, "WAS", "Washington", "Wizards", "East", "Southeast"),
)

DEFUNCT_TEAMS: tuple[dict[str, Any], ...] = (
    {
        "id": 37,
        "conference": "    ",
        "division": "",
        "city": "",
        "name": "Chicago Stags",
        "full_name": "Chicago Stags",
        "abbreviation": "CHS",
    },
    {
        "id": 38,
        "conference": "    ",
        "division": "",
        "city": "",
        "name": "St. Louis Bombers",
        "full_name": "St. Louis Bombers",
        "abbreviation": "BOM",
    },
)
"""Two of the old franchises that BallDontLie's /teams lists beside the thirty: ids above 30, blank fields."""
