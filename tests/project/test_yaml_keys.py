"""Every YAML key of the dbt project is one that dbt knows.

dbt itself checks keys for some adapters only, and PostgreSQL's is not among them: with it `descripton:` is accepted and
forgotten. The JSON schemas it would check against are in its wheel.
"""

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.jsonschemas import jsonschemas as of_dbt

from ops.paths import ROOT

PROPERTY_FILES = sorted(
    path for folder in ("dbt_project", "macros", "seeds") for path in (ROOT / folder).rglob("*.yml")
)


@cache
def resources_schema() -> dict[str, Any]:
    """dbt's schema of property files, with the spelling of severities that dbt-core documents and takes."""
    schema = copy.deepcopy(of_dbt.resources_schema())
    schema["definitions"]["Severity"] = {"enum": ["error", "warn"]}
    return schema


def mistakes(schema: dict[str, Any], content: Any) -> list[str]:
    """Return what is wrong as `path: what`, most specific first where one of several shapes was meant."""
    return sorted(set(_innermost(of_dbt.CustomDraft7Validator(schema).iter_errors(content))))


def _innermost(errors: Any) -> Iterator[str]:
    for error in errors:
        if error.context:
            yield from _innermost(error.context)
        elif "is not of type 'null'" not in error.message:
            yield f"{'.'.join(str(step) for step in error.absolute_path)}: {error.message}"


def properties_of(text: str) -> Any:
    return yaml.safe_load(text)


@pytest.mark.parametrize("path", PROPERTY_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_of_a_properties_file_is_known(path: Path) -> None:
    assert mistakes(resources_schema(), properties_of(path.read_text())) == []


def test_every_key_of_the_project_file_is_known() -> None:
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    assert mistakes(of_dbt.project_schema(), project) == []


def test_there_are_files_to_check() -> None:
    assert {path.parts[len(ROOT.parts)] for path in PROPERTY_FILES} == {"dbt_project", "macros", "seeds"}


CORRECT = """
models:
  - name: quotes
    description: Quotes, one row per quote.
    config: {contract: {enforced: true}, meta: {owner: us}}
    constraints: [{type: primary_key, columns: [quote_id]}]
    data_tests:
      - unique_combination: {arguments: {columns: [quote_id]}, config: {severity: warn}}
    columns:
      - name: quote_id
        data_type: text
        description: Id of the quote.
        data_tests:
          - not_null
          - accepted_values: {arguments: {values: [a]}}
seeds:
  - name: leagues
    config: {column_types: {league: text}}
macros:
  - name: as_of
    arguments: [{name: price, type: column, description: A price.}]
sources:
  - name: odds_api
    schema: staging_odds_api
    config: {loaded_at_field: captured_at}
    tables: [{name: events, description: Events.}]
unit_tests:
  - name: a_quote_is_kept
    model: quotes
    given: [{input: ref('quotes'), rows: [{quote_id: a}]}]
    expect: {rows: [{quote_id: a}]}
"""


def test_a_correct_file_has_no_mistake() -> None:
    assert mistakes(resources_schema(), properties_of(CORRECT)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("description: Quotes", "descripton: Quotes"),
        ("description: Id of", "desciption: Id of"),
        ("data_type: text", "datatype: text"),
        ("constraints: [", "constraint: ["),
        ("{enforced: true}", "{enforce: true}"),
        ("data_tests:\n      - unique", "data_test:\n      - unique"),
        ("{arguments: {columns", "{argument: {columns"),
        ("severity: warn", "severty: warn"),
        ("severity: warn", "severity: warning"),
        ("column_types:", "columns_types:"),
        ("type: column, description", "type: column, describe"),
        ("loaded_at_field:", "loaded_at:"),
        ("tables: [{name: events, description", "tables: [{name: events, descr"),
        ("expect: {rows", "expects: {rows"),
        ("given: [{input", "given: [{inputs"),
        ("seeds:", "seed:"),
    ],
)
def test_a_misspelt_key_is_found(right: str, wrong: str) -> None:
    assert right in CORRECT
    assert mistakes(resources_schema(), properties_of(CORRECT.replace(right, wrong, 1)))


@pytest.mark.parametrize(
    "misspelt", ["model-path: [models]", "models: {linekeeper: {+materialised: view}}", "require_dbt_version: '1'"]
)
def test_a_misspelt_key_of_the_project_file_is_found(misspelt: str) -> None:
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    assert mistakes(of_dbt.project_schema(), project | yaml.safe_load(misspelt))
