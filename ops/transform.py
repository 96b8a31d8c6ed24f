"""dbt inside the process: parsed once, then a call costs a third of a second instead of four."""

import csv
import functools
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from ops.clock import to_iso
from ops.errors import TransformError, TransformInterrupted
from ops.paths import ROOT
from ops.settings import silence_usage_statistics

PROJECT_PARTS = ("dbt_project.yml", "dbt_project", "macros", "seeds")
"""What decides what the warehouse holds. When it changes, everything is built once."""

logger = structlog.get_logger(__name__)

OnNode = Callable[[str], None]
"""Called with the name of each model, seed or test when it is done."""


@dataclass(frozen=True)
class NodeOutcome:
    """What became of one model, seed or test."""

    name: str
    resource_type: str
    status: str
    message: str | None
    seconds: float
    row_count: int | None
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.resource_type} {self.name}" + (f" ({', '.join(self.tags)})" if self.tags else "")

    @property
    def is_failure(self) -> bool:
        """Whether it stops what depends on it; a warning does not."""
        return self.status in ("error", "fail", "runtime error", "partial success")


@dataclass(frozen=True)
class BuildResult:
    """What a build did."""

    nodes: tuple[NodeOutcome, ...]
    seconds: float

    @property
    def row_count(self) -> int:
        """Rows that models wrote; a view writes none."""
        return sum(node.row_count or 0 for node in self.nodes if node.resource_type == "model")


@dataclass(frozen=True)
class TableContract:
    """What the table of a model or seed must be.

    Attributes:
        name: of the model or seed.
        columns: the type of each column by its name, None where nobody says.
        not_null: the columns that may not be empty.
        can_be_refilled: whether all rows of the table that is there can be written again in place.
        derives_what_is_due: whether the model derives those rows only of which it was told that they may differ.
    """

    name: str
    schema: str
    table: str
    columns: Mapping[str, str | None]
    not_null: frozenset[str] = frozenset()
    can_be_refilled: bool = False
    derives_what_is_due: bool = False


@dataclass(frozen=True)
class TableIndexes:
    """What dbt would have made indexes on, had it made the table of a model now.

    Attributes:
        name: of the model.
        definitions: each as PostgreSQL writes it, such as `btree (event_id, captured_at)` or `unique btree (game_id)`.
    """

    name: str
    schema: str
    table: str
    definitions: frozenset[str]


@dataclass
class Project:
    """A dbt project that is parsed at its first use and again only when its files change.

    Args:
        root: the folder of dbt_project.yml.
        target: dbt's working folder, see `target_folder`.
        schema_prefix: what the names of the schemas begin with that are written to, dbt's var of this name.
        on_node: called when a model, seed or test is done.
    """

    root: Path = ROOT
    target: Path | None = None
    schema_prefix: str = ""
    on_node: OnNode | None = None
    _manifest: Any = field(default=None, init=False, repr=False)
    _parsed_hash: str = field(default="", init=False, repr=False)

    def build(
        self, *tags: str, as_of: datetime, full_refresh: bool = False, on_node: OnNode | None = None
    ) -> BuildResult:
        """Build the models of some tags with their tests, unit and nightly tests left out.

        Args:
            tags: `ingest`, `snapshot` …
            as_of: the pipeline's now, dbt's var of this name.
            full_refresh: build incremental models from nothing.

        Raises:
            TransformError: a node failed, or no model has one of the tags.
        """
        selected = [f"tag:{tag}" for tag in tags]
        result = self.invoke(
            "build",
            ["--select", *selected, "--exclude", "tag:nightly", "--exclude-resource-type", "unit_test"],
            as_of=as_of,
            full_refresh=full_refresh,
            on_node=on_node,
        )
        for tag in tags:
            if not any(tag in node.tags for node in result.nodes):
                raise TransformError(
                    f"no dbt model has the tag {tag!r}: tag its models in {self.root / 'dbt_project.yml'}"
                )
        return result

    def build_all(
        self,
        as_of: datetime,
        *,
        full_refresh: bool = False,
        variables: Mapping[str, object] | None = None,
        on_node: OnNode | None = None,
    ) -> BuildResult:
        """Build every seed, view and model without tests: what a changed project needs before a task can run.

        Args:
            full_refresh: build everything from nothing.
            variables: further dbt vars, see `ops.changes.Changes`.
        """
        exclude = [
            "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "seed"
        ]  # fmt: skip
        options: Any = {"as_of": as_of, "full_refresh": full_refresh, "variables": variables, "on_node": on_node}
        seeds = self.invoke("seed", [], **options)
        rest = self.invoke("build", exclude, **options)
        return BuildResult(seeds.nodes + rest.nodes, seeds.seconds + rest.seconds)

    def docs(self, as_of: datetime, *, static: bool = False) -> Path:
        """Generate the documentation with its lineage. Returns the page to open.

        Raises:
            TransformError: dbt cannot read the project or the warehouse.
        """
        self._invoke_raw("docs", ["generate", *(["--static"] if static else [])], as_of=as_of, write_json=True)
        return self.target_folder / ("static_index.html" if static else "index.html")

    @property
    def target_folder(self) -> Path:
        """Where dbt writes: as given, as dbt's own DBT_TARGET_PATH says, or `target/` of the project."""
        return self.target or Path(os.environ.get("DBT_TARGET_PATH") or self.root / "target")

    def invoke(
        self,
        command: str,
        arguments: Sequence[str],
        *,
        as_of: datetime,
        full_refresh: bool = False,
        variables: Mapping[str, object] | None = None,
        on_node: OnNode | None = None,
    ) -> BuildResult:
        """Run a dbt command that runs nodes, and log what became of each.

        Raises:
            TransformError: a node failed; the message has each failing node with what it said.
        """
        began = time.monotonic()
        arguments = [*arguments, *(["--full-refresh"] if full_refresh else [])]
        raw = self._invoke_raw(command, arguments, as_of=as_of, variables=variables, on_node=on_node or self.on_node)
        nodes = tuple(_outcome(result) for result in raw)
        for node in nodes:
            log = logger.error if node.is_failure else logger.warning if node.status == "warn" else logger.debug
            log(
                "dbt node", node=node.name, type=node.resource_type, status=node.status, rows=node.row_count,
                seconds=round(node.seconds, 2), **({"message": node.message} if node.status in _NOTABLE else {}),
            )  # fmt: skip
        failures = [node for node in nodes if node.is_failure]
        if failures:
            skipped = sum(node.status == "skipped" for node in nodes)
            is_interrupted = all(_INTERRUPTED.search(node.message or "") for node in failures)
            raise (TransformInterrupted if is_interrupted else TransformError)(
                "dbt failed: "
                + "; ".join(f"{node}: {node.message}" for node in failures[:5])
                + (f"; and {len(failures) - 5} more" if len(failures) > 5 else "")
                + (f" ({skipped} skipped because of it)" if skipped else "")
            )
        return BuildResult(nodes, time.monotonic() - began)

    def contracts(self) -> list["TableContract"]:
        """Return what the tables of models with a contract, and of seeds, must be.

        Raises:
            TransformError: the project has an error.
        """
        self.parse()
        found = []
        for node in self._manifest.nodes.values():
            if node.resource_type == "seed":
                with (self.root / node.original_file_path).open(encoding="utf-8", newline="") as file:
                    header = next(csv.reader(file), [])
                types = node.config.column_types
                found.append(
                    TableContract(node.name, node.schema, node.alias, {name: types.get(name) for name in header})
                )
            elif node.config.materialized in ("incremental", "table") and node.config.contract.enforced:
                found.append(
                    TableContract(
                        node.name,
                        node.schema,
                        node.alias,
                        {column.name: column.data_type for column in node.columns.values()},
                        frozenset(
                            column.name
                            for column in node.columns.values()
                            if any(constraint.type == "not_null" for constraint in column.constraints)
                        ),
                        node.config.incremental_strategy in ("upsert", "mirror"),
                        any("claim_due(" in hook.sql for hook in node.config.pre_hook),
                    )
                )
        return found

    def indexes(self) -> list[TableIndexes]:
        """Return the indexes of the tables that dbt makes once and keeps.

        Raises:
            TransformError: the project has an error.
        """
        self.parse()
        return [
            TableIndexes(
                node.name,
                node.schema,
                node.alias,
                frozenset(
                    f"{'unique ' * bool(index.get('unique'))}{index.get('type') or 'btree'} "
                    f"({', '.join(index['columns'])})".lower()
                    for index in node.config.get("indexes") or ()
                ),
            )
            for node in self._manifest.nodes.values()
            if node.resource_type == "model" and node.config.materialized == "incremental"
        ]

    def beside(self, schema_prefix: str) -> "Project":
        """Return the same project, to be built in other schemas of the same database."""
        target = self.target_folder / schema_prefix.rstrip("_")
        return Project(self.root, target, schema_prefix, self.on_node)

    def tables(self) -> list[tuple[str, str]]:
        """Return schema and name of every table that is built to be kept: seeds, and models that are no views.

        An unlogged table is none: it holds what models have still to take in.

        Raises:
            TransformError: the project has an error.
        """
        self.parse()
        return sorted(
            (node.schema, node.alias)
            for node in self._manifest.nodes.values()
            if node.resource_type == "seed"
            or (
                node.resource_type == "model"
                and node.config.materialized in ("incremental", "table")
                and not node.config.get("unlogged")
            )
        )

    def schemas(self) -> list[str]:
        """Return the names of the schemas that are written to.

        Raises:
            TransformError: the project has an error.
        """
        self.parse()
        return sorted(
            {node.schema for node in self._manifest.nodes.values() if node.resource_type in ("seed", "model")}
        )

    def made_after(self, models: Collection[str]) -> list[str]:
        """Return models and what is built on them, without views that stand; dbt puts them in order.

        Raises:
            TransformError: the project has an error.
        """
        self.parse()
        nodes = {key: node for key, node in self._manifest.nodes.items() if node.resource_type == "model"}
        found = {key for key, node in nodes.items() if node.name in models}
        while more := {key for key, node in nodes.items() if found & {*node.depends_on.nodes}} - found:
            found |= more
        return sorted(nodes[key].name for key in found if nodes[key].config.materialized != "view" or nodes[key].tags)

    def parse(self) -> None:
        """Read the project's files, if they or the database have changed since the last time in this process.

        Raises:
            TransformError: the project has an error; the message is dbt's.
        """
        # A parsed project holds the name of the database in every relation.
        database = os.environ.get("PGDATABASE", "")
        fingerprint = project_hash(self.root, parts=(*PROJECT_PARTS, "tests")) + database
        if self._manifest is not None and fingerprint == self._parsed_hash:
            return
        silence_usage_statistics()
        ensure_profile(self.root)
        began = time.monotonic()
        # Without as_of: dbt would throw its cached parse away whenever that changes.
        arguments = ["--vars", json.dumps({"schema_prefix": self.schema_prefix})] if self.schema_prefix else []
        result = run_dbt([*self._flags(write_json=False), "parse", *arguments, *self._folders()])
        if not result.success:
            raise TransformError(f"the dbt project in {self.root} has an error: {_one_line(str(result.exception))}")
        self._manifest, self._parsed_hash = result.result, fingerprint
        logger.debug("dbt project parsed", seconds=round(time.monotonic() - began, 2))

    def _invoke_raw(
        self,
        command: str,
        arguments: Sequence[str],
        *,
        as_of: datetime,
        variables: Mapping[str, object] | None = None,
        on_node: OnNode | None = None,
        write_json: bool = False,
    ) -> list[Any]:
        self.parse()

        def heard(event: Any) -> None:
            if on_node is not None and event.info.name == "NodeFinished":
                on_node(event.data.node_info.node_name)

        given = {"as_of": to_iso(as_of).replace("Z", "+00:00"), **(variables or {})}
        if self.schema_prefix:
            given["schema_prefix"] = self.schema_prefix
        done = run_dbt(
            [
                *self._flags(write_json=write_json),
                command,
                *arguments,
                "--vars",
                json.dumps(given),
                *self._folders(),
            ],
            manifest=self._manifest,
            callbacks=[heard],
        )
        if done.exception is not None:
            raise TransformError(f"dbt {command} failed: {_one_line(str(done.exception))}")
        return list(getattr(done.result, "results", None) or [])

    def _flags(self, *, write_json: bool) -> list[str]:
        return [
            "--quiet", "--no-print", "--no-use-colors", "--no-version-check", "--cache-selected-only",
            "--log-level", "none", "--log-level-file", "info", "--log-path", str(self.root / "logs"),
            "--write-json" if write_json else "--no-write-json",
        ]  # fmt: skip

    def _folders(self) -> list[str]:
        return [
            "--project-dir", str(self.root), "--profiles-dir", str(self.root),
            "--target-path", str(self.target_folder),
        ]  # fmt: skip


@functools.cache
def project_in(target: Path) -> Project:
    """Return the project of this checkout, with dbt at work in a folder: of each folder always the same.

    So it is parsed once in the life of a process, however many pipelines are opened: `schedule` opens one a cycle.
    """
    return Project(target=target)


def run_dbt(arguments: Sequence[str], *, manifest: Any = None, callbacks: Sequence[Callable[[Any], None]] = ()) -> Any:
    """Run a dbt command in this process. Returns dbt's own result.

    dbt-adapters 1.24 adds the behaviour flags of PostgreSQL to a list of the whole process, again with every command,
    and looks through the stack for each flag of that list: after 200 commands one takes 0.3 s of CPU more. So what a
    command has added is taken off again.

    Args:
        manifest: the parsed project, where it is parsed already.
        callbacks: called with each event of dbt.
    """
    from dbt.adapters.base.impl import DEFAULT_BASE_BEHAVIOR_FLAGS as FLAGS
    from dbt.cli.main import dbtRunner

    count = len(FLAGS)
    try:
        return dbtRunner(manifest=manifest, callbacks=[*callbacks]).invoke([*arguments])
    finally:
        del FLAGS[count:]


_INTERRUPTED = re.compile(
    r"deadlock detected|could not serialize access|lock timeout|tuple concurrently updated|could not receive data"
    r"|server closed the connection|terminating connection|connection (refused|reset|already closed|not open)"
    r"|the database system is|too many clients|could not connect",
    re.IGNORECASE,
)
"""What PostgreSQL and its driver say when it is not the statement that is wrong."""

_NOTABLE = ("error", "fail", "runtime error", "warn", "partial success")


def _outcome(result: Any) -> NodeOutcome:
    rows = (result.adapter_response or {}).get("rows_affected")
    resource_type = str(getattr(result.node.resource_type, "value", result.node.resource_type))
    return NodeOutcome(
        name=str(result.node.name),
        resource_type=resource_type,
        status=str(getattr(result.status, "value", result.status)),
        message=None if result.message is None else _one_line(result.message),
        seconds=float(result.execution_time),
        row_count=int(rows) if rows is not None and int(rows) >= 0 and resource_type != "test" else None,
        tags=tuple(sorted(result.node.tags)),
    )


def _one_line(text: str) -> str:
    """Return dbt's message as one line, without the lines that repeat where the node is."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("compiled code at")]
    if len(lines) > 1 and re.match(r"(Database|Compilation|Runtime|Parsing) Error", lines[0]):
        lines = lines[1:]
    return " ".join(lines)[:500]


def ensure_profile(root: Path = ROOT) -> None:
    """Give dbt its connection profile, which reads libpq's variables, where the user has made none."""
    profile, example = root / "profiles.yml", root / "profiles.example.yml"
    if profile.exists():
        return
    temporary = profile.with_name(f"profiles.{os.getpid()}.new")
    try:
        shutil.copyfile(example, temporary)
        temporary.replace(profile)
    except OSError as error:
        raise TransformError(f"cannot copy {example} to {profile}: {error.strerror}") from None


def project_hash(root: Path = ROOT, parts: Sequence[str] = PROJECT_PARTS) -> str:
    """Return a hash of the files that decide what dbt builds: their names and contents."""
    digest = hashlib.sha256()
    for part in parts:
        path = root / part
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            if file.suffix not in (".sql", ".yml", ".yaml", ".csv", ".md"):
                continue
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
