"""The repository as it comes: dbt typed in its root, against a server that `db start` started."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops import roles
from ops.embedded import EmbeddedServer
from ops.paths import ROOT
from ops.settings import load_settings
from tests.end_to_end.rights import AS_LOADER, AS_READER, AS_READER_OF_A_SUPERUSERS, AS_TRANSFORMER, wrongly_allowed

COMES_LATER = (".*", "profiles.yml", "target", "logs", "__pycache__")
"""What a fresh clone has not: environments, data, caches."""


@dataclass(frozen=True)
class Clone:
    """A copy of the repository with a server of its own."""

    root: Path
    environment: dict[str, str]

    def run(self, *program: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the root."""
        return subprocess.run(program, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)

    def orchestrate(self, *arguments: str) -> str:
        """Run a command that must work; returns what it printed."""
        done = self.run(sys.executable, "orchestrate.py", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dbt as a person does."""
        return self.run(str(Path(sys.executable).with_name("dbt")), *arguments)


@pytest.fixture(scope="module")
def clone(folder_for_servers: Path) -> Iterator[Clone]:
    """A copy whose server runs, with the profile in place and the variables of `db env` set, as documented."""
    root = folder_for_servers / "clone"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*COMES_LATER))
    started = Clone(root, dict(os.environ))
    started.orchestrate("db", "start")
    shutil.copyfile(root / "profiles.example.yml", root / "profiles.yml")
    words = shlex.split(started.orchestrate("db", "env"))
    variables = dict(word.split("=", 1) for word in words if word != "export")
    assert set(variables) == {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGOPTIONS"}
    yield Clone(root, {**os.environ, **variables, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"})
    started.orchestrate("db", "stop")


def test_dbt_builds_from_the_root(clone: Clone) -> None:
    """Everything: seeds, models, data tests and unit tests; nothing may be skipped."""
    assert _kinds_built(clone) == {"model", "seed", "test", "unit_test"}


def test_dbt_builds_again_on_what_is_there(clone: Clone) -> None:
    """Without unit tests, which read no table."""
    assert _kinds_built(clone, "--exclude-resource-type", "unit_test") == {"model", "seed", "test"}


def _kinds_built(clone: Clone, *arguments: str) -> set[str]:
    """The kinds of nodes of a build in which each succeeds."""
    done = clone.dbt("--no-use-colors", "build", *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    outcomes = json.loads((clone.root / "target" / "run_results.json").read_text())["results"]
    assert {each["status"] for each in outcomes} <= {"success", "pass"}
    return {each["unique_id"].split(".")[0] for each in outcomes}


def test_the_lineage_is_generated_from_the_root(clone: Clone) -> None:
    done = clone.dbt("--no-use-colors", "docs", "generate")
    assert done.returncode == 0, done.stdout[-3000:]
    catalog = json.loads((clone.root / "target" / "catalog.json").read_text())
    assert catalog["errors"] is None
    marts = {node["metadata"]["name"] for node in catalog["nodes"].values() if node["metadata"]["schema"] == "marts"}
    assert {"games", "markets", "odds_snapshots", "market_scores", "picks", "grades"} <= marts


def test_the_lineage_is_one_file(clone: Clone) -> None:
    said = clone.orchestrate("docs", "--static")
    page = clone.root / "target" / "static_index.html"
    assert str(page) in said
    text = page.read_text()
    # The manifest and the catalog are inside: nothing is fetched.
    assert "model.linekeeper.odds_snapshots" in text
    assert "int_quotes_normalised" in text


def test_what_dbt_built_in_its_role_is_read_by_the_reader_and_nothing_else_is(clone: Clone) -> None:
    """As documented for BI tools, on the embedded server as it comes."""
    asked = "select count(*) from games; select count(*) >= 0 from pipeline_health"
    assert clone.orchestrate("db", "psql", "--reader", "--", "-Atc", asked).split() == ["0", "t"]
    refused = ("select * from ops.task_runs", "delete from games", "create table mine (one integer)")
    commands = [part for statement in refused for part in ("-c", statement)]
    done = clone.run(sys.executable, "orchestrate.py", "db", "psql", "--reader", "--", "-At", *commands)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    assert len(errors) == len(refused)
    assert all("permission denied" in error or "read-only transaction" in error for error in errors)


@pytest.mark.parametrize("role", [roles.READER, roles.LOADER, roles.TRANSFORMER])
def test_what_is_forbidden_on_the_oldest_server_is_forbidden_on_the_embedded_one(
    clone: Clone, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements; here a superuser made the roles, so what only one can forbid is forbidden too."""
    monkeypatch.setenv("LINEKEEPER_WAREHOUSE_DIR", str(clone.root / ".warehouse"))
    settings = load_settings()
    pipeline = roles.running_warehouse(settings)
    owner = EmbeddedServer(settings.linekeeper_warehouse_dir).running()
    assert owner is not None
    statements = {
        roles.READER: (*AS_READER, *AS_READER_OF_A_SUPERUSERS), roles.LOADER: AS_LOADER,
        roles.TRANSFORMER: AS_TRANSFORMER,
    }[role]  # fmt: skip
    who = roles.reading(settings) if role == roles.READER else pipeline.acting_as(role)
    with pipeline.owner.session() as session:
        assert session.server_version >= 180000
        assert wrongly_allowed(who, statements, pid=session.info.backend_pid, owner=owner.user) == []
