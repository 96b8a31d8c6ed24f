"""What may land: bodies and elements that would break something later are told apart from those that are merely odd."""

from __future__ import annotations

from typing import Any

import pytest

from extract.contracts import is_time
from extract.payloads import Response, digest, landing_tables, parse_json
from tests.extract.doubles import NOW, Book, event, offered


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T18:00:00Z", "2026-11-23T18:00Z", "2026-11-23T18:00:00.000Z", "2024-02-29T23:59:59.123456789+14:00"],
)
def test_a_time_is_read_alike_by_python_and_postgresql(text: str) -> None:
    assert is_time(text)


@pytest.mark.parametrize(
    "text",
    [
        None, 1_700_000_000, "", "now", "infinity", "2026-11-23", "2026-11-23T18:00:00", "2026-02-30T00:00:00Z",
        "2026-W48-1T00:00:00Z", "20261123T180000Z", "2026-11-23T24:30:00Z", "2026-11-23T18:00:00+15:00",
        "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-23T18:00:00Z\n", "２026-11-23T18:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_time_to_one_of_them_is_none(text: Any) -> None:
    assert not is_time(text)


def _landed(*elements: bytes) -> tuple[int, Book]:
    """How many of some elements land, each as it comes over the wire, beside one that is sound."""
    book = Book()
    body = parse_json(b"[" + b",".join(elements) + b"]")
    response = Response("r-1", "odds", NOW, {}, [offered(), *body], digest(body))
    tables = dict(landing_tables("odds_api", [response], book))
    return tables["odds"].num_rows - 1, book


SOUND = b'{"id":"e1","sport_key":"basketball_nba","commence_time":"2026-11-24T00:10:00Z","note":%s}'


@pytest.mark.parametrize(
    ("note", "reason", "kept"),
    [
        (b'"\\u0000"', "unstorable_text", b'"\\u0000"'),
        (b'"Bogdanovi\xe6"', "unstorable_text", b'"Bogdanovi\xe6"'),
        (b"NaN", "unstorable_text", b"NaN"),
        (b"1e400", "unstorable_text", b"Infinity"),
        (b"[" * 300 + b"]" * 300, "unstorable_text", b"[" * 300),
        (b"[" * 900 + b'{"last_update":"\\u0000"}' + b"]" * 900, "unstorable_text", b"[" * 900),
        (b'"' + b"x" * 10_000_000 + b'"', "too_large", None),
    ],
    ids=["NUL", "invalid UTF-8", "NaN", "1e400", "300 levels", "900 levels", "10 MB"],
)
def test_one_hostile_element_is_a_dead_letter_and_the_rest_lands(note: bytes, reason: str, kept: bytes | None) -> None:
    landed, book = _landed(SOUND % b"1", SOUND % note)
    assert landed == 1
    [letter] = book.letters
    assert (letter.kind, letter.reason) == ("element", reason)
    if kept is None:
        assert letter.payload["note"] == "x" * 10_000_000
    else:
        assert letter.raw_body is not None
        assert kept in letter.raw_body


def test_what_nobody_reads_may_hold_anything() -> None:
    landed, book = _landed(*(SOUND % note for note in (b"[1e300]", b'{"a":{"b":null}}', b'"\'); drop table odds; --"')))
    assert (landed, book.letters) == (3, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"commence_time": None}, "commence_time is missing"),
        ({"commence_time": 1_700_000_000}, "commence_time is 1700000000, expected a time such as 2026-11-23T18:00:00Z"),
        ({"home_team": ["Boston"]}, "home_team is a list, expected text"),
        ({"away_team": "x" * 201}, "away_team has 201 characters, more than 200"),
        ({"bookmakers": None}, "bookmakers is null, expected a list"),
        ({"bookmakers": [7]}, "bookmakers holds a number, expected objects"),
        ({"bookmakers": [{"markets": [{"outcomes": [{"point": 5_000}]}]}]}, "an outcome: point is 5000, beyond 4,999"),
        ({"id": "e" * 201}, "id has 201 characters, more than 200"),
    ],
)
def test_what_no_view_could_read_is_named_with_its_place(change: dict[str, Any], said: str) -> None:
    book = Book()
    elements = [event() | change]
    assert list(dict(landing_tables("odds_api", [Response("r-1", "odds", NOW, {}, elements, "h")], book))) == [
        "responses"
    ]
    [letter] = book.letters
    assert said in str(letter.detail)


def test_a_body_that_is_too_deep_to_read_is_no_body() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 100_000 + b"]" * 100_000)
