"""A small dbt project of its own, with the real macros and generic tests, for tests that need dbt to run something."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ops.paths import ROOT
from ops.transform import run_dbt

PROJECT = """
name: sandbox
config-version: 2
profile: linekeeper
macro-paths: [macros]
flags: {send_anonymous_usage_stats: false}
"""


@dataclass(frozen=True)
class Outcome:
    """What a dbt command did: `statuses` and `messages` by node name, and the first error if dbt itself gave up."""

    statuses: Mapping[str, str]
    messages: Mapping[str, str]
    error: str | None


@dataclass(frozen=True)
class Sandbox:
    """A dbt project in a folder; it writes to the database that libpq's variables name."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Sandbox":
        """Lay out the project with copies of the real macros, generic tests and profile."""
        shutil.copytree(ROOT / "macros", folder / "macros")
        shutil.copytree(ROOT / "tests" / "generic", folder / "tests" / "generic")
        shutil.copy(ROOT / "profiles.example.yml", folder / "profiles.yml")
        sandbox = cls(folder)
        sandbox.write("dbt_project.yml", PROJECT)
        return sandbox

    def write(self, path: str, text: str) -> None:
        """Write one file of the project."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def dbt(self, command: str, *arguments: str) -> Outcome:
        """Run a dbt command and return what became of each node; a failing node is no exception."""
        result = self._invoke(command, *arguments)
        runs = list(getattr(result.result, "results", None) or [])
        return Outcome(
            statuses={run.node.name: str(run.status) for run in runs},
            messages={run.node.name: str(run.message or "") for run in runs},
            error=None if result.exception is None else str(result.exception),
        )

    def rendered(self, templates: Mapping[str, str], *arguments: str) -> dict[str, str]:
        """Render pieces of SQL with dbt, all at once and without a database.

        Args:
            templates: SQL with Jinja, by a name.
            arguments: further arguments for dbt, such as --vars.

        Returns:
            The rendered SQL by the same names.

        Raises:
            AssertionError: dbt could not render them; the message is dbt's.
        """
        for name, template in templates.items():
            self.write(f"analyses/{name}.sql", template)
        nowhere = dict.fromkeys(("PGHOST", "PGUSER", "PGPASSWORD"), "nowhere.invalid")
        with mock.patch.dict(os.environ, nowhere):
            result = self._invoke(
                "compile", "--no-introspect", "--no-populate-cache", "--select", *templates, *arguments
            )
        assert result.success, str(result.exception or [run.message for run in result.result.results])
        return {run.node.name: str(run.node.compiled_code).strip() for run in result.result.results}

    def _invoke(self, command: str, *arguments: str) -> Any:
        folder = str(self.folder)
        quiet = [
            "--quiet",
            "--no-print",
            "--log-level",
            "none",
            "--no-use-colors",
            "--no-version-check",
            "--no-write-json",
        ]
        folders = ["--project-dir", folder, "--profiles-dir", folder, "--log-path", f"{folder}/logs"]
        return run_dbt([*quiet, command, *arguments, *folders, "--target-path", f"{folder}/target"])
