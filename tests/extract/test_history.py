"""Responses from files: told by content, timed by name, each observation once."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
import threading
import zipfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from extract import history
from extract.extraction import Extraction
from extract.history import recorded
from extract.records import UnreadableFile
from tests.extract.doubles import EVENT_ID, NOW, Book, event, game, landed_rows, offered, run_dry

POLL = "2026-07-14T164527Z.json"
POLLED = datetime(2026, 7, 14, 16, 45, 27, tzinfo=UTC)
SNAPSHOT = {
    "timestamp": "2024-01-17T11:55:41Z",
    "previous_timestamp": "2024-01-17T11:50:40Z",
    "next_timestamp": "2024-01-17T12:00:41Z",
}
SNAPPED = datetime(2024, 1, 17, 11, 55, 41, tzinfo=UTC)
PLAYER = {"id": 1, "first_name": "A", "last_name": "B", "team": {"id": 2, "division": "Atlantic"}}
TEAM = {"id": 2, "full_name": "Boston Celtics", "abbreviation": "BOS", "division": "Atlantic"}
STAT = {"id": 3, "fgm": 1, "player": {"id": 1}, "game": {"id": 9}}
SPORT = {"key": "basketball_nba", "group": "Basketball", "title": "NBA"}


def write(folder: Path, name: str, body: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return path


def read(*paths: Path, book: Book | None = None, landed: Any = None) -> list[Extraction]:
    return list(
        recorded(
            paths,
            now=NOW,
            is_landed=landed or (lambda *_: False),
            ledger=book if book is not None else Book(),
        )
    )


def responses(extractions: list[Extraction]) -> list[dict[str, Any]]:
    rows = [row for extraction in extractions for row in run_dry(extraction)]
    return [row for row in rows if "endpoint" in row]


@pytest.mark.parametrize(
    ("body", "source", "endpoint", "captured_at"),
    [
        (SNAPSHOT | {"data": [offered()]}, "odds_api", "historical_odds", SNAPPED),
        (SNAPSHOT | {"data": [event()]}, "odds_api", "historical_events", SNAPPED),
        (SNAPSHOT | {"data": offered()}, "odds_api", "historical_event_odds", SNAPPED),
        ([offered()], "odds_api", "odds", POLLED),
        ([event(completed=True, scores=None)], "odds_api", "scores", POLLED),
        ([event()], "odds_api", "events", POLLED),
        ([SPORT], "odds_api", "sports", POLLED),
        (offered(), "odds_api", "event_odds", POLLED),
        ([game()], "balldontlie", "games", POLLED),
        ({"data": [game()], "meta": {"next_cursor": 3}}, "balldontlie", "games", POLLED),
        ({"data": [STAT]}, "balldontlie", "stats", POLLED),
        ([PLAYER], "balldontlie", "players", POLLED),
        ({"data": [TEAM]}, "balldontlie", "teams", POLLED),
    ],
)
def test_a_response_is_told_by_its_content(
    tmp_path: Path, body: Any, source: str, endpoint: str, captured_at: datetime
) -> None:
    (extraction,) = read(write(tmp_path, POLL, body))

    rows = run_dry(extraction)

    assert extraction.source.name == source
    assert rows[0]["endpoint"] == endpoint
    assert {row["captured_at"] for row in rows} == {captured_at}
    assert rows[0]["origin"] == POLL
    assert len(landed_rows(rows)) == 1
    if endpoint in ("odds", "historical_odds", "historical_event_odds", "event_odds"):
        assert rows[0]["sport_key"] == "basketball_nba"
        assert (rows[0]["event_id"] == EVENT_ID) == ("event_odds" in endpoint)
    if source == "odds_api":
        assert rows[0]["markets_asked"] is None


def test_the_wrapper_of_a_snapshot_is_kept_as_parameters(tmp_path: Path) -> None:
    (row,) = responses(read(write(tmp_path, "a.json", SNAPSHOT | {"data": [offered()]})))

    assert json.loads(row["params"]) == {
        "previous_timestamp": SNAPSHOT["previous_timestamp"],
        "next_timestamp": SNAPSHOT["next_timestamp"],
    }


@pytest.mark.parametrize(
    "name",
    [
        "2026-07-14T164527Z.json",
        "odds_2026-07-14T16:45:27Z.json",
        "20260714T164527.123Z.json",
        "poll_2026-07-14_16-45-27Z_us.json",
    ],
)
def test_a_time_is_read_from_a_name(tmp_path: Path, name: str) -> None:
    (row,) = responses(read(write(tmp_path, name, [offered()])))

    assert row["captured_at"] == POLLED


@pytest.mark.parametrize("name", ["odds.json", "odds_2026-07-14.json", "2026-13-41T996527Z.json"])
def test_a_board_without_a_time_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    book = Book()
    (extraction,) = read(write(tmp_path, name, [offered()]), book=book)

    assert run_dry(extraction) == []
    (failure,) = extraction.problems.failures
    assert name in str(failure)
    assert "2026-07-14T164527Z.json" in str(failure)
    assert [letter.reason for letter in book.letters] == ["unreadable_file"]


def test_schedules_without_a_time_are_as_of_now(tmp_path: Path) -> None:
    (row,) = responses(read(write(tmp_path, "games_2023.json", [game()])))

    assert row["captured_at"] == NOW


def test_a_schedule_captured_some_time_ago_is_not_as_of_now(tmp_path: Path) -> None:
    # It would be the newest version of games that have long been played.
    write(tmp_path, "games_2023_captured_2023-11.json", [game()])
    write(tmp_path, "games_2023_captured_2023-11-05T120000Z.json", [game()])

    (extraction,) = read(tmp_path)

    (row,) = responses([extraction])
    assert row["captured_at"] == datetime(2023, 11, 5, 12, tzinfo=UTC)
    assert "not when exactly" in str(extraction.problems.failures[0])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'[{"id": "cut', "not JSON or is cut off"),
        ({"fetch_time": "now", "odds": []}, "an object with fetch_time, odds"),
        # BallDontLie's WNBA rows are of another schema.
        ({"data": [{"id": 1, "home_team": {}, "visitor_team": {}, "home_score": 1}]}, "known here"),
        ({"data": [PLAYER | {"team": {"id": 5, "name": "Mystics"}}]}, "known here"),
        (SNAPSHOT | {"data": [{"a": 1}]}, "no odds and no events"),
        (SNAPSHOT | {"timestamp": "yesterday", "data": []}, "wrong time"),
        ([], "a list of 0 elements"),
        ([1, 2], "a list of 2 elements"),
    ],
)
def test_what_is_unknown_is_a_dead_letter_and_the_rest_lands(tmp_path: Path, body: Any, words: str) -> None:
    book = Book()
    write(tmp_path, "2026-07-14T160000Z.json", body)
    write(tmp_path, POLL, [offered()])

    (extraction,) = read(tmp_path, book=book)

    assert len(landed_rows(run_dry(extraction))) == 1
    (failure,) = extraction.problems.failures
    assert isinstance(failure, UnreadableFile)
    assert words in str(failure)
    assert "2026-07-14T160000Z.json" in str(failure)
    assert book.letters[0].raw_body


def test_decimal_odds_are_refused_whole_even_a_price_that_could_be_american(tmp_path: Path) -> None:
    # 1.91 is no American price, but 101 is one: at decimal odds of 101 it would pay a hundredth of what it does.
    decimal = offered()
    for market in decimal["bookmakers"][0]["markets"]:
        names = ["Denver Nuggets", "Los Angeles Lakers", "Draw"]
        market["outcomes"] = [{"name": name, "price": price} for name, price in zip(names, [1.5, 2, 101], strict=True)]
    book = Book()
    write(tmp_path, "2026-07-14T160000Z.json", [decimal])
    write(tmp_path, "2026-07-14T161500Z.json", decimal)
    write(tmp_path, "snapshot.json", SNAPSHOT | {"data": [decimal]})
    write(tmp_path, POLL, [offered()])

    (extraction,) = read(tmp_path, book=book)

    assert {row["captured_at"] for row in run_dry(extraction)} == {POLLED}
    assert [letter.reason for letter in book.letters] == ["unreadable_file"] * 3
    assert all("decimal odds (1.5)" in str(failure) for failure in extraction.problems.failures)


def test_one_price_that_is_none_does_not_refuse_a_file(tmp_path: Path) -> None:
    broken = offered(price=5)
    broken["bookmakers"] *= 2

    (extraction,) = read(write(tmp_path, POLL, [broken, offered()]))

    assert len(landed_rows(run_dry(extraction))) == 2
    assert extraction.problems.failures == []


@pytest.mark.parametrize(
    ("name", "is_decimal"),
    [
        ("odds_nba_2022-12-28_no_market_last_update.json", False),
        ("odds_nba_2025-01-04_h2h_decimal.json", True),
        ("odds_nhl.json", True),
        ("event_odds_nhl.json", True),
        ("event_odds_nba_player_points_bkn_tor.json", False),
        ("historical_odds_nfl.json", False),
        ("historical_event_odds_nfl.json", True),
        ("historical_event_odds_wnba_player_props.json", False),
    ],
)
def test_recorded_samples_are_told_apart_by_their_prices(
    tmp_path: Path, recordings: Path, name: str, is_decimal: bool
) -> None:
    sample = recordings / "odds_api" / "samples" / name
    copy = write(tmp_path, f"{name.removesuffix('.json')}_{POLL}", sample.read_bytes())

    (extraction,) = read(copy)

    assert [("decimal odds" in str(failure)) for failure in extraction.problems.failures] == [True] * is_decimal
    assert (landed_rows(run_dry(extraction)) == []) == is_decimal


def test_an_empty_list_counts_as_what_came_before_it(tmp_path: Path) -> None:
    # "We looked, and nothing was on offer" is what tells a market as withdrawn.
    write(tmp_path, "2026-07-14T160000Z.json", [offered()])
    write(tmp_path, "2026-07-14T161500Z.json", [])
    write(tmp_path, "2026-07-14T163000Z.json", [offered()])
    write(tmp_path, "2026-07-14T164500Z.json", [])

    rows = responses(read(tmp_path))

    assert [row["element_count"] for row in rows] == [1, 0, 1, 0]
    assert {row["endpoint"] for row in rows} == {"odds"}
    assert {row["sport_key"] for row in rows} == {"basketball_nba"}
    assert len({row["request_id"] for row in rows}) == 4


def test_the_same_observation_twice_lands_once(tmp_path: Path) -> None:
    write(tmp_path, f"a/{POLL}", [offered()])
    write(tmp_path, f"b/{POLL}", [offered()])

    assert len(responses(read(tmp_path))) == 1


def test_what_has_landed_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, POLL, [offered()])
    (row,) = responses(read(path))
    here = {("odds_api", row["response_hash"], POLLED)}

    assert read(path, landed=lambda *key: key in here) == []


def test_a_request_id_is_the_same_each_time(tmp_path: Path) -> None:
    path = write(tmp_path, POLL, [offered()])

    assert responses(read(path))[0]["request_id"] == responses(read(path))[0]["request_id"]


def packed_tar(folder: Path, mode: Any, name: str, bodies: dict[str, bytes]) -> Path:
    path = folder / name
    with tarfile.open(path, mode) as tar:
        for inner, body in bodies.items():
            member = tarfile.TarInfo(inner)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return path


@pytest.mark.parametrize("packing", ["tar", "tar.gz", "tar.xz", "zip", "folder", "json.gz", "json.xz"])
def test_every_packing_gives_the_same_rows(tmp_path: Path, packing: str) -> None:
    bodies = {f"./odds/{POLL}": json.dumps([offered()]).encode(), "./README.md": b"hello"}
    body = bodies[f"./odds/{POLL}"]
    if packing.startswith("tar"):
        path = packed_tar(tmp_path, f"w:{packing[4:]}", f"polls.{packing}", bodies)
    elif packing == "zip":
        path = tmp_path / "polls.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, one in bodies.items():
                archive.writestr(name.removeprefix("./"), one)
    elif packing == "folder":
        write(tmp_path, f"odds/{POLL}", body)
        write(tmp_path, "README.md", b"hello")
        path = tmp_path
    else:
        pack = gzip.compress if packing == "json.gz" else lzma.compress
        path = write(tmp_path, f"{POLL}.{packing[5:]}", pack(body))

    (extraction,) = read(path)
    rows = run_dry(extraction)

    assert extraction.problems.failures == []
    assert [row["event_id"] for row in landed_rows(rows)] == [EVENT_ID]
    assert rows[0]["captured_at"] == POLLED


@pytest.mark.parametrize("name", ["broken.tar.xz", "broken.zip", "broken.json.gz", "broken.json.xz"])
def test_a_broken_archive_is_named(tmp_path: Path, name: str) -> None:
    (extraction,) = read(write(tmp_path, name, b"this is no archive"))

    run_dry(extraction)
    assert name in str(extraction.problems.failures[0])


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_an_archive_that_is_cut_off_gives_what_came_before_and_is_named(
    tmp_path: Path, mode: str, share: float
) -> None:
    names = [f"2026-07-14T1645{second:02}Z.json" for second in range(60)]
    bodies = {name: json.dumps([offered(sha256(name.encode()).hexdigest()[:32])]).encode() for name in names}
    path = packed_tar(tmp_path, mode, f"polls.tar{mode[1:].replace(':', '.')}", bodies)
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole[: int(len(whole) * share)])

    (extraction,) = read(path)

    assert len(landed_rows(run_dry(extraction))) < 60
    assert path.name in str(extraction.problems.failures[-1])


def test_what_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="nowhere"):
        recorded([tmp_path / "nowhere"], now=NOW, is_landed=lambda *_: False, ledger=Book())


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (extraction,) = read(write(tmp_path, "odds.csv", b"a,b"))

    assert "odds.csv is none of .json" in str(extraction.problems.failures[0])


def test_a_load_holds_one_source_and_so_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "FILES_PER_LOAD", 2)
    for minute in range(5):
        write(tmp_path, f"a/2026-07-14T16{minute:02}00Z.json", [offered()])
    write(tmp_path, "b/games.json", [game()])

    loads = [(one.source.name, len(responses([one]))) for one in read(tmp_path)]

    assert loads == [("odds_api", 2), ("odds_api", 2), ("odds_api", 1), ("balldontlie", 1)]


def test_the_next_load_is_read_while_this_one_is_landed_and_its_dead_letters_wait_for_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FILES_PER_LOAD", 1)
    write(tmp_path, "2026-07-14T160000Z.json", [offered()])
    write(tmp_path, "2026-07-14T160100Z.json", [offered() | {"commence_time": None}])
    write(tmp_path, "2026-07-14T160200Z.json", [offered()])
    asked, has_asked_thrice, book = list[datetime | None](), threading.Event(), Book()

    def is_landed(source: str, response_hash: str, captured_at: datetime | None) -> bool:
        asked.append(captured_at)
        if len(asked) == 3:
            has_asked_thrice.set()
        return False

    loads = recorded([tmp_path], now=NOW, is_landed=is_landed, ledger=book)

    next(loads)
    # A load is complete when the response after it has been read: the third file ends the second load.
    assert has_asked_thrice.wait(30)
    assert book.letters == []

    next(loads)
    assert [letter.reason for letter in book.letters] == ["wrong_shape"]
    assert len(list(loads)) == 1


def test_what_fails_while_reading_ahead_fails_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "FILES_PER_LOAD", 1)
    for minute in range(3):
        write(tmp_path, f"2026-07-14T16{minute:02}00Z.json", [offered()])

    def is_landed(source: str, response_hash: str, captured_at: datetime | None) -> bool:
        if captured_at == datetime(2026, 7, 14, 16, 2, tzinfo=UTC):
            raise ConnectionError("the warehouse went away")
        return False

    loads = recorded([tmp_path], now=NOW, is_landed=is_landed, ledger=Book())

    next(loads)
    with pytest.raises(ConnectionError, match="went away"):
        next(loads)
