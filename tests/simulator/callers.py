"""Callers of both APIs, and the league that most tests call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import requests

from simulator import DEFAULT_KEY, LeagueSettings, Simulator

EVENING = datetime(2026, 11, 14, 1, 20, tzinfo=UTC)
"""20:20 in New York on a day of the league: some games run, some are still to come."""

LEAGUE = LeagueSettings(
    first_day=date(2026, 11, 1),
    days=24,
    games_per_day=7,
    seed=11,
    postponed_share=0.08,
    relisted_share=0.05,
    moved_share=0.10,
)


@dataclass
class Caller:
    """Both APIs of a running simulator, with the right key unless told otherwise."""

    simulator: Simulator
    key: str = DEFAULT_KEY
    session: requests.Session = field(default_factory=requests.Session)

    def odds(self, path: str, **params: str) -> requests.Response:
        """GET a path of The Odds API below /v4."""
        return self.session.get(
            f"{self.simulator.base_url}/v4{path}", params={"apiKey": self.key, **params}, timeout=10
        )

    def nba(self, path: str, params: Any = None) -> requests.Response:
        """GET a path of The Odds API's basketball_nba with the usual prices."""
        usual = {"regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
        return self.odds(f"/sports/basketball_nba{path}", **{**usual, **(params or {})})

    def past(self, path: str, date: str, **params: str) -> requests.Response:
        """GET a path of the historical basketball_nba with the usual prices."""
        usual = {"regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
        return self.odds(f"/historical/sports/basketball_nba{path}", **{**usual, "date": date, **params})

    def balldontlie(self, path: str, params: Any = None, key: str | None = None) -> requests.Response:
        """GET a path of BallDontLie."""
        return self.session.get(
            f"{self.simulator.base_url}{path}",
            params=params,
            headers={"Authorization": self.key if key is None else key},
            timeout=10,
        )

    def all_pages(self, path: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Every row of a paged endpoint."""
        rows: list[dict[str, Any]] = []
        cursor: dict[str, int] = {}
        while True:
            body = self.balldontlie(path, {"per_page": 100, **params, **cursor}).json()
            rows += body["data"]
            following = body["meta"].get("next_cursor")
            if following is None:
                return rows
            assert len(body["data"]) == 100
            cursor = {"cursor": following}
