"""Recorded payloads played back, against figures counted in the recordings themselves."""

from __future__ import annotations

import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator import Recorded, SimulatorApp, SimulatorClock, serve
from simulator.clock import from_iso
from simulator.source import Wanted
from tests.simulator.callers import Caller

EVERYTHING = Wanted(frozenset({"h2h", "spreads", "totals"}), frozenset({"us"}), None)


def _event(event_id: str, commence_time: str, price: float = -110) -> dict[str, Any]:
    outcomes = [{"name": "Aces", "price": price}, {"name": "Sky", "price": price}]
    market = {"key": "h2h", "last_update": "2026-07-14T16:44:00Z", "outcomes": outcomes}
    return {
        "id": event_id * 32,
        "sport_key": "basketball_wnba",
        "sport_title": "WNBA",
        "commence_time": commence_time,
        "home_team": "Sky",
        "away_team": "Aces",
        "bookmakers": [
            {"key": "fanduel", "title": "FanDuel", "last_update": "2026-07-14T16:44:00Z", "markets": [market]},
            {"key": "pinnacle", "title": "Pinnacle", "last_update": "2026-07-14T16:44:00Z", "markets": [market]},
        ],
    }


def _game(game_id: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": game_id,
        "date": "2024-01-16",
        "season": 2023,
        "status": "Final",
        "period": 4,
        "time": "Final",
        "postseason": False,
        "home_team_score": 110,
        "visitor_team_score": 98,
        "datetime": "2024-01-17T00:30:00.000Z",
        "home_timeouts_remaining": 1,
        "visitor_timeouts_remaining": 0,
        "home_team": {"id": 2, "full_name": "Boston Celtics"},
        "visitor_team": {"id": 28, "full_name": "Toronto Raptors"},
    }
    for side, points in (("home", (30, 20, 28, 32)), ("visitor", (20, 26, 22, 30))):
        row.update({f"{side}_q{number + 1}": scored for number, scored in enumerate(points)})
    return {**row, **changes}


# -- the recorded season 2023-24 ------------------------------------------------------------------------------


def test_the_season_has_238_snapshots_with_125150_outcomes_and_1355_events(season: Caller) -> None:
    """Figures of the data's own README. One snapshot a day about 11:55 UTC, asked for at noon."""
    outcomes = 0
    stamps: set[str] = set()
    ids: set[str] = set()
    day = datetime(2023, 10, 24, 12, tzinfo=UTC)
    while day < datetime(2024, 6, 20, tzinfo=UTC):
        snapshot = season.past("/odds", day.strftime("%Y-%m-%dT%H:%M:%SZ")).json()
        if snapshot["timestamp"] not in stamps:
            stamps.add(snapshot["timestamp"])
            ids |= {event["id"] for event in snapshot["data"]}
            outcomes += sum(
                len(market["outcomes"])
                for event in snapshot["data"]
                for bookmaker in event["bookmakers"]
                for market in bookmaker["markets"]
            )
        day += timedelta(days=1)
    assert len(stamps) == 238
    assert outcomes == 125_150
    assert len(ids) == 1_355


def test_a_snapshot_keeps_its_own_timestamps(season: Caller) -> None:
    snapshot = season.past("/odds", "2023-10-24T12:00:00Z").json()
    assert snapshot["timestamp"] == "2023-10-24T11:55:43Z"
    assert snapshot["previous_timestamp"] == "2023-10-24T11:50:42Z"
    assert snapshot["next_timestamp"] == "2023-10-24T12:00:44Z"
    assert snapshot["data"][0]["id"] == "fd55db2fa9ee5be1f108be5151e2ecb0"
    again = season.past("/odds", snapshot["next_timestamp"]).json()
    assert again["timestamp"] == snapshot["timestamp"]
    events = season.past("/events", "2023-10-24T12:00:00Z").json()
    assert events["timestamp"] == "2023-10-24T11:55:43Z"
    assert "bookmakers" not in events["data"][0]


def test_before_the_first_snapshot_there_is_nothing_but_the_way_on(season: Caller) -> None:
    response = season.past("/odds", "2023-10-01T00:00:00Z")
    assert response.json() == {
        "timestamp": "2023-10-01T00:00:00Z",
        "previous_timestamp": None,
        "next_timestamp": "2023-10-24T11:55:43Z",
        "data": [],
    }
    assert response.headers["x-requests-last"] == "0"


def test_the_season_pages_to_1319_final_games(season: Caller) -> None:
    games = season.all_pages("/v1/games", {"seasons[]": 2023})
    assert len(games) == 1_319
    assert {game["status"] for game in games} == {"Final"}
    assert games[0]["id"] == 1037593
    assert (games[0]["home_team_score"], games[0]["visitor_team_score"]) == (119, 107)
    # contracts: 82 games are flagged postseason, so 1,237 are not
    assert len(season.all_pages("/v1/games", {"seasons[]": 2023, "postseason": "true"})) == 82
    opening = season.all_pages("/v1/games", {"dates[]": "2023-10-24"})
    assert [game["id"] for game in opening] == [1037593, 1037594]
    assert len(season.balldontlie("/v1/teams").json()["data"]) == 30


def test_a_past_clock_hides_what_had_not_been_played(season: Caller) -> None:
    season.simulator.set_clock(datetime(2023, 10, 25, 1, 0, tzinfo=UTC))
    try:
        first, second = season.all_pages("/v1/games", {"dates[]": "2023-10-24"})
        events = season.nba("/odds").json()
    finally:
        season.simulator.set_clock(datetime(2024, 6, 19, tzinfo=UTC))
    assert first["status"] == "Halftime" or first["status"].endswith("Qtr")
    assert 0 < first["home_team_score"] < 119
    assert (second["status"], second["home_team_score"], second["home_q1"]) == ("2023-10-25T02:00:00Z", 0, None)
    assert events[0]["bookmakers"][0]["markets"][0]["last_update"] < "2023-10-24T11:55:43Z"


def test_an_older_capture_shows_games_as_they_were_scheduled_then(recording: Callable[[str], Path]) -> None:
    """Game 1038420 had home and visitor swapped in November 2023; by default the later capture counts."""
    recorded = Recorded(
        [recording("balldontlie/games_2023.json.xz"), recording("balldontlie/games_2023_captured_2023-11.json.xz")]
    )

    def home(instant: str) -> str:
        row = next(row for row in recorded.games(from_iso(instant)) if row.game_id == 1038420)
        return str(row.build()["home_team"]["abbreviation"])

    assert home("2023-11-10T00:00:00Z") == "DET"
    assert home("2024-07-01T00:00:00Z") == "NYK"
    assert len(recorded.games(from_iso("2024-07-01T00:00:00Z"))) == 1_319


def test_a_recorded_poll_comes_back_as_it_was_recorded(recording: Callable[[str], Path], tmp_path: Path) -> None:
    with tarfile.open(recording("odds_api/odds_api_wnba_live_2026-07-14_08-02.tar.xz")) as archive:
        for member in archive:
            if member.name.endswith(("2026-07-14T164527Z.json", "2026-07-14T170051Z.json")):
                poll = archive.extractfile(member)
                assert poll is not None
                (tmp_path / Path(member.name).name).write_bytes(poll.read())
            if len(list(tmp_path.rglob("*.json"))) == 2:
                break
    first = json.loads(next(tmp_path.rglob("2026-07-14T164527Z.json")).read_text())
    recorded = Recorded([tmp_path])
    assert recorded.odds("basketball_wnba", from_iso("2026-07-14T17:00:50Z"), EVERYTHING) == first
    snapshot = recorded.historical_odds(
        "basketball_wnba", from_iso("2026-07-14T16:50:00Z"), from_iso("2026-08-01T00:00:00Z"), EVERYTHING
    )
    assert snapshot is not None
    assert (snapshot.timestamp, snapshot.next) == ("2026-07-14T16:45:27Z", "2026-07-14T17:00:51Z")


def test_a_poll_is_served_until_the_next_one(tmp_path: Path) -> None:
    early = [_event("a", "2026-07-14T17:30:00Z"), _event("b", "2026-07-14T23:00:00Z")]
    late = [_event("b", "2026-07-14T23:00:00Z", price=-120)]
    (tmp_path / "2026-07-14T164527Z.json").write_text(json.dumps(early))
    (tmp_path / "2026-07-14T170051Z.json").write_text(json.dumps(late))
    recorded = Recorded([tmp_path])
    clock = SimulatorClock(datetime(2026, 7, 14, 17, 0, 50, tzinfo=UTC))
    with serve(SimulatorApp(recorded, clock)) as simulator:
        caller = Caller(simulator)
        path = "/sports/basketball_wnba/odds"
        usual = {"regions": "us", "oddsFormat": "american"}
        first = caller.odds(path, **usual).json()
        simulator.set_clock(datetime(2026, 7, 14, 17, 0, 51, tzinfo=UTC))
        second = caller.odds(path, **usual).json()
        past = caller.odds(f"/historical{path}", date="2026-07-14T16:50:00Z", **usual).json()
        books = caller.odds(path, bookmakers="pinnacle").json()[0]["bookmakers"]
        sports = caller.odds("/sports").json()
    assert [event["id"][0] for event in first] == ["a", "b"]
    assert [event["id"][0] for event in second] == ["b"]
    assert [book["key"] for book in second[0]["bookmakers"]] == ["fanduel"]
    assert second[0]["bookmakers"][0]["markets"][0]["outcomes"][0]["price"] == -120
    assert past["timestamp"] == "2026-07-14T16:45:27Z"
    assert past["previous_timestamp"] is None
    assert past["next_timestamp"] == "2026-07-14T17:00:51Z"
    assert past["data"] == first
    assert [(book["key"], book["markets"][0]["outcomes"][0]["price"]) for book in books] == [("pinnacle", 1.83)]
    assert [(sport["key"], sport["title"]) for sport in sports] == [("basketball_wnba", "WNBA")]


# -- small recordings of every kind ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "file", "xz", "tar.xz", "zip"])
def test_recordings_are_read_from_folders_archives_and_files(tmp_path: Path, kind: str) -> None:
    name = "2026-07-14T164527Z.json"
    content = json.dumps([_event("a", "2026-07-14T17:30:00Z")])
    plain = tmp_path / "plain" / name
    plain.parent.mkdir()
    plain.write_text(content)
    path = {"folder": plain.parent, "file": plain}.get(kind, tmp_path / f"2026-07-14T164527Z.json.{kind}")
    if kind == "xz":
        path.write_bytes(lzma.compress(content.encode()))
    elif kind == "tar.xz":
        with tarfile.open(path, "w:xz") as archive:
            archive.add(plain, name)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.write(plain, name)
    events = Recorded([path]).odds("basketball_wnba", from_iso("2026-07-14T16:45:27Z"), EVERYTHING)
    assert [event["id"] for event in events] == ["a" * 32]


def test_a_decimal_recording_is_served_in_american_too(tmp_path: Path) -> None:
    (tmp_path / "2026-07-14T164527Z.json").write_text(json.dumps([_event("a", "2026-07-14T17:30:00Z", price=1.91)]))
    events = Recorded([tmp_path]).odds("basketball_wnba", from_iso("2026-07-15T00:00:00Z"), EVERYTHING)
    assert events[0]["bookmakers"][0]["markets"][0]["outcomes"][0]["price"] == -110


@pytest.mark.parametrize(
    ("instant", "status", "scores", "first_quarter"),
    [
        ("2024-01-17T00:29:59Z", "2024-01-17T00:30:00Z", (0, 0), None),
        ("2024-01-17T00:45:00Z", "1st Qtr", (15, 10), 15),  # a tenth of the way: half of the first quarter
        ("2024-01-17T01:45:00Z", "Halftime", (50, 46), 30),  # 30 + 20 and 20 + 26
        ("2024-01-17T03:00:00Z", "Final", (110, 98), 30),
    ],
)
def test_a_recorded_game_is_scheduled_then_live_then_final(
    tmp_path: Path, instant: str, status: str, scores: tuple[int, int], first_quarter: int | None
) -> None:
    (tmp_path / "games.json").write_text(json.dumps({"data": [_game(1)]}))
    row = Recorded([tmp_path]).games(from_iso(instant))[0].build()
    assert row["status"] == status
    assert (row["home_team_score"], row["visitor_team_score"]) == scores
    assert row["home_q1"] == first_quarter
    if instant < "2024-01-17T00:30:00Z":
        assert (row["period"], row["time"], row["home_timeouts_remaining"]) == (0, None, None)


def test_a_game_without_a_datetime_starts_at_midnight_utc_after_its_day(tmp_path: Path) -> None:
    (tmp_path / "games.json").write_text(json.dumps([_game(1, datetime=None)]))
    recorded = Recorded([tmp_path])
    assert recorded.games(from_iso("2024-01-16T23:59:59Z"))[0].build()["status"] == "2024-01-17T00:00:00Z"
    assert recorded.games(from_iso("2024-01-17T02:30:00Z"))[0].build()["status"] == "Final"


def test_recorded_box_scores_wait_for_their_game(tmp_path: Path) -> None:
    line = {
        "id": 5,
        "min": "34",
        "pts": 21,
        "player": {"id": 7, "first_name": "A", "last_name": "B", "team_id": 2},
        "team": {"id": 2},
        "game": {
            "id": 1,
            "date": "2024-01-16",
            "season": 2023,
            "status": "Final",
            "postseason": False,
            "home_team_id": 2,
            "visitor_team_id": 28,
        },
    }
    (tmp_path / "games.json").write_text(json.dumps([_game(1)]))
    (tmp_path / "stats.json").write_text(json.dumps([line]))
    recorded = Recorded([tmp_path])
    for instant, count in (("2024-01-17T02:00:00Z", 0), ("2024-01-17T03:00:00Z", 1)):
        now = from_iso(instant)
        assert len(recorded.stats(now, recorded.games(now))) == count
    assert [player["id"] for player in recorded.players()] == [7]


def test_paths_that_hold_no_recording_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        Recorded([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="none of the given paths"):
        Recorded([tmp_path])
    (tmp_path / "2026-07-14T164527Z.json").write_text("[{")
    with pytest.raises(ValueError, match=r"2026-07-14T164527Z.json is not valid JSON"):
        Recorded([tmp_path])
    (tmp_path / "2026-07-14T164527Z.json").unlink()
    event = _event("a", "2026-07-14T17:30:00Z")
    (tmp_path / "events.json").write_text(json.dumps([{k: v for k, v in event.items() if k != "bookmakers"}]))
    with pytest.raises(ValueError, match=r"events.json holds no instant of its own: name it"):
        Recorded([tmp_path])
    broken = tmp_path / "broken.tar.xz"
    broken.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"broken.tar.xz cannot be read"):
        Recorded([broken])
