"""The function `board_at`, made again by the view it comes with: replaced in place while its columns are the same."""

import dataclasses
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from ops import roles
from ops.errors import TransformError
from ops.roles import TRANSFORMER
from ops.transform import project_in
from ops.warehouse import Connection
from tests.end_to_end.warehouses import Warehouse, warehouse

NAME = "marts.board_at(timestamptz)"


@pytest.fixture(scope="module")
def made(server: Connection, deployed: Connection, targets: Path) -> Iterator[Warehouse]:
    """A warehouse with roles, in which the transformer has made the function."""
    with warehouse(server, targets, deployed) as copied:
        roles.make(copied.connection, copied.connection.user, {})
        made = dataclasses.replace(copied, connection=copied.connection.acting_as(TRANSFORMER))
        _build(made)
        yield made


def _build(made: Warehouse) -> None:
    with patch.dict(os.environ, made.environment()):
        project_in(made.target).invoke("run", ["--select", "price_offers"], as_of=datetime(2026, 11, 11, tzinfo=UTC))


def _run(made: Warehouse, *statements: str) -> None:
    with made.connection.session() as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _board_at(made: Warehouse) -> dict[str, Any]:
    """What the catalog says of the function; its rights among it."""
    found = dict(made.value("select to_jsonb(pg_proc) from pg_proc where oid = %s::regprocedure", [NAME]))
    return {**found, "proacl": sorted(found["proacl"])}


def _columns(made: Warehouse) -> str:
    return str(made.value("select pg_get_function_result(%s::regprocedure)", [NAME]))


def _make_other(made: Warehouse, columns: str) -> None:
    _run(
        made,
        f"drop function {NAME}",
        f"create function marts.board_at(asked_at timestamptz) returns {columns} language plpgsql as 'begin end'",
    )


@pytest.mark.parametrize(
    ("now", "before"),
    [
        pytest.param(", is_in_play boolean", "", id="fewer columns"),
        pytest.param("is_in_play boolean", "is_in_play boolean, rank integer", id="more columns"),
        pytest.param("price_age_seconds bigint", "price_age_seconds integer", id="another type"),
        pytest.param("is_in_play boolean", "has_begun boolean", id="another name"),
        pytest.param("event_id text, market_id uuid", "market_id uuid, event_id text", id="another order"),
    ],
)
def test_one_with_other_columns_is_made_anew_with_the_same_rights(made: Warehouse, now: str, before: str) -> None:
    columns, expected = _columns(made), _board_at(made)
    assert now in columns
    _make_other(made, columns.replace(now, before))
    other = _board_at(made)
    _build(made)
    anew = _board_at(made)
    assert anew.pop("oid") != other["oid"]
    assert anew == {name: value for name, value in expected.items() if name != "oid"}
    assert _columns(made) == columns
    assert made.rows("select * from marts.board_at(now())") == []


@pytest.mark.parametrize("body", ["", "as 'begin end' language plpgsql"], ids=["unchanged", "another body"])
def test_one_with_the_same_columns_is_replaced_in_place_and_keeps_what_it_was_granted(
    made: Warehouse, body: str
) -> None:
    _run(made, f"grant execute on function {NAME} to pg_monitor")
    expected = _board_at(made)
    assert "pg_monitor" in str(expected["proacl"])
    if body:
        _run(made, f"create or replace function marts.board_at(asked_at timestamptz) returns {_columns(made)} {body}")
        assert _board_at(made)["prosrc"] != expected["prosrc"]
    _build(made)
    assert _board_at(made) == expected
    _run(made, f"revoke execute on function {NAME} from pg_monitor")


def test_one_that_a_view_was_made_on_stays_and_the_build_says_so(made: Warehouse) -> None:
    _make_other(made, _columns(made).replace(", is_in_play boolean", ""))
    _run(made, "create view marts.mine as select event_id from marts.board_at(now())")
    other = _board_at(made)
    with pytest.raises(TransformError, match="other objects depend on it"):
        _build(made)
    assert _board_at(made) == other
    _run(made, "drop view marts.mine")
    _build(made)
