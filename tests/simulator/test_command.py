"""The command line: one line with the base URL, then service until interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from simulator.__main__ import main
from simulator.clock import SimulatorClock, parse_instant

ROOT = Path(__file__).parents[2]


def test_the_league_is_served_until_interrupted() -> None:
    command = [sys.executable, "-m", "simulator", "league", "--clock", "2026-11-14T01:20:00Z", "--key", "mine"]
    with subprocess.Popen([*command, "--days", "4"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            odds = requests.get(
                f"{url}/v4/sports/basketball_nba/odds", params={"apiKey": "mine", "regions": "us"}, timeout=10
            )
            games = requests.get(f"{url}/v1/games", headers={"Authorization": "mine"}, timeout=10)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=10)
    assert code == 0
    assert len(odds.json()) >= 8
    # four days of eight games, the Eastern day of the clock being the third of them
    assert {game["date"] for game in games.json()["data"]} <= {f"2026-11-{day}" for day in range(11, 27)}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["recorded", "nowhere"], "nowhere does not exist"),
        (["league", "--clock", "noon"], "'noon' is not an instant"),
        (["league", "--games-per-day", "16"], "games_per_day is 16"),
        (["league", "--credits", "-1"], "monthly credits are -1"),
        (["league", "--requests-per-minute", "0"], "rate limit is 0"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_1(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_help_names_both_worlds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert "league" in out
    assert "recorded" in out


def test_a_clock_stands_still_or_follows_the_real_time() -> None:
    instant = datetime(2026, 11, 14, tzinfo=UTC)
    clock = SimulatorClock(instant)
    assert clock.now() == clock.now() == instant
    clock.set(None)
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 5
    with pytest.raises(ValueError, match="has no time zone"):
        clock.set(datetime(2026, 11, 14))  # noqa: DTZ001
    assert parse_instant("2026-11-14T02:00:00+02:00") == instant
