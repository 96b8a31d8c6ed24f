"""The dbt project keeps its conventions, and each of them would be noticed if it were broken."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ops.paths import ROOT
from ops.transform import run_dbt
from tests.project import conventions
from tests.project.conventions import RULES, Project, Violation


def parse(project: Path, folder: Path) -> Project:
    """Parse a dbt project, which needs no database."""
    shutil.copy(ROOT / "profiles.example.yml", folder / "profiles.yml")
    nowhere = dict.fromkeys(("PGHOST", "PGUSER", "PGPASSWORD"), "nowhere.invalid")
    folders = ["--project-dir", str(project), "--profiles-dir", str(folder)]
    written = ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    with mock.patch.dict(os.environ, nowhere):
        result = run_dbt(["--quiet", "--no-print", "--log-level", "none", "parse", *folders, *written])
    assert result.success, result.exception
    return Project.from_manifest(json.loads((folder / "target" / "manifest.json").read_text()))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return parse(ROOT, tmp_path_factory.mktemp("parsed"))


@pytest.mark.parametrize("name", RULES)
def test_the_project_keeps(project: Project, name: str) -> None:
    broken = [
        f"{violation.name} {violation.problem}"
        for violation in RULES[name].find(project)
        if (name, violation.name) not in conventions.exceptions()
    ]
    assert not broken, "\n  ".join([f"{name}: {RULES[name].reason}. But:", *broken])


def test_every_exception_has_a_reason_and_is_needed(project: Project) -> None:
    broken = {(name, violation.name) for name, rule in RULES.items() for violation in rule.find(project)}
    for exception, reason in conventions.exceptions().items():
        assert len(reason.split()) > 3, f"{exception} has no reason"
        assert exception in broken, f"{exception} is not needed any more: remove it from {conventions.EXCEPTIONS.name}"


def node(**changes: Any) -> dict[str, Any]:
    """A mart that keeps every rule, but for the changes."""
    correct: dict[str, Any] = {
        "name": "quotes",
        "resource_type": "model",
        "fqn": ["linekeeper", "marts", "odds", "quotes"],
        "description": "Quotes on offer, one row per quote.",
        "original_file_path": "dbt_project/models/marts/odds/quotes.sql",
        "patch_path": "linekeeper://dbt_project/models/marts/odds/quotes.yml",
        "raw_code": "with final as (\n\n    select 1 as a\n\n)\n\nselect * from final\n",
        "tags": ["ingest"],
        "columns": {
            "quote_id": {"data_type": "uuid", "description": "Id.", "constraints": []},
            "captured_at": {"data_type": "timestamptz", "description": "When.", "constraints": []},
        },
        "constraints": [{"type": "primary_key", "columns": ["quote_id"]}],
        "depends_on": {"nodes": ["model.linekeeper.markets"]},
        "config": {
            "materialized": "incremental",
            "incremental_strategy": "upsert",
            "unique_key": ["quote_id"],
            "on_schema_change": "fail",
            "contract": {"enforced": True},
        },
    }
    config = correct["config"] | changes.pop("config", {})
    return correct | changes | {"config": config}


def column(name: str, kind: str, description: str = "It is.") -> dict[str, Any]:
    return {name: {"data_type": kind, "description": description, "constraints": []}}


def staged(name: str) -> dict[str, Any]:
    return {"name": name, "fqn": ["linekeeper", "staging", "odds_api", name]}


def intermediate(name: str) -> dict[str, Any]:
    return {"name": name, "fqn": ["linekeeper", "intermediate", name]}


def query(sql: str) -> dict[str, str]:
    return {"raw_code": f"with final as (\n\n    {sql}\n\n)\n\nselect * from final"}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("staging_models_are_named_by_source_and_entity", staged("stg_odds_api_events")),
        ("staging_models_are_named_by_source_and_entity", staged("stg_balldontlie__events")),
        ("staging_models_are_named_by_source_and_entity", staged("stg_odds_api__event")),
        ("intermediate_models_are_named_by_what_was_done", intermediate("int_events")),
        ("intermediate_models_are_named_by_what_was_done", intermediate("int_event_matched")),
        ("intermediate_models_are_named_by_what_was_done", intermediate("int_events_matching")),
        ("marts_have_plain_names", {"name": "fct_quotes"}),
        ("columns_are_named_by_kind", {"columns": column("captured", "timestamptz")}),
        ("columns_are_named_by_kind", {"columns": column("captured_at", "date")}),
        ("columns_are_named_by_kind", {"columns": column("open", "boolean")}),
        ("columns_are_named_by_kind", {"columns": column("is_open", "integer")}),
        ("columns_are_named_by_kind", {"columns": column("game_date", "date")}),
        ("columns_are_named_by_kind", {"columns": column("num_quotes", "integer")}),
        ("column_types_are_exact", {"columns": column("captured_at", "timestamp")}),
        ("column_types_are_exact", {"columns": column("edge", "numeric")}),
        ("column_types_are_exact", {"columns": column("edge", "float8")}),
        ("every_file_has_its_properties_beside_it", {"patch_path": "linekeeper://dbt_project/models/schema.yml"}),
        ("every_file_has_its_properties_beside_it", {"patch_path": None}),
        ("descriptions_begin_with_the_grain", {"description": "Quotes."}),
        ("descriptions_begin_with_the_grain", {"description": "Quotes.\n\nThere is one row per quote."}),
        ("everything_public_is_described", {"columns": column("quote_id", "uuid", " ")}),
        ("marts_have_enforced_contracts", {"config": {"contract": {"enforced": False}}}),
        ("marts_have_a_primary_key", {"constraints": []}),
        ("marts_have_a_primary_key", {"config": {"materialized": "view"}}),
        ("incremental_models_are_configured", {"config": {"on_schema_change": "ignore"}}),
        ("incremental_models_are_configured", {"config": {"incremental_strategy": "merge"}}),
        ("incremental_models_are_configured", {"config": {"unique_key": None}}),
        ("every_table_belongs_to_a_task", {"tags": []}),
        ("every_table_belongs_to_a_task", {"config": {"materialized": "view"}}),
        (
            "every_table_belongs_to_a_task",
            {"config": {"materialized": "view"}, "tags": [], "raw_code": "select {{ as_of() }} as asked_at"},
        ),
        (
            "models_are_built_after_those_that_tell_them",
            {"config": {"meta": {"tells": {"grades": "changed.quote_id"}}}},
        ),
        (
            "models_are_built_after_those_that_tell_them",
            {
                "config": {
                    "pre-hook": [{"sql": "{{ claim_loads(['a'], taken_in_by={'staging_odds_api': ['picks']}) }}"}]
                }
            },
        ),
        (
            "views_of_the_present_remember_it",
            {"config": {"materialized": "view"}, "raw_code": "select {{ as_of() }} as asked_at"},
        ),
        ("sql_has_nothing_forbidden", query("select now() as asked_at")),
        ("sql_has_nothing_forbidden", query("select CURRENT_TIMESTAMP as asked_at")),
        ("sql_has_nothing_forbidden", query("select distinct event_id from events")),
        ("sql_has_nothing_forbidden", query("select * from a right join b on true")),
        ("sql_has_nothing_forbidden", query("select * from a\n    inner join {{ ref('b') }} as b on true")),
        ("sql_has_nothing_forbidden", query("select * from a where t > (select max(t) from {{ this }})")),
        ("sql_has_nothing_forbidden", query("select 1 union select 2")),
        ("json_is_taken_apart_in_staging", query("select payload ->> 'id' as event_id from a")),
        ("json_is_taken_apart_in_staging", query("select 1 from a, jsonb_array_elements(a.b)")),
        ("staging_views_are_one_plain_select", staged("stg_odds_api__events") | {"config": {"materialized": "view"}}),
        (
            "landed_rows_read_twice_are_not_materialized",
            {
                "raw_code": "with odds as (\n\n    select * from {{ ref('stg_odds_api__odds') }}\n\n),\n\n"
                "final as (\n\n    select 1 from odds inner join odds as later on true\n\n)\n\nselect * from final"
            },
        ),
        ("models_end_in_a_select_from_a_cte", {"raw_code": "with a as (\n  select 1\n)\n\nselect b from a"}),
    ],
)
def test_a_broken_rule_is_noticed(name: str, changes: dict[str, Any]) -> None:
    correct = Project(models=(node(),), seeds=(), macros=(), sources=())
    assert [violation for rule in RULES.values() for violation in rule.find(correct)] == []
    broken = Project(models=(node(**changes),), seeds=(), macros=(), sources=())
    assert list(RULES[name].find(broken))


def test_the_versions_of_a_model_share_their_properties() -> None:
    second = node(version=2, original_file_path="dbt_project/models/marts/odds/quotes_v2.sql")
    find: Callable[[Project], Any] = RULES["every_file_has_its_properties_beside_it"].find
    assert list(find(Project(models=(node(version=1), second), seeds=(), macros=(), sources=()))) == []


def test_what_only_looks_forbidden_is_allowed() -> None:
    allowed = query("select distinct on (a) a -- now() would be wrong here\n    from b union all select 1")
    find: Callable[[Project], Any] = RULES["sql_has_nothing_forbidden"].find
    assert list(find(Project(models=(node(**allowed),), seeds=(), macros=(), sources=()))) == []


def macro(**changes: Any) -> dict[str, Any]:
    correct: dict[str, Any] = {
        "name": "edge",
        "description": "The edge.",
        "original_file_path": "macros/edge.sql",
        "patch_path": "linekeeper://macros/edge.yml",
        "macro_sql": "{% macro edge(price, probability=none) -%}\n{%- endmacro %}",
        "arguments": [{"name": "price", "description": "A."}, {"name": "probability", "description": "B."}],
    }
    return correct | changes


@pytest.mark.parametrize(
    ("changes", "violations"),
    [
        ({}, []),
        ({"description": ""}, [Violation("edge", "has no description")]),
        (
            {"arguments": [{"name": "price", "description": "A."}]},
            [Violation("edge", "has the parameters ['price', 'probability'] and describes ['price']")],
        ),
        ({"original_file_path": "macros/all.sql", "patch_path": "linekeeper://macros/all.yml"},
         [Violation("edge", "stands in macros/all.sql")]),
    ],
)  # fmt: skip
def test_a_macro_is_documented_like_a_function(changes: dict[str, Any], violations: list[Violation]) -> None:
    project = Project(models=(), seeds=(), macros=(macro(**changes),), sources=())
    assert [violation for rule in RULES.values() for violation in rule.find(project)] == violations
