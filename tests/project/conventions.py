"""The conventions of the dbt project, each a rule that returns what breaks it.

A rule reads dbt's manifest and the files it came from. Exceptions are rows of exceptions.csv, each with its reason; an
exception that nothing needs any more is itself an error.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.paths import ROOT

TASK_TAGS = {"team_stats", "ingest", "snapshot", "scoring", "results", "grading"}
INCREMENTAL_STRATEGIES = {"upsert", "mirror", "append", "delete+insert"}
IRREGULAR_PARTICIPLES = ("known", "rewound", "seen", "split")
EXCEPTIONS = Path(__file__).with_name("exceptions.csv")


@dataclass(frozen=True)
class Violation:
    """What breaks a rule: the model, seed, macro or `model.column`, and what is wrong with it."""

    name: str
    problem: str


@dataclass(frozen=True)
class Project:
    """What the rules look at, from dbt's manifest."""

    models: tuple[Mapping[str, Any], ...]
    seeds: tuple[Mapping[str, Any], ...]
    macros: tuple[Mapping[str, Any], ...]
    sources: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> "Project":
        """Take what is this project's own out of a manifest, as the dictionary of its JSON."""
        project = manifest["metadata"]["project_name"]
        nodes = [node for node in manifest["nodes"].values() if node["package_name"] == project]
        return cls(
            models=tuple(node for node in nodes if node["resource_type"] == "model"),
            seeds=tuple(node for node in nodes if node["resource_type"] == "seed"),
            macros=tuple(
                macro
                for macro in manifest["macros"].values()
                if macro["package_name"] == project and not macro["name"].startswith("test_")
            ),
            sources=tuple(manifest["sources"].values()),
        )

    def models_in(self, layer: str) -> Iterator[Mapping[str, Any]]:
        """Models of one layer: staging, intermediate or marts."""
        return (model for model in self.models if model["fqn"][1] == layer)


@dataclass(frozen=True)
class Rule:
    """A convention: what it asks, why, and how to find what breaks it."""

    name: str
    reason: str
    find: Callable[[Project], Iterator[Violation]]


RULES: dict[str, Rule] = {}


def rule(reason: str) -> Callable[[Callable[[Project], Iterator[Violation]]], Callable[[Project], Iterator[Violation]]]:
    """Register a function as the rule of its name."""

    def register(find: Callable[[Project], Iterator[Violation]]) -> Callable[[Project], Iterator[Violation]]:
        RULES[find.__name__] = Rule(find.__name__, reason, find)
        return find

    return register


def exceptions(path: Path = EXCEPTIONS) -> dict[tuple[str, str], str]:
    """Read the exceptions: (rule, name) and the reason."""
    with path.open(newline="") as file:
        return {(row["rule"], row["name"]): row["reason"] for row in csv.DictReader(file)}


def _models_before(project: Project) -> dict[str, set[str]]:
    """By model, the models that dbt builds before it: those it refers to, and theirs."""
    refers = {
        model["name"]: {name.rsplit(".", 1)[-1] for name in model["depends_on"]["nodes"] if name.startswith("model.")}
        for model in project.models
    }
    before = {name: set[str]() for name in refers}
    for name, found in before.items():
        pending = [*refers[name]]
        while pending:
            one = pending.pop()
            if one not in found:
                found.add(one)
                pending += refers.get(one, ())
    return before


# --- names -------------------------------------------------------------------


@rule("stg_<source>__<entity>s, in the folder of its source: the name says where the rows come from")
def staging_models_are_named_by_source_and_entity(project: Project) -> Iterator[Violation]:
    for model in project.models_in("staging"):
        source = model["fqn"][2]
        if not re.fullmatch(rf"stg_{source}__[a-z]+(_[a-z]+)*s", model["name"]):
            yield Violation(model["name"], f"is not called stg_{source}__<entity>s")


@rule("int_<entity>s_<past participle>: the name says what was done to which rows")
def intermediate_models_are_named_by_what_was_done(project: Project) -> Iterator[Violation]:
    participle = "|".join(("[a-z]+ed", *IRREGULAR_PARTICIPLES))
    for model in project.models_in("intermediate"):
        if not re.fullmatch(rf"int_([a-z]+_)*[a-z]+s_({participle})", model["name"]):
            yield Violation(model["name"], "is not called int_<entity>s_<past participle>")


@rule("marts have the plain business name: people who query them do not know the layers")
def marts_have_plain_names(project: Project) -> Iterator[Violation]:
    for model in project.models_in("marts"):
        if not re.fullmatch(r"(?!(stg|int|fct|dim|mart|base|tmp)_)[a-z]+(_[a-z0-9]+)*", model["name"]):
            yield Violation(model["name"], "is not a plain name")


@rule("times end in _at, local dates say their zone, booleans begin with is_, has_ or was_: a name tells the type")
def columns_are_named_by_kind(project: Project) -> Iterator[Violation]:
    for node in (*project.models, *project.seeds):
        for column, kind in _column_types(node).items():
            name = f"{node['name']}.{column}"
            if kind.startswith("timestamp") and not column.endswith("_at"):
                yield Violation(name, f"is a {kind}, so it ends in _at")
            elif column.endswith("_at") and not kind.startswith("timestamp"):
                yield Violation(name, f"ends in _at, but is a {kind}")
            elif kind == "boolean" and not column.startswith(("is_", "has_", "was_")):
                yield Violation(name, "is a boolean, so it begins with is_, has_ or was_")
            elif column.startswith(("is_", "has_", "was_")) and kind != "boolean":
                yield Violation(name, f"reads like a boolean, but is a {kind}")
            elif kind == "date" and node["resource_type"] == "model" and not re.search(r"_(et|utc)$", column):
                yield Violation(name, "is a date, so it ends in its zone, as in game_date_et")
            elif re.match(r"(n|num|no|nr|count)_", column):
                yield Violation(name, "is a count, so it ends in _count")


@rule("times are timestamptz, numerics have a scale: the other forms lose the zone, or fail contracts")
def column_types_are_exact(project: Project) -> Iterator[Violation]:
    for node in (*project.models, *project.seeds):
        for column, kind in _column_types(node).items():
            if kind.startswith("timestamp") and kind not in ("timestamptz", "timestamp with time zone"):
                yield Violation(f"{node['name']}.{column}", f"is a {kind}, not a timestamptz")
            if kind in ("numeric", "decimal") or kind.startswith(("real", "float")):
                yield Violation(f"{node['name']}.{column}", f"is a {kind}: give it numeric with precision and scale")


# --- files -------------------------------------------------------------------


@rule("one .yml beside each .sql or .csv, same stem: whoever finds one finds the other")
def every_file_has_its_properties_beside_it(project: Project) -> Iterator[Violation]:
    for node in (*project.models, *project.seeds, *project.macros):
        patch = (node["patch_path"] or "").partition("://")[2]
        path = Path(node["original_file_path"])
        # The versions of a model share the properties of the first.
        expected = str(path.with_name(f"{node['name']}.yml") if node.get("version") else path.with_suffix(".yml"))
        if patch != expected:
            yield Violation(node["name"], f"has its properties in {patch or 'no file'}, not in {expected}")


@rule("one macro a file, called like it: a macro is found without searching")
def every_macro_has_its_own_file(project: Project) -> Iterator[Violation]:
    for macro in project.macros:
        if Path(macro["original_file_path"]).stem != macro["name"]:
            yield Violation(macro["name"], f"stands in {macro['original_file_path']}")


# --- descriptions --------------------------------------------------------------


@rule("a description begins with the grain, 'one row per …': without it every join is a guess")
def descriptions_begin_with_the_grain(project: Project) -> Iterator[Violation]:
    for node in (*project.models, *project.seeds):
        first = " ".join(node["description"].strip().partition("\n\n")[0].split())
        if "one row per" not in first.partition(". ")[0]:
            yield Violation(node["name"], f"begins with {first[:60]!r}, without 'one row per'")


@rule("every column of a mart or a seed, every source, table and argument is described")
def everything_public_is_described(project: Project) -> Iterator[Violation]:
    for node in (*project.models_in("marts"), *project.seeds):
        for name, column in node["columns"].items():
            if not column["description"].strip():
                yield Violation(f"{node['name']}.{name}", "has no description")
    for seed in project.seeds:
        header = next(csv.reader((ROOT / seed["original_file_path"]).read_text().splitlines()))
        for name in sorted(set(header) ^ set(seed["columns"])):
            yield Violation(f"{seed['name']}.{name}", "is not in both the .csv and its .yml")
    for source in project.sources:
        if not source["description"].strip() or not source["source_description"].strip():
            yield Violation(f"{source['source_name']}.{source['name']}", "has no description")
    for macro in project.macros:
        if not macro["description"].strip():
            yield Violation(macro["name"], "has no description")
        signature = re.search(r"macro\s+\w+\((.*?)\)\s*-?%}", macro["macro_sql"], re.DOTALL)
        parameters = re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", signature[1] if signature else "")
        described = [argument["name"] for argument in macro["arguments"] if (argument["description"] or "").strip()]
        if parameters != described:
            yield Violation(macro["name"], f"has the parameters {parameters} and describes {described}")


# --- contracts and configuration -------------------------------------------------


@rule("a mart has an enforced contract: it is a public interface")
def marts_have_enforced_contracts(project: Project) -> Iterator[Violation]:
    for model in project.models_in("marts"):
        if not model["config"]["contract"]["enforced"]:
            yield Violation(model["name"], "has no enforced contract")


@rule("a mart has a primary key as a constraint: the database proves the grain, no test scans for it")
def marts_have_a_primary_key(project: Project) -> Iterator[Violation]:
    for model in project.models_in("marts"):
        constraints = [
            *model["constraints"],
            *(c for column in model["columns"].values() for c in column["constraints"]),
        ]
        if model["config"]["materialized"] == "view":
            yield Violation(model["name"], "is a view, which has no primary key")
        elif sum(constraint["type"] == "primary_key" for constraint in constraints) != 1:
            yield Violation(model["name"], "has no primary key, or more than one")


@rule("an incremental model says what happens when its columns change, and changes rows by a strategy that Citus runs")
def incremental_models_are_configured(project: Project) -> Iterator[Violation]:
    for model in project.models:
        config = model["config"]
        if config["materialized"] != "incremental":
            continue
        if config["on_schema_change"] not in ("append_new_columns", "fail"):
            yield Violation(model["name"], f"has on_schema_change {config['on_schema_change']!r}")
        if config["incremental_strategy"] not in INCREMENTAL_STRATEGIES:
            yield Violation(model["name"], f"has incremental_strategy {config['incremental_strategy']!r}")
        if config["incremental_strategy"] != "append" and not config["unique_key"]:
            yield Violation(model["name"], "has no unique_key")


@rule(
    "what has a task's tag is made in its runs: a table must be, and a view that holds the pipeline's now; "
    "any other view stands"
)
def every_table_belongs_to_a_task(project: Project) -> Iterator[Violation]:
    for model in project.models:
        tags = TASK_TAGS & set(model["tags"])
        kind = model["config"]["materialized"]
        holds_now = "as_of()" in model["raw_code"]
        if (kind != "view" or holds_now) != bool(tags):
            now = " that holds as_of()" if holds_now else ""
            yield Violation(model["name"], f"is a {kind}{now} with the task tags {sorted(tags)}")


@rule("whoever tells a model, or takes in the loads it finds rows through, is built before it: a step is one dbt run")
def models_are_built_after_those_that_tell_them(project: Project) -> Iterator[Violation]:
    before = _models_before(project)
    for model in project.models:
        for told in model["config"].get("meta", {}).get("tells", {}):
            if model["name"] not in before.get(told, ()):
                yield Violation(model["name"], f"tells {told}, which does not refer to it")
        for hook in model["config"].get("pre-hook", ()):
            for listed in re.findall(r"'staging_\w+':\s*\[([^]]*)\]", hook["sql"]):
                for other in re.findall(r"'(\w+)'", listed):
                    if other not in before[model["name"]]:
                        yield Violation(model["name"], f"claims loads after {other}, to which it does not refer")


@rule("whoever builds the rows of a view that holds the pipeline's now a second time must know which now it was")
def views_of_the_present_remember_it(project: Project) -> Iterator[Violation]:
    for model in project.models:
        holds_now = re.search(r"(?<!remember_)as_of\(\)", model["raw_code"])
        if holds_now and model["config"]["materialized"] == "view" and "remember_as_of()" not in model["raw_code"]:
            yield Violation(model["name"], "holds as_of() without the post_hook remember_as_of()")


# --- SQL -----------------------------------------------------------------------

FORBIDDEN_SQL = {
    r"\b(current_timestamp|current_date|localtimestamp|clock_timestamp|statement_timestamp|now\(\))": (
        "asks the database for the time: use as_of()"
    ),
    r"\bselect\s+distinct\b(?!\s+on\b)": "hides a fan-out behind select distinct: group by the key, or mend the join",
    r"\bright\s+(outer\s+)?join\b": "joins right: join left",
    r">=?\s*\(\s*select\s+(coalesce\()?max\(": "finds new rows by a maximum, which loses ties and late rows",
    r"\bgrouping\s+sets\b|\brollup\s*\(|\bcube\s*\(": "uses grouping sets, which a distributed server refuses",
    r"\bunion\b(?!\s+(all|distinct)\b)": "says union alone: write union all, or union distinct where that is meant",
}


@rule("no model reads a clock, hides a fan-out or loses late rows")
def sql_has_nothing_forbidden(project: Project) -> Iterator[Violation]:
    for model in project.models:
        sql = _without_comments(model["raw_code"]).lower()
        for pattern, problem in FORBIDDEN_SQL.items():
            if re.search(pattern, sql):
                yield Violation(model["name"], problem)
        if not _is_plain_view(model) and re.search(r"\bjoin\s+\{\{\s*(ref|source)\b", sql):
            yield Violation(model["name"], "joins a ref or source directly: import it in a CTE first")


@rule("JSON is taken apart in staging only: another engine then changes one layer")
def json_is_taken_apart_in_staging(project: Project) -> Iterator[Violation]:
    taken_apart = re.compile(r"->|#>|\bjsonb?_(array_elements|array_length|each|to_record|path|object_keys|typeof)")
    for model in project.models:
        if model["fqn"][1] != "staging" and taken_apart.search(_without_comments(model["raw_code"])):
            yield Violation(model["name"], "takes JSON apart")


@rule("the last line is `select * from` a CTE: any step of the model can be looked at by changing one word")
def models_end_in_a_select_from_a_cte(project: Project) -> Iterator[Violation]:
    for model in project.models:
        last = model["raw_code"].strip().splitlines()[-1]
        if not _is_plain_view(model) and not re.fullmatch(r"select \* from \w+", last):
            yield Violation(model["name"], f"ends in {last!r}, not in select * from <a CTE>")


@rule("no join condition is pushed into a view with a CTE: a cycle would read all that was ever landed")
def staging_views_are_one_plain_select(project: Project) -> Iterator[Violation]:
    for model in project.models:
        if model["fqn"][1] == "staging" and not _is_plain_view(model):
            yield Violation(model["name"], "is not a view of one plain select")


@rule("a CTE that is read twice is built whole: of landed rows, that is all that was ever landed")
def landed_rows_read_twice_are_not_materialized(project: Project) -> Iterator[Violation]:
    landed = r"stg_\w+|int_quotes_normalised|int_captures_listed"
    imported = re.compile(rf"(\w+) as \(\s*select \*\s+from \{{\{{ ref\('({landed})'\) \}}\}}")
    for model in project.models:
        sql = _without_comments(model["raw_code"])
        for name, relation in imported.findall(sql):
            if len(re.findall(rf"\b(?:from|join)\s+{name}\b(?!\.)", sql)) > 1:
                yield Violation(model["name"], f"reads {relation} twice: say `{name} as not materialized (`")


def _is_plain_view(model: Mapping[str, Any]) -> bool:
    is_view = model["config"]["materialized"] == "view"
    return is_view and _without_comments(model["raw_code"]).lstrip().lower().startswith("select")


def _column_types(node: Mapping[str, Any]) -> dict[str, str]:
    """Column types as far as the project declares them: a contract's, or a seed's."""
    declared = {name: column["data_type"] for name, column in node["columns"].items() if column["data_type"]}
    return {name: str(kind).lower() for name, kind in (declared | (node["config"].get("column_types") or {})).items()}


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", "", sql, flags=re.DOTALL)
