"""Raw responses that are already here as files, as dlt sources.

Folders, single files (``.json``, ``.json.gz``, ``.json.xz``) and archives (``.tar``,
``.tar.gz``, ``.tar.xz``, ``.zip``) are read one response after the other. What a
response is, is told by its content, because file names are anybody's invention:

===============================================  =========================  ================
content                                          lands as                   ``captured_at``
===============================================  =========================  ================
``{timestamp, data: [events with bookmakers]}``  ``historical_odds``        ``timestamp``
``{timestamp, data: [events]}``                  ``historical_events``      ``timestamp``
``{timestamp, data: event}``                     ``historical_event_odds``  ``timestamp``
``[events with bookmakers]``                     ``odds``                   file name
``[events with scores]``                         ``scores``                 file name
``[events]``                                     ``events``                 file name
``[sports]``                                     ``sports``                 file name
``event with bookmakers``                        ``event_odds``             file name
BallDontLie rows, bare or ``{data, meta}``       their endpoint             file name or now
===============================================  =========================  ================

A time in a file name is UTC, such as ``2026-07-14T164527Z.json``. A live board without
one cannot be landed: nobody could say when its prices were on offer. A schedule
without one is taken as of now, unless its name says that it was captured at another
time, such as ``games_captured_2023-11``, but not when exactly: as of now it would
overrule what is known since.

A list without elements says nothing about what it lists. It counts as what was read
before it from the same folder; if nothing was, it is refused.

Odds must be American. A decimal feed would mostly be rejected quote by quote, which is
a withdrawal of all that it shows, but its 101.0 would pass for +101: it is refused whole.

Every file is an observation: the same content at two times lands twice. What was
landed before, by hash and time, is left out.

Files are read one load ahead: while the warehouse takes a load in, a thread reads the
next and makes its rows. The parsed JSON is let go then, so that at most one load is in
memory as JSON, and another as rows.
"""

from __future__ import annotations

import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa  # type: ignore[import-untyped]

from extract.extraction import Extraction, Problems, of_tables
from extract.odds_api import parse_time, snapshot_params
from extract.payloads import Response, digest, garbage_kept, landing_tables, parse_json
from extract.records import DeadLetter, ExtractError, Ledger, UnreadableFile

FILES_PER_LOAD = 500
_BYTES_PER_LOAD = 64 * 2**20
_LARGEST_FILE = 256 * 2**20

_PRICES_LOOKED_AT = 50

_LIVE_LISTS = ("odds", "scores", "events", "sports")
_HISTORICAL_LISTS = ("historical_odds", "historical_events")
_JSON_ENDINGS = (".json", ".json.gz", ".json.xz")
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")

# 2026-07-14T164527Z, 2026-07-14T16:45:27Z, 20260714T164527.123Z, 2026-07-14_16-45-27Z
_TIME_IN_NAME = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})[T_](\d{2})[:-]?(\d{2})[:-]?(\d{2})(?:\.\d+)?Z")
_SAYS_CAPTURED = re.compile(r"captured\D?\d")


@dataclass(frozen=True, slots=True)
class _File:
    """One file.

    Attributes:
        place: where it is, for messages.
        name: its path in the folder or archive given, the ``origin`` of its rows.
        folder: where its neighbours are.
        body: its bytes, decompressed.
        problem: why it could not be read; None if it could.
    """

    place: str
    name: str
    folder: str
    body: bytes = b""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a body is: source, endpoint, and its own time if it has one."""

    source: str
    endpoint: str
    elements: list[Any]
    captured_at: datetime | None = None
    params: dict[str, Any] = field(default_factory=dict)
    sport_key: str | None = None


@dataclass(slots=True)
class _Chunk:
    """Responses of one source that become one load.

    Attributes:
        letters: dead letters of its files and elements, to be written down at its turn.
        tables: its rows, by landing table.
    """

    source: str = "odds_api"
    responses: list[Response] = field(default_factory=list)
    byte_count: int = 0
    problems: Problems = field(default_factory=Problems)
    letters: list[DeadLetter] = field(default_factory=list)
    tables: list[tuple[str, pa.Table]] = field(default_factory=list)

    def is_full(self) -> bool:
        return len(self.responses) >= FILES_PER_LOAD or self.byte_count >= _BYTES_PER_LOAD

    def dead_letter(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def make_rows(self) -> None:
        """Make rows of the responses and let them go."""
        self.tables = list(landing_tables(self.source, self.responses, self))
        self.responses.clear()


def recorded(
    paths: Iterable[Path],
    *,
    now: datetime,
    is_landed: Callable[[str, str, datetime | None], bool],
    ledger: Ledger,
) -> Iterator[Extraction]:
    """Read files, folders and archives in order of name, 500 responses a load.

    A file that cannot be read or recognised is a dead letter and a failure of its
    extraction; the others land.

    Args:
        paths: what to read; all must be there.
        now: ``captured_at`` of BallDontLie files whose name has no time.
        is_landed: by source, response hash and time (None where the file has none of
            its own); see ``landing.landed_responses``. It is called in a thread.
        ledger: receives the dead letters, each before its load.

    Yields:
        Extractions; land each before asking for the next. The last may be without rows.

    Raises:
        UnreadableFile: a path is not there, before anything is read.
    """
    given = [Path(path) for path in paths]
    for path in given:
        if not path.exists():
            raise UnreadableFile(f"{path} is not there: give a file, a folder or an archive")
    return _extractions(_chunks(given, now, is_landed), ledger)


def _extractions(chunks: Iterator[_Chunk], ledger: Ledger) -> Iterator[Extraction]:
    """An extraction a chunk; the next chunk is read while this one is landed."""

    def read() -> _Chunk | None:
        with garbage_kept():
            chunk = next(chunks, None)
            if chunk is not None:
                chunk.make_rows()
            return chunk

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
        reading = reader.submit(read)
        while (chunk := reading.result()) is not None:
            reading = reader.submit(read)
            for letter in chunk.letters:
                ledger.dead_letter(letter)
            yield of_tables(chunk.source, "recorded", chunk.tables, chunk.problems)


def _chunks(
    paths: list[Path],
    now: datetime,
    is_landed: Callable[[str, str, datetime | None], bool],
) -> Iterator[_Chunk]:
    chunk = _Chunk()
    seen: set[tuple[str, datetime | None]] = set()
    last_in_folder: dict[str, _Kind] = {}
    for file in _files(paths):
        try:
            body = _parsed(file)
            kind = _recognised(body, file, last_in_folder.get(file.folder))
            _refuse_decimal_odds(kind, file)
        except UnreadableFile as failure:
            chunk.problems.failures.append(failure)
            chunk.dead_letter(_dead_file(file, failure, chunk.source))
            continue
        last_in_folder[file.folder] = kind
        response_hash = digest(body)
        key = (response_hash, kind.captured_at)
        if key in seen or is_landed(kind.source, *key):
            continue
        seen.add(key)
        if (chunk.responses and kind.source != chunk.source) or chunk.is_full():
            yield chunk
            chunk = _Chunk()
        chunk.source = kind.source
        chunk.byte_count += len(file.body)
        chunk.responses.append(
            Response(
                request_id=str(uuid5(NAMESPACE_URL, f"{response_hash}@{kind.captured_at}")),
                endpoint=kind.endpoint,
                captured_at=kind.captured_at or now,
                params=kind.params,
                elements=kind.elements,
                response_hash=response_hash,
                origin=file.name,
                sport_key=kind.sport_key,
                event_id=_event_of(kind),
            )
        )
    if chunk.responses or chunk.problems.failures:
        yield chunk


def _files(paths: Iterable[Path]) -> Iterator[_File]:
    for path in paths:
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.is_file() and _is_read(inner.name):
                    yield from _opened(inner, inner.relative_to(path).as_posix())
        elif _is_read(path.name):
            yield from _opened(path, path.name)
        else:
            known = ", ".join((*_JSON_ENDINGS, *_TAR_ENDINGS, ".zip"))
            yield _File(str(path), path.name, "", problem=f"is none of {known}")


def _is_read(name: str) -> bool:
    base = name.rpartition("/")[2]
    return not base.startswith(".") and base.endswith((*_JSON_ENDINGS, *_TAR_ENDINGS, ".zip"))


def _opened(path: Path, name: str) -> Iterator[_File]:
    """The responses of a file or archive, one in memory at a time."""
    place = str(path)
    try:
        if name.endswith(_TAR_ENDINGS):
            with _unpacked(path) as tape, tarfile.open(fileobj=tape, mode="r|") as tar:
                for member in tar:
                    inner = member.name.removeprefix("./")
                    if member.isfile() and _is_read(inner) and inner.endswith(_JSON_ENDINGS):
                        stream = tar.extractfile(member)
                        assert stream is not None
                        yield _inflated(f"{place}:{inner}", inner, stream)
            if name.endswith(".tar") and not _has_end(path):
                raise EOFError("its end is missing")
        elif name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for inner in sorted(archive.namelist()):
                    if _is_read(inner) and inner.endswith(_JSON_ENDINGS):
                        with archive.open(inner) as stream:
                            yield _inflated(f"{place}:{inner}", inner, stream)
        else:
            with path.open("rb") as stream:
                yield _inflated(place, name, stream)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError) as error:
        yield _File(place, name, str(path.parent), problem=f"cannot be read ({error})")


def _unpacked(path: Path) -> IO[bytes]:
    """A tar file as a stream that, unlike tarfile's own, complains if it is cut off."""
    if path.name.endswith((".gz", ".tgz")):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.name.endswith((".xz", ".txz")):
        return cast(IO[bytes], lzma.open(path, "rb"))
    return path.open("rb")


def _has_end(path: Path) -> bool:
    """Whether a tar file ends with a block of zeros; tarfile takes a cut for the end."""
    with path.open("rb") as tape:
        tape.seek(max(0, path.stat().st_size - tarfile.BLOCKSIZE))
        return tape.read() == bytes(tarfile.BLOCKSIZE)


def _inflated(place: str, name: str, stream: IO[bytes]) -> _File:
    folder = place.rpartition("/")[0] if "/" in name else place.removesuffix(name)
    try:
        if name.endswith(".gz"):
            with gzip.GzipFile(fileobj=stream) as inflated:
                body = inflated.read(_LARGEST_FILE + 1)
        elif name.endswith(".xz"):
            with lzma.LZMAFile(stream) as inflated:
                body = inflated.read(_LARGEST_FILE + 1)
        else:
            body = stream.read(_LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        return _File(place, name, folder, problem=f"cannot be decompressed ({error})")
    if len(body) > _LARGEST_FILE:
        return _File(place, name, folder, problem=f"is longer than {_LARGEST_FILE:,} bytes")
    return _File(place, name, folder, body)


def _parsed(file: _File) -> Any:
    problem = file.problem
    if problem is None:
        try:
            return parse_json(file.body)
        except ValueError:
            problem = "is not JSON or is cut off"
    raise UnreadableFile(f"{file.place} {problem}: take it away or record it again")


def _recognised(body: Any, file: _File, before: _Kind | None) -> _Kind:
    """What a body is, by its content.

    Args:
        before: what was read before from the same folder, for a list without elements.

    Raises:
        UnreadableFile: it is nothing known, or has no time and needs one.
    """
    if isinstance(body, dict) and "timestamp" in body and "data" in body:
        return _snapshot(body, file, before)
    if isinstance(body, dict) and isinstance(body.get("data"), list):
        rows = body["data"]
        endpoint = _balldontlie_endpoint(rows)
        if not rows and before is not None and before.source == "balldontlie":
            endpoint = before.endpoint
        if endpoint is not None:
            return _Kind("balldontlie", endpoint, rows, _schedule_time(file))
    elif isinstance(body, list) and (endpoint := _balldontlie_endpoint(body)) is not None:
        return _Kind("balldontlie", endpoint, body, _schedule_time(file))
    elif isinstance(body, list):
        endpoint = _live_endpoint(body)
        sport_key = _sport_of(body)
        if not body and before is not None and before.endpoint in _LIVE_LISTS:
            endpoint, sport_key = before.endpoint, before.sport_key
        if endpoint is not None:
            captured_at = _needed_time(file, endpoint)
            return _Kind("odds_api", endpoint, body, captured_at, sport_key=sport_key)
    elif isinstance(body, dict) and "commence_time" in body and "bookmakers" in body:
        captured_at = _needed_time(file, "event_odds")
        return _Kind("odds_api", "event_odds", [body], captured_at, sport_key=_sport_of([body]))
    raise UnreadableFile(
        f"{file.place} is no response that is known here ({_glimpse(body)}): "
        "expected a response of The Odds API or of BallDontLie's NBA API, as it came"
    )


def _snapshot(body: dict[str, Any], file: _File, before: _Kind | None) -> _Kind:
    """A historical response of The Odds API."""
    data = body["data"]
    try:
        times = snapshot_params(body)
    except ValueError as error:
        raise UnreadableFile(f"{file.place} has a wrong time: {error}") from None
    captured_at = parse_time(times.pop("timestamp"))
    if isinstance(data, dict):
        return _Kind("odds_api", "historical_event_odds", [data], captured_at, times, _sport_of([data]))
    live = _live_endpoint(data) if isinstance(data, list) else None
    endpoint = {"odds": "historical_odds", "events": "historical_events"}.get(live or "")
    sport_key = _sport_of(data) if isinstance(data, list) else None
    if data == [] and before is not None and before.endpoint in _HISTORICAL_LISTS:
        endpoint, sport_key = before.endpoint, before.sport_key
    if endpoint is None:
        raise UnreadableFile(
            f"{file.place} holds no odds and no events ({_glimpse(data)}): "
            "expected a historical response of The Odds API, as it came"
        )
    return _Kind("odds_api", endpoint, data, captured_at, times, sport_key)


def _refuse_decimal_odds(kind: _Kind, file: _File) -> None:
    """Most prices of a decimal feed are between 1 and 100, where no American price is.

    Raises:
        UnreadableFile: they are.
    """
    if "odds" not in kind.endpoint:
        return
    prices = list(islice(_prices(kind.elements), _PRICES_LOOKED_AT))
    decimal = [price for price in prices if 1 < price < 100]
    if 2 * len(decimal) > len(prices):
        raise UnreadableFile(
            f"{file.place} holds decimal odds ({decimal[0]}), from which American prices cannot be had exactly: "
            "record it again with oddsFormat=american"
        )


def _prices(elements: list[Any]) -> Iterator[float]:
    """The prices of events with bookmakers, in order; what has another shape is left out."""
    for event in elements:
        for bookmaker in _objects(event, "bookmakers"):
            for market in _objects(bookmaker, "markets"):
                for outcome in _objects(market, "outcomes"):
                    price = outcome.get("price")
                    if isinstance(price, (int, float)):  # a union is tested much more slowly
                        yield price


def _objects(parent: Any, key: str) -> Iterator[dict[str, Any]]:
    children = parent.get(key) if isinstance(parent, dict) else None
    for child in children if isinstance(children, list) else ():
        if isinstance(child, dict):
            yield child


def _live_endpoint(elements: list[Any]) -> str | None:
    """Which list of The Odds API this is; told by the first object that tells it."""
    for element in elements:
        if isinstance(element, dict):
            if "bookmakers" in element:
                return "odds"
            if "completed" in element:
                return "scores"
            if "commence_time" in element:
                return "events"
            if {"key", "group", "title"} <= element.keys():
                return "sports"
    return None


def _balldontlie_endpoint(rows: list[Any]) -> str | None:
    """Which endpoint of the NBA API these rows are of; other leagues' look alike."""
    for row in rows:
        if isinstance(row, dict) and "id" in row:
            if "home_team_score" in row and "visitor_team" in row:
                return "games"
            if {"fgm", "player", "game"} <= row.keys():
                return "stats"
            if {"first_name", "last_name"} <= row.keys():
                team = row.get("team")
                is_nba = not isinstance(team, dict) or "division" in team
                return "players" if is_nba else None
            if {"abbreviation", "full_name", "division"} <= row.keys():
                return "teams"
    return None


def _sport_of(elements: list[Any]) -> str | None:
    """The sport that all events of a response share."""
    sports = {one.get("sport_key") for one in elements if isinstance(one, dict)}
    sport = sports.pop() if len(sports) == 1 else None
    return sport if isinstance(sport, str) else None


def _event_of(kind: _Kind) -> str | None:
    if kind.endpoint not in ("event_odds", "historical_event_odds"):
        return None
    event_id = kind.elements[0].get("id")
    return event_id if isinstance(event_id, str) else None


def _time_in(name: str) -> datetime | None:
    """The UTC time that a file's name tells, to the second."""
    found = _TIME_IN_NAME.search(name.rpartition("/")[2])
    if found is None:
        return None
    try:
        return datetime.strptime("".join(found.groups()) + "+0000", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None


def _needed_time(file: _File, endpoint: str) -> datetime:
    captured_at = _time_in(file.name)
    if captured_at is None:
        raise UnreadableFile(
            f"{file.place} holds {endpoint} and does not say when they were captured: "
            "put the UTC time into its name, such as 2026-07-14T164527Z.json"
        )
    return captured_at


def _schedule_time(file: _File) -> datetime | None:
    captured_at = _time_in(file.name)
    if captured_at is None and _SAYS_CAPTURED.search(file.name):
        raise UnreadableFile(
            f"{file.place} says that it was captured, but not when exactly: "
            "put the UTC time into its name, such as games_captured_2023-11-05T120000Z.json"
        )
    return captured_at


def _glimpse(body: Any) -> str:
    if isinstance(body, dict):
        return f"an object with {', '.join(sorted(body)[:8]) or 'nothing in it'}"
    if isinstance(body, list) and body and isinstance(body[0], dict):
        return f"a list of objects with {', '.join(sorted(body[0])[:8])}"
    if isinstance(body, list):
        return f"a list of {len(body)} elements"
    return f"a {type(body).__name__}"


def _dead_file(file: _File, failure: ExtractError, source: str) -> DeadLetter:
    return DeadLetter(
        kind="request",
        source=source,
        endpoint=None,
        natural_key=f"file {file.name}",
        reason=failure.reason,
        detail=str(failure),
        raw_body=file.body or None,
        replay={"file": file.place},
    )
