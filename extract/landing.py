"""The one place that names a dlt destination and a dataset.

``land`` runs one extraction as one dlt load package, and that is one transaction: its
rows become visible together, and with them the row of ``_dlt_loads``. The landing tables
are made by the migrations; dlt finds them and only adds rows. That is why dlt gets no type
hints here: ``COPY`` writes JSON text into a ``jsonb`` column by itself, and hints that
differ from the Arrow schema would be warned about for every table.

Each run gets a working directory of its own: a package left behind by a failed run
would otherwise be loaded by the next one *in place of* what it extracts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import dlt
import psycopg2
import structlog
from dlt.common.pipeline import LoadInfo
from psycopg2 import sql

from extract.destination import BeforeCommit, OneTransaction
from extract.extraction import Extraction
from extract.payloads import garbage_kept
from extract.records import ExtractError, LandingError, LandingInterrupted, TierLimit

log = structlog.get_logger(__name__)

_DATASETS = {"odds_api": "staging_odds_api", "balldontlie": "staging_balldontlie"}


@dataclass(frozen=True, slots=True)
class Landing:
    """What one load brought.

    Attributes:
        source: ``odds_api`` or ``balldontlie``.
        load_id: the ``_dlt_load_id`` of its rows; None if there was nothing to load.
        rows: rows by landing table.
        failures: requests and files that failed; what came besides has landed.
        limits: what the plan of the key does not include; no failure.
    """

    source: str
    load_id: str | None
    rows: dict[str, int] = field(default_factory=dict)
    failures: tuple[ExtractError, ...] = ()
    limits: tuple[TierLimit, ...] = ()

    def raise_failures(self) -> None:
        """Raise what failed, if anything did; call it when the rest has been used.

        Raises:
            ExtractError: the failure itself, or one whose message names them all.
        """
        messages = list(dict.fromkeys(str(failure) for failure in self.failures))
        if len(messages) == 1:
            raise self.failures[0]
        if messages:
            raise ExtractError(f"{len(messages)} requests failed: {'; '.join(messages)}")


def land(dsn: str, extraction: Extraction) -> Landing:
    """Run an extraction and load its rows, all of them or none.

    Args:
        dsn: ``postgresql://user:password@host:port/database``; dlt wants a host and a
            password that is not empty.
        extraction: from ``odds_api``, ``balldontlie`` or ``history``; it is used up.

    Raises:
        LandingInterrupted: the warehouse went away, or was in the way, while rows were written.
        LandingError: the warehouse cannot be reached or written to, or has no landing
            tables. No password is in it.
    """
    source = extraction.source.name
    dataset = _DATASETS[source]
    _check_tables(dsn, dataset)
    _configure()
    with tempfile.TemporaryDirectory(prefix="linekeeper-") as directory, garbage_kept():
        problem: str | None = None
        kind = LandingError
        info: LoadInfo | None = None
        rows: dict[str, int] = {}
        try:
            pipeline = dlt.pipeline(
                pipeline_name=source,
                pipelines_dir=directory,
                destination=OneTransaction(dsn, _release(extraction)),
                dataset_name=dataset,
            )
            info = pipeline.run(extraction.source)
            info.raise_on_failed_jobs()
            rows = _rows_of(pipeline)
        except Exception as error:
            cause = _innermost(error)
            problem = f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
            if isinstance(cause, psycopg2.OperationalError):
                kind = LandingInterrupted
        if problem is not None:
            raise kind(_without_password(f"landing in {dataset} failed: {problem}", dsn))
    load_ids = info.loads_ids if info is not None and rows else []
    landing = Landing(
        source=source,
        load_id=load_ids[0] if load_ids else None,
        rows=rows,
        failures=tuple(extraction.problems.failures),
        limits=tuple(extraction.problems.limits),
    )
    log.info(
        "landed",
        source=source,
        load_id=landing.load_id,
        rows=landing.rows,
        failures=len(landing.failures),
    )
    return landing


def _release(extraction: Extraction) -> BeforeCommit:
    """Ends, with the load itself, the keeping of its responses by the ledger.

    What is not kept any more has been landed by another run, which took this one for killed.
    """

    def release(cursor: Any, load_id: str) -> None:
        kept = extraction.kept
        cursor.execute("delete from ops.unlanded_responses where request_id = any(%s)", (kept,))
        if cursor.rowcount != len(kept):
            raise LandingError(
                f"{len(kept) - cursor.rowcount} of {len(kept)} responses have been landed by another run: "
                "nothing is lost, run the task again"
            )

    return release


def landed_responses(dsn: str) -> Callable[[str, str, datetime | None], bool]:
    """Tells whether a response is in the warehouse: source, hash, and when it was captured.

    Without a time (a file that does not say when) the hash decides alone. Each source
    is read when it is first asked about; what lands afterwards is not seen. Meant for
    ``history.recorded``.
    """
    known: dict[str, dict[str, set[datetime]]] = {}

    def is_landed(source: str, response_hash: str, captured_at: datetime | None) -> bool:
        if source not in known:
            known[source] = _captures(dsn, source)
        instants = known[source].get(response_hash, set())
        return bool(instants) if captured_at is None else captured_at in instants

    return is_landed


def _captures(dsn: str, source: str) -> dict[str, set[datetime]]:
    """The instants at which each response that has landed was captured, by its hash."""
    captures: dict[str, set[datetime]] = {}
    with _connected(dsn) as cursor:
        cursor.execute(
            sql.SQL("select response_hash, captured_at from {}").format(sql.Identifier(_DATASETS[source], "responses"))
        )
        for response_hash, captured_at in cursor:
            captures.setdefault(response_hash, set()).add(captured_at)
    return captures


def _rows_of(pipeline: dlt.Pipeline) -> dict[str, int]:
    trace = pipeline.last_trace
    normalized = trace.last_normalize_info if trace is not None else None
    counts = normalized.row_counts if normalized is not None else {}
    return {table: count for table, count in counts.items() if not table.startswith("_dlt")}


def _configure() -> None:
    """Settings of dlt; an environment variable of dlt's own wins over each of them."""
    dlt.config["normalize.parquet_normalizer.add_dlt_load_id"] = True
    dlt.config["normalize.parquet_normalizer.add_dlt_id"] = True
    dlt.config["extract.next_item_mode"] = "fifo"
    # The files live for a second on this machine; packing them took 8 % of a landing.
    dlt.config["normalize.data_writer.disable_compression"] = True


@contextmanager
def _connected(dsn: str) -> Iterator[Any]:
    problem: str | None = None
    connection: Any = None
    try:
        connection = psycopg2.connect(dsn)
    except psycopg2.Error as error:
        problem = str(error)
    if problem is not None:
        raise LandingError(
            _without_password(
                f"the warehouse does not answer: {problem}; start it with "
                "`python orchestrate.py db start`, or check PGHOST and its siblings",
                dsn,
            )
        )
    with closing(connection), connection.cursor() as cursor:
        yield cursor


def _check_tables(dsn: str, dataset: str) -> None:
    with _connected(dsn) as cursor:
        cursor.execute("select to_regclass(%s)", (f"{dataset}.responses",))
        is_there = cursor.fetchone()[0] is not None
    if not is_there:
        raise LandingError(
            f"the landing tables of {dataset} are missing: apply the migrations with `python orchestrate.py db create`"
        )


def _innermost(error: BaseException) -> BaseException:
    """The first cause of an exception of dlt, without its wrapping.

    What PostgreSQL said comes before what Python happened to handle then, such as the end of an iterator.
    """
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    return next((link for link in reversed(chain) if isinstance(link, psycopg2.Error)), chain[-1])


def _without_password(text: str, dsn: str) -> str:
    password = urlsplit(dsn).password or ""
    for spelling in {password, unquote(password), quote(unquote(password), safe="")} - {""}:
        text = text.replace(spelling, "***")
    return text
