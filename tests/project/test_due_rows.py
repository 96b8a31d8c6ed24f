"""Models that derive what they were told of and nothing else, told in the transaction of the change, until done."""

from typing import Any

import pytest

from ops.warehouse import Connection
from tests.end_to_end.plans import explained
from tests.project.dbt_sandbox import Sandbox

QUARTERS = """
{{ config(
    materialized='incremental', incremental_strategy='mirror', unique_key=['game_id', 'quarter'], schema='marts',
    on_schema_change='fail',
    meta={'tells': {'totals': 'changed.game_id', 'loud': {'key': 'changed.game_id', 'watched': ['note']}}},
    pre_hook="{{ claim_due() }}",
) }}
select game_id, quarter, points, note from public.landed
"""
TOTALS = """
{{ config(
    materialized='incremental', incremental_strategy='mirror', unique_key='game_id', schema='marts',
    on_schema_change='fail',
    meta={'due': {'quarters': 'each_row.game_id = due.row_key'}},
    pre_hook="{{ claim_due(seeds=[ref('bonus')]) }}", post_hook="{{ release_due() }}",
) }}
with quarters as ({{ due_rows(ref('quarters')) }})
select quarters.game_id, (sum(quarters.points) + coalesce(max(bonus.points), 0))::integer as points
from quarters
left join {{ ref('bonus') }} as bonus on quarters.game_id = bonus.game_id
group by quarters.game_id
"""
PROPERTIES = """
models:
  - name: quarters
    config: {contract: {enforced: true}}
    constraints: [{type: primary_key, columns: [game_id, quarter]}]
    columns:
      - {name: game_id, data_type: text}
      - {name: quarter, data_type: integer}
      - {name: points, data_type: integer}
      - {name: note, data_type: text}
  - name: totals
    config: {contract: {enforced: true}}
    constraints: [{type: primary_key, columns: [game_id]}]
    columns:
      - {name: game_id, data_type: text}
      - {name: points, data_type: integer}
"""
WRONG = 999
"""Put into a row by hand: it is derived again or it is not, and one sees which."""


@pytest.fixture
def built(sandbox: Sandbox, warehouse: Connection) -> Sandbox:
    """Two games of two quarters, built: a is 20 + 30 = 50, b is 25 + 25 = 50 and a bonus of 5."""
    sandbox.write("models/quarters.sql", QUARTERS)
    sandbox.write("models/totals.sql", TOTALS)
    sandbox.write("models/properties.yml", PROPERTIES)
    sandbox.write("seeds/bonus.csv", "game_id,points\nb,5\n")
    run(warehouse, "create table public.landed (game_id text, quarter integer, points integer, note text)")
    run(warehouse, "insert into public.landed values ('a', 1, 20), ('a', 2, 30), ('b', 1, 25), ('b', 2, 25)")
    build(sandbox)
    assert totals(warehouse) == {"a": 50, "b": 55}
    return sandbox


def run(warehouse: Connection, statement: str) -> list[tuple[Any, ...]]:
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def build(sandbox: Sandbox, *arguments: str) -> dict[str, str]:
    outcome = sandbox.dbt("build", *arguments)
    assert outcome.error is None, outcome.error
    return dict(outcome.statuses)


def totals(warehouse: Connection) -> dict[str, int]:
    return dict(run(warehouse, "select game_id, points from marts.totals"))


def due(warehouse: Connection) -> list[tuple[str, str, str]]:
    query = "select model_name, told_by, row_key from ops.due_rows where model_name = 'totals' order by 1, 2, 3"
    return [(model, told_by, key) for model, told_by, key in run(warehouse, query)]


def put_wrong(warehouse: Connection) -> None:
    run(warehouse, f"update marts.totals set points = {WRONG}")


def test_only_what_changed_is_derived_again(built: Sandbox, warehouse: Connection) -> None:
    put_wrong(warehouse)
    run(warehouse, "update public.landed set points = 31 where game_id = 'a' and quarter = 2")
    build(built)
    assert totals(warehouse) == {"a": 51, "b": WRONG}
    assert due(warehouse) == []


def test_what_is_new_and_what_is_gone_is_a_change(built: Sandbox, warehouse: Connection) -> None:
    run(warehouse, "insert into public.landed values ('c', 1, 7)")
    run(warehouse, "delete from public.landed where game_id = 'a' or (game_id = 'b' and quarter = 1)")
    build(built)
    assert totals(warehouse) == {"b": 25 + 5, "c": 7}


def test_a_row_that_moves_to_another_key_is_told_to_both(built: Sandbox, warehouse: Connection) -> None:
    """The quarter keeps its own key, and what it tells is of the old and of the new game."""
    put_wrong(warehouse)
    run(warehouse, "update public.landed set game_id = 'c' where game_id = 'a' and quarter = 2")
    build(built)
    assert totals(warehouse) == {"a": 20, "b": WRONG, "c": 30}


def test_what_nobody_watches_is_no_change(built: Sandbox, warehouse: Connection) -> None:
    run(warehouse, "delete from ops.due_rows")
    run(warehouse, "update public.landed set points = 21 where game_id = 'a' and quarter = 1")
    build(built, "--select", "quarters")
    run(warehouse, "update public.landed set note = 'corrected' where game_id = 'b' and quarter = 1")
    build(built, "--select", "quarters")
    told = run(warehouse, "select model_name, row_key from ops.due_rows order by 1, 2")
    assert told == [("loud", "b"), ("totals", "a"), ("totals", "b")]


def test_nothing_changed_and_nothing_is_written(built: Sandbox, warehouse: Connection) -> None:
    before = run(warehouse, "select game_id, xmin::text, ctid::text from marts.totals order by 1")
    build(built)
    assert run(warehouse, "select game_id, xmin::text, ctid::text from marts.totals order by 1") == before


def test_a_model_that_fails_is_told_again(built: Sandbox, warehouse: Connection) -> None:
    run(warehouse, "update public.landed set points = 2000000000 where game_id = 'a'")
    assert build(built)["totals"] == "error", "the sum of the two is no integer"
    assert due(warehouse) == [("totals", "quarters", "a")]
    run(warehouse, "update public.landed set points = 1 where game_id = 'b'")
    run(warehouse, "update public.landed set points = 40 where game_id = 'a'")
    build(built)
    assert totals(warehouse) == {"a": 80, "b": 2 + 5}
    assert due(warehouse) == []


def test_another_content_of_a_seed_makes_everything_due(built: Sandbox, warehouse: Connection) -> None:
    put_wrong(warehouse)
    build(built)
    assert totals(warehouse) == {"a": WRONG, "b": WRONG}, "the same content again is no change"
    built.write("seeds/bonus.csv", "game_id,points\nb,6\n")
    build(built)
    assert totals(warehouse) == {"a": 50, "b": 56}
    put_wrong(warehouse)
    built.write("seeds/bonus.csv", "game_id,points\nb,5\n")
    build(built)
    assert totals(warehouse) == {"a": 50, "b": 55}, "a content of before is another one too"


def test_a_model_built_from_nothing_makes_everything_due(built: Sandbox, warehouse: Connection) -> None:
    for arguments in (["--full-refresh", "--select", "quarters"], ["--full-refresh", "--select", "totals"]):
        put_wrong(warehouse)
        build(built, *arguments)
        build(built)
        assert totals(warehouse) == {"a": 50, "b": 55}, arguments
        assert due(warehouse) == []


def test_many_due_rows_are_not_compared_each_with_each(built: Sandbox, warehouse: Connection) -> None:
    """A schedule of a season that comes in one load makes tens of thousands of matches due."""
    games = 2_000
    run(warehouse, f"insert into public.landed select 'g' || n, 1, n from generate_series(1, {games}) as n")
    build(built)
    run(warehouse, "update public.landed set points = points + 1")
    with explained() as plans:
        build(built)
    read, visited = max(plans.rows.items(), key=lambda item: item[1])
    assert visited < 3 * games, read
    assert totals(warehouse) == {"a": 52, "b": 57} | {f"g{n}": n + 1 for n in range(1, games + 1)}
