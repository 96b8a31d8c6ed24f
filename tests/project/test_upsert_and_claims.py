"""The incremental strategy `upsert`, and loads that are claimed and released in a model's own transaction."""

from collections.abc import Sequence
from typing import Any

import yaml

from ops.paths import ROOT
from ops.warehouse import Connection
from tests.project.dbt_sandbox import PROJECT, Sandbox

MODEL = """
{{ config(
    materialized='incremental', incremental_strategy='upsert',
    unique_key=['event_id', 'side'], on_schema_change='fail', schema='marts',
    pre_hook="{{ claim_loads(['staging_odds_api']) }}",
    post_hook="{{ release_loads() }}",
) }}
select
    events.event_id,
    events.sport_key as side,
    max((events.payload ->> 'price')::integer)::integer as price
from staging_odds_api.events as events
inner join ops.model_loads as claims
    on
        events._dlt_load_id = claims.load_id
        and claims.model_name = 'quotes'
        and not claims.is_done
group by events.event_id, events.sport_key
"""
PROPERTIES = """
models:
  - name: quotes
    config: {contract: {enforced: true}}
    constraints: [{type: primary_key, columns: [event_id, side]}]
    columns:
      - {name: event_id, data_type: text}
      - {name: side, data_type: text}
      - {name: price, data_type: integer}
"""
POISON = "not a number"
FAILURE = 'invalid input syntax for type integer: "not a number"'


def rows(database: Connection, query: str) -> list[tuple[Any, ...]]:
    with database.session() as session, session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def quotes(database: Connection) -> list[tuple[Any, ...]]:
    return rows(database, "select event_id, side, price from marts.quotes order by 1, 2")


def row_versions(database: Connection) -> list[tuple[Any, ...]]:
    return rows(database, "select event_id, side, xmin::text, ctid::text from marts.quotes order by 1, 2")


def claims(database: Connection) -> list[tuple[Any, ...]]:
    query = "select load_id, is_done from ops.model_loads where model_name = 'quotes' order by 1"
    return rows(database, query)


def land(database: Connection, load_id: str, prices: Sequence[tuple[str, str, int | str]], *, status: int = 0) -> None:
    with database.session() as session, session.cursor() as cursor:
        for event_id, side, price in prices:
            cursor.execute(
                "insert into staging_odds_api.events values"
                " (%s, %s, now(), 'r', jsonb_build_object('price', %s), 'h', %s, 'd')",
                (event_id, side, price, load_id),
            )
        cursor.execute("insert into staging_odds_api._dlt_loads values (%s, 'odds_api', %s, now())", (load_id, status))


def cure(database: Connection, price: int) -> None:
    with database.session() as session, session.cursor() as cursor:
        cursor.execute(
            "update staging_odds_api.events set payload = jsonb_build_object('price', %s)"
            " where payload ->> 'price' = %s",
            (price, POISON),
        )


def prepared(sandbox: Sandbox) -> Sandbox:
    sandbox.write("models/quotes.sql", MODEL)
    sandbox.write("models/quotes.yml", PROPERTIES)
    return sandbox


def build(sandbox: Sandbox, *arguments: str) -> str:
    outcome = sandbox.dbt("run", *arguments)
    assert outcome.error is None, outcome.error
    return outcome.messages["quotes"]


def test_each_load_is_taken_in_once_whatever_its_order(sandbox: Sandbox, database: Connection) -> None:
    prepared(sandbox)
    land(database, "20", [("a", "home", -110), ("a", "away", -110)])
    land(database, "30", [("z", "home", 500)], status=1)

    build(sandbox)
    assert quotes(database) == [("a", "away", -110), ("a", "home", -110)]
    assert claims(database) == [("20", True)], "a load that did not complete is not read"
    one_transaction = "select xmin::text from marts.quotes union select xmin::text from ops.model_loads"
    assert len(rows(database, one_transaction)) == 1, "claims and table commit together"

    # Late: an older load id, complete only now. And one that repeats a row and changes another.
    land(database, "10", [("b", "home", 150)])
    land(database, "40", [("a", "home", -110), ("a", "away", -105)])
    before = row_versions(database)
    assert build(sandbox) == "INSERT 0 2", "away moved, b is new, home is as it was"
    after = row_versions(database)
    assert quotes(database) == [("a", "away", -105), ("a", "home", -110), ("b", "home", 150)]
    assert claims(database) == [("10", True), ("20", True), ("40", True)]
    assert after[1] == before[1], "what did not change has no new row version"
    one_transaction = (
        "select xmin::text from marts.quotes where side = 'away' or event_id = 'b' union "
        "select xmin::text from ops.model_loads where load_id <> '20'"
    )
    assert len(rows(database, one_transaction)) == 1, "claims and changes commit together"

    assert build(sandbox) == "INSERT 0 0", "nothing new"
    assert row_versions(database) == after


def test_a_failing_model_keeps_no_claim(sandbox: Sandbox, warehouse: Connection) -> None:
    prepared(sandbox)
    land(warehouse, "1", [("a", "home", POISON)])
    assert FAILURE in build(sandbox), "first run: the table is created"
    assert claims(warehouse) == []
    assert rows(warehouse, "select to_regclass('marts.quotes')") == [(None,)]
    cure(warehouse, -110)
    build(sandbox)

    land(warehouse, "2", [("a", "home", POISON)])
    for arguments in ([], ["--full-refresh"]):
        assert FAILURE in build(sandbox, *arguments)
        assert claims(warehouse) == [("1", True)]
        assert quotes(warehouse) == [("a", "home", -110)]

    cure(warehouse, -120)
    build(sandbox)
    assert claims(warehouse) == [("1", True), ("2", True)]


def test_a_full_refresh_claims_everything_anew(sandbox: Sandbox, warehouse: Connection) -> None:
    prepared(sandbox)
    land(warehouse, "1", [("a", "home", -110)])
    land(warehouse, "2", [("b", "home", 150)])
    build(sandbox)
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("insert into ops.model_loads values ('other', 'staging_odds_api', '1', true)")

    assert build(sandbox, "--full-refresh") == "INSERT 0 2"
    assert quotes(warehouse) == [("a", "home", -110), ("b", "home", 150)]
    assert claims(warehouse) == [("1", True), ("2", True)]
    assert rows(warehouse, "select count(*) from ops.model_loads where model_name = 'other'") == [(1,)]


def test_an_upsert_that_cannot_be_right_fails(sandbox: Sandbox, warehouse: Connection) -> None:
    prepared(sandbox)
    land(warehouse, "1", [("a", "home", -110)])
    build(sandbox)
    land(warehouse, "2", [("a", "home", -120), ("a", "home", -130)])

    twice = MODEL.replace("max(", "(").replace("group by events.event_id, events.sport_key", "")
    keyless = MODEL.replace("unique_key=['event_id', 'side'],", "")
    predicated = MODEL.replace("schema=", "incremental_predicates=['true'], schema=")
    for model, message in [
        (twice, "cannot affect row a second time"),
        (keyless, "needs unique_key: set it on quotes"),
        (predicated, "incremental_predicates: remove them from quotes"),
    ]:
        sandbox.write("models/quotes.sql", model)
        assert message in build(sandbox)
        assert quotes(warehouse) == [("a", "home", -110)]


def test_a_mirror_holds_what_is_derived_and_nothing_else(sandbox: Sandbox, warehouse: Connection) -> None:
    """One row goes, one changes, one comes, one stays: the one that stays is not written again."""
    mirror = MODEL.replace("'upsert'", "'mirror'").replace("and not claims.is_done", "")
    sandbox.write("models/quotes.sql", mirror)
    sandbox.write("models/quotes.yml", PROPERTIES)
    land(warehouse, "1", [("gone", "home", -110), ("moved", "home", -110), ("same", "home", -110)])
    build(sandbox)
    before = {row[0]: row[2:] for row in row_versions(warehouse)}
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("delete from staging_odds_api.events where event_id in ('gone', 'moved')")
    land(warehouse, "2", [("moved", "home", -120), ("new", "home", 150)])
    build(sandbox)
    assert quotes(warehouse) == [("moved", "home", -120), ("new", "home", 150), ("same", "home", -110)]
    assert {row[0]: row[2:] for row in row_versions(warehouse)}["same"] == before["same"]
    after = row_versions(warehouse)
    build(sandbox)
    assert row_versions(warehouse) == after


def test_a_table_that_has_grown_is_looked_at_once(sandbox: Sandbox, warehouse: Connection) -> None:
    """It is known when its model is done, and PostgreSQL counts none of its rows as changed since."""
    hook = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["models"]["linekeeper"]["+post-hook"]
    sandbox.write("dbt_project.yml", PROJECT + yaml.safe_dump({"models": {"+post-hook": hook}}))
    config = "{{ config(materialized='incremental', incremental_strategy='append', schema='marts') }}"
    sandbox.write("models/quotes.sql", config + " select generate_series(1, {{ var('count') }}) as number")
    for count, known in ((10, -1), (100_000, 100_010), (10_000, 100_010)):
        build(sandbox, "--vars", f"count: {count}")
        with warehouse.session() as session, session.cursor() as cursor:
            cursor.execute("alter table marts.quotes set (autovacuum_enabled = false)")
        assert rows(warehouse, "select reltuples::integer from pg_class where relname = 'quotes'") == [(known,)]
    changed = "select n_mod_since_analyze from pg_stat_user_tables where relname = 'quotes'"
    assert rows(warehouse, changed) == [(10_000,)]
