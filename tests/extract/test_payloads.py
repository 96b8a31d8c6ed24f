"""From elements to rows: hashes, storable text, dead letters."""

from __future__ import annotations

import gc
import json
from contextlib import ExitStack
from hashlib import md5
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.payloads import (
    Response,
    canonical_json,
    content_digest,
    garbage_kept,
    landing_tables,
    parse_json,
    storable_json,
)
from tests.extract.doubles import NOW, Book, event, game, offered

words = st.one_of(st.text(max_size=8), st.sampled_from(['"last_update":"', "last_update", "\\", ","]))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), words)
keys = st.one_of(st.sampled_from(["last_update", "key", "a", "z", 'x"last_update']), words)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)


def without_last_update(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_last_update(v) for k, v in value.items() if k != "last_update"}
    return [without_last_update(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_cutting_last_update_out_of_the_text_equals_rebuilding_without_it(value: Any) -> None:
    expected = json.dumps(without_last_update(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert content_digest(value) == md5(expected.encode(), usedforsecurity=False).hexdigest()


def test_content_digest_is_the_md5_of_canonical_json() -> None:
    value = {"b": [1, 2.5], "a": {"last_update": "2024-01-17T11:58:00Z", "c": None}}

    assert content_digest(value) == md5(b'{"a":{"c":null},"b":[1,2.5]}', usedforsecurity=False).hexdigest()


def test_a_price_changes_the_digest_and_a_later_confirmation_does_not() -> None:
    first, confirmed = offered(quoted="11:58:00"), offered(quoted="11:59:30")

    assert content_digest(first) == content_digest(confirmed)
    assert content_digest(first) != content_digest(offered(price=-112))


def test_numbers_keep_their_form() -> None:
    assert storable_json(parse_json(b'{"point":233.0,"price":-110}')) == b'{"point":233.0,"price":-110}'


def test_a_byte_order_mark_is_not_part_of_the_json() -> None:
    assert parse_json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize("body", [b"", b"[1, 2", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own text is not ours to pin
        parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"x\\u0000y"}',
        b'{"a\\u0000":1}',
        b'{"a":"caf\xe9"}',
        b'{"a":"\\ud800"}',
        b'{"a":1e999}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":' + b"[" * 255 + b"]" * 255 + b"}",
    ],
)
def test_what_jsonb_cannot_keep_is_recognised(body: bytes) -> None:
    assert storable_json(parse_json(body)) is None


def test_a_backslash_before_u0000_is_harmless_text() -> None:
    assert storable_json({"a": "\\u0000", "b": None}) == b'{"a":"\\\\u0000","b":null}'


def test_canonical_json_takes_broken_text_too() -> None:
    assert canonical_json({"b": "\udce9", "a": 1}) == b'{"a":1,"b":"\\udce9"}'


def respond(endpoint: str, *elements: Any) -> Response:
    return Response("r-1", endpoint, NOW, {"regions": "us"}, list(elements), "hash")


def test_one_bad_element_is_a_dead_letter_and_the_rest_lands() -> None:
    book = Book()
    nameless = event()
    del nameless["id"]
    broken = parse_json(json.dumps(event("b" * 32)).encode().replace(b"Denver", b"D\xe9nver"))
    response = respond(
        "odds",
        offered(),
        nameless,
        "no object",
        event("a" * 32, home_team="Den\0ver"),
        broken,
        event("c" * 32, sport_key=None),
    )

    tables = dict(landing_tables("odds_api", [response], book))

    assert tables["odds"].column("event_id").to_pylist() == [offered()["id"]]
    assert tables["responses"].column("element_count").to_pylist() == [6]
    # Of two the id cannot be read.
    told = json.loads(tables["responses"].column("refused_event_ids").to_pylist()[0])
    assert told == [None, None, "a" * 32, "b" * 32, "c" * 32]
    letters = {letter.reason: letter for letter in book.letters}
    assert [letter.reason for letter in book.letters] == [
        "missing_id",
        "not_an_object",
        "unstorable_text",
        "unstorable_text",
        "missing_sport_key",
    ]
    assert letters["missing_id"].payload == nameless
    assert letters["not_an_object"].payload == "no object"
    assert all(letter.kind == "element" for letter in book.letters)
    assert book.letters[2].payload is None
    assert book.letters[2].raw_body is not None
    assert b"\\u0000" in book.letters[2].raw_body
    assert book.letters[3].raw_body is not None
    assert b"D\xe9nver" in book.letters[3].raw_body


@pytest.mark.parametrize("event_id", ["", " ", 7, "x" * 201, "a\0b", "a\ud800b", ["a"]])
def test_an_id_that_could_not_be_landed_is_none(event_id: Any) -> None:
    tables = dict(landing_tables("odds_api", [respond("odds", offered(), event(event_id))], Book()))
    assert tables["responses"].column("refused_event_ids").to_pylist() == ["[null]"]


def test_where_all_landed_or_no_element_is_an_event_nothing_is_said_of_refusals() -> None:
    responses = [respond("odds", offered()), respond("odds"), respond("sports", {"key": None})]
    tables = dict(landing_tables("odds_api", responses, Book()))
    assert tables["responses"].column("refused_event_ids").to_pylist() == [None, None, None]


def test_the_same_bad_element_has_the_same_natural_key_each_time() -> None:
    book = Book()
    bad = {"no": "id"}

    for _ in range(2):
        list(landing_tables("odds_api", [respond("odds", bad)], book))

    assert len({letter.natural_key for letter in book.letters}) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"id": "7"}, "missing_id"),
        ({"id": True}, "missing_id"),
        ({"id": 2**63}, "missing_id"),
        ({"id": None}, "missing_id"),
    ],
)
def test_ids_of_balldontlie_are_64_bit_integers(wrong: dict[str, Any], reason: str) -> None:
    book = Book()

    tables = dict(landing_tables("balldontlie", [respond("games", game(**wrong))], book))

    assert "games" not in tables
    assert [letter.reason for letter in book.letters] == [reason]


def test_an_id_written_as_a_float_is_the_same_id() -> None:
    tables = dict(landing_tables("balldontlie", [respond("games", game(id=7.0))], Book()))

    assert tables["games"].column("game_id").to_pylist() == [7]


def test_a_stat_needs_its_game() -> None:
    book = Book()
    rows = [{"id": 1, "game": {"id": 9}}, {"id": 2, "game": {}}, {"id": 3}]

    tables = dict(landing_tables("balldontlie", [respond("stats", *rows)], book))

    assert tables["stats"].select(["stat_id", "game_id"]).to_pylist() == [{"stat_id": 1, "game_id": 9}]
    assert [letter.reason for letter in book.letters] == ["missing_game_id"] * 2


def test_an_empty_response_is_a_row_of_its_own() -> None:
    tables = dict(landing_tables("odds_api", [respond("odds")], Book()))

    assert list(tables) == ["responses"]
    assert tables["responses"].column("element_count").to_pylist() == [0]


def test_all_rows_of_a_response_share_its_instant_and_request() -> None:
    response = respond("historical_odds", offered("a" * 32), offered("b" * 32))

    tables = dict(landing_tables("odds_api", [response], Book()))

    assert set(tables["odds"].column("captured_at").to_pylist()) == {NOW}
    assert set(tables["odds"].column("request_id").to_pylist()) == {"r-1"}


def test_the_collector_comes_back_with_the_end_of_the_last_stretch_whichever_ends_first() -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(garbage_kept())
    second.enter_context(garbage_kept())

    first.close()
    assert not gc.isenabled()

    second.close()
    assert gc.isenabled()
