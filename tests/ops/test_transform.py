"""dbt in the process, on a project of three models."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from dbt.adapters.base.impl import DEFAULT_BASE_BEHAVIOR_FLAGS

from ops.errors import TransformError
from ops.paths import ROOT
from ops.transform import Project, ensure_profile, project_hash
from ops.warehouse import Connection

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

FILES = {
    "dbt_project.yml": """
name: tiny
version: "0.1.0"
profile: linekeeper
model-paths: ["dbt_project/models"]
vars: {as_of: null, divisor: 1}
flags: {send_anonymous_usage_stats: false}
""",
    "dbt_project/models/moments.sql": """
{{ config(materialized='incremental', tags=['ingest']) }}
select '{{ var("as_of") }}'::timestamptz as as_of
""",
    "dbt_project/models/moments.yml": """
models:
  - name: moments
    columns:
      - name: as_of
        data_tests:
          - not_null
          - unique:
              config: {severity: warn}
""",
    "dbt_project/models/shares.sql": """
{{ config(materialized='table', tags=['scoring']) }}
select 1 / {{ var("divisor") }} as share
""",
    "dbt_project/models/sums.sql": """
{{ config(materialized='table', tags=['scoring']) }}
select sum(share) as share from {{ ref('shares') }}
""",
    "seeds/teams.csv": "team\nBoston\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.lstrip())
    shutil.copyfile(ROOT / "profiles.example.yml", folder / "profiles.example.yml")
    return folder


@pytest.fixture(scope="module")
def shared_project(folder: Path) -> Project:
    return Project(folder)


@pytest.fixture
def project(shared_project: Project, warehouse: Connection, folder: Path) -> Project:
    for name, text in FILES.items():
        if (folder / name).read_text() != text.lstrip():
            (folder / name).write_text(text.lstrip())
    return shared_project


def _moments(warehouse: Connection) -> list[datetime]:
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("select as_of from marts.moments order by as_of")
        return [row[0] for row in cursor.fetchall()]


def test_each_build_sees_its_own_now_though_the_project_is_parsed_once(
    project: Project, warehouse: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.parse()
    manifest = project._manifest
    project.build("ingest", as_of=NOON)
    result = project.build("ingest", as_of=NOON + timedelta(minutes=15, microseconds=1))
    assert project._manifest is manifest
    assert _moments(warehouse) == [NOON, NOON + timedelta(minutes=15, microseconds=1)]
    assert result.row_count == 1
    assert {node.name for node in result.nodes if node.resource_type == "model"} == {"moments"}


def test_a_command_leaves_nothing_behind_that_the_next_has_to_look_through(
    project: Project, warehouse: Connection
) -> None:
    project.build("ingest", as_of=NOON)
    flags = list(DEFAULT_BASE_BEHAVIOR_FLAGS)
    project.build("ingest", as_of=NOON)
    project.build("ingest", as_of=NOON)
    assert flags == DEFAULT_BASE_BEHAVIOR_FLAGS
    # Each once, and none of them PostgreSQL's own, which belongs to the adapter of one command.
    names = [flag["name"] for flag in flags]
    assert len(names) == len(set(names))
    assert not any(str(name).startswith("postgres") for name in names)


def test_a_full_refresh_begins_anew(project: Project, warehouse: Connection) -> None:
    project.build("ingest", as_of=NOON)
    project.build("ingest", as_of=NOON + timedelta(days=1), full_refresh=True)
    assert _moments(warehouse) == [NOON + timedelta(days=1)]


def test_a_changed_model_is_parsed_again(project: Project, folder: Path, warehouse: Connection) -> None:
    project.build("ingest", as_of=NOON)
    model = folder / "dbt_project/models/moments.sql"
    model.write_text(model.read_text().replace("as as_of", "+ interval '1 hour' as as_of"))
    project.build("ingest", as_of=NOON)
    assert _moments(warehouse) == [NOON, NOON + timedelta(hours=1)]


def test_a_failing_model_is_named_with_what_the_database_said(project: Project, folder: Path) -> None:
    settings = folder / "dbt_project.yml"
    settings.write_text(settings.read_text().replace("divisor: 1", "divisor: 0"))
    with pytest.raises(TransformError) as error:
        project.build("scoring", as_of=NOON)
    assert str(error.value) == "dbt failed: model shares (scoring): division by zero (1 skipped because of it)"


def test_a_failing_test_is_named(project: Project, folder: Path, warehouse: Connection) -> None:
    model = folder / "dbt_project/models/moments.sql"
    model.write_text(model.read_text() + "union all select null\n")
    with pytest.raises(TransformError, match=r"^dbt failed: test not_null_moments_as_of: Got 1 result"):
        project.build("ingest", as_of=NOON)


def test_a_warning_fails_nothing_and_is_logged(project: Project, warehouse: Connection) -> None:
    project.build("ingest", as_of=NOON)
    with structlog.testing.capture_logs() as logs:
        project.build("ingest", as_of=NOON)
    [warning] = [log for log in logs if log["log_level"] == "warning"]
    assert warning["node"] == "unique_moments_as_of"
    assert warning["status"] == "warn"


def test_a_tag_that_no_model_has_is_an_error_and_not_a_success(project: Project) -> None:
    with pytest.raises(TransformError, match="no dbt model has the tag 'scorign'"):
        project.build("scorign", as_of=NOON)


def test_a_project_that_cannot_be_parsed_says_why_in_one_line(project: Project, folder: Path) -> None:
    (folder / "dbt_project/models/moments.sql").write_text("select {{ ref('nowhere') }}\n")
    with pytest.raises(TransformError) as error:
        project.build("ingest", as_of=NOON)
    assert "nowhere" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unreachable_warehouse_is_one_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    with pytest.raises(TransformError) as error:
        project.build("ingest", as_of=NOON)
    assert "\n" not in str(error.value)


def test_everything_is_built_without_tests(project: Project, warehouse: Connection) -> None:
    names: list[str] = []
    result = project.build_all(NOON, on_node=names.append)
    assert {node.resource_type for node in result.nodes} == {"model", "seed"}
    assert set(names) == {"moments", "shares", "sums", "teams"}


def test_dbt_prints_nothing(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs():
        project.build("scoring", as_of=NOON)
    assert capfd.readouterr().out == ""


def test_docs_are_written_as_pages_or_as_one_file(project: Project) -> None:
    assert "moments" in project.docs(NOON, static=True).read_text()
    page = project.docs(NOON)
    assert page.name == "index.html"
    assert (page.parent / "catalog.json").exists()


def test_the_profile_is_copied_once_and_then_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "profiles.example.yml").write_text("example")
    ensure_profile(tmp_path)
    assert (tmp_path / "profiles.yml").read_text() == "example"
    (tmp_path / "profiles.yml").write_text("mine")
    ensure_profile(tmp_path)
    assert (tmp_path / "profiles.yml").read_text() == "mine"
    assert not list(tmp_path.glob("*.new"))


def test_the_hash_changes_with_content_and_name_and_nothing_else(tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return project_hash(tmp_path)

    hashes: list[Any] = [
        write("dbt_project.yml", "a"),
        write("macros/one.sql", "b"),
        write("macros/one.sql", "c"),
        write("seeds/two.csv", "c"),
    ]
    assert len(set(hashes)) == 4
    assert write("tests/ignored.sql", "d") == hashes[-1]
    assert write("macros/editor.sql~", "d") == hashes[-1]
    assert re.fullmatch(r"[0-9a-f]{64}", hashes[-1])
