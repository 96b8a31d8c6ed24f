"""What a source hands over for landing, and what went wrong on the way.

A request that fails does not lose the others: it becomes a dead letter, its error
is kept, the rest lands, and ``Landing.raise_failures`` fails the task afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import dlt
import pyarrow as pa  # type: ignore[import-untyped]
import structlog
from dlt.extract import DltResource, DltSource

from extract.client import Answer, ApiClient, Fetched
from extract.payloads import FROM_API, Response, landing_tables
from extract.records import (
    AuthenticationError,
    CircuitOpen,
    EventNotFound,
    ExtractError,
    Ledger,
    QuotaExhausted,
    TierLimit,
)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Problems:
    """What went wrong in one extraction; it fills while the extraction is landed.

    Attributes:
        failures: what makes the task fail in the end.
        limits: what the plan of the key does not include: to be said once, no failure.
    """

    failures: list[ExtractError] = field(default_factory=list)
    limits: list[TierLimit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Extraction:
    """A lazy dlt source and its problems; ``landing.land`` runs it, once.

    Attributes:
        source: one resource an endpoint; yields Arrow tables of the landing tables.
        problems: empty until the source has been run.
        kept: ids of the responses in it that the ledger keeps until they have landed;
            empty until the source has been run.
    """

    source: DltSource
    problems: Problems
    kept: list[str] = field(default_factory=list)


class Asker:
    """Asks for one extraction: collects failures, and stops where asking is in vain."""

    def __init__(self, client: ApiClient, problems: Problems) -> None:
        self.client = client
        self.problems = problems
        self.is_stopped = False

    def ask(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, Any],
        unwrap: Callable[[Any], Answer],
    ) -> Fetched | None:
        """The response, or None if it failed; the failure has then been kept.

        After a refused key, an exhausted quota, a limit of the plan or an open circuit
        nothing more is asked. An event that has ended between two requests is no failure.
        """
        if self.is_stopped:
            return None
        try:
            return self.client.get(endpoint, path, params, unwrap)
        except EventNotFound as gone:
            log.info("event_gone", source=self.client.source, path=path, error=str(gone))
        except ExtractError as failure:
            self.fail(failure, endpoint, path, params)
        return None

    def fail(self, failure: ExtractError, endpoint: str, path: str, params: Mapping[str, Any]) -> None:
        """Keep a failure; a request that may be worth replaying is a dead letter."""
        self.problems.failures.append(failure)
        if isinstance(failure, (AuthenticationError, QuotaExhausted, TierLimit, CircuitOpen)):
            self.is_stopped = True
        else:
            self.client.ledger.dead_letter(self.client.dead_request(endpoint, path, params, failure))

    def limit(self, limit: TierLimit) -> None:
        """Keep a limit of the plan, the same one once."""
        if str(limit) not in map(str, self.problems.limits):
            self.problems.limits.append(limit)


def extraction(
    name: str,
    endpoints: Mapping[str, Iterator[Response]],
    problems: Problems,
    ledger: Ledger,
    *,
    batch: int = 1,
    kept: list[str] | None = None,
) -> Extraction:
    """A dlt source with one resource an endpoint, over responses as they come.

    Args:
        name: ``odds_api`` or ``balldontlie``.
        endpoints: the responses of each, asked for only when the source runs.
        problems: where the iterators keep what went wrong.
        ledger: receives the dead letters of elements.
        batch: responses converted to one Arrow table; the most held in memory.
        kept: ids of those responses that the ledger keeps already; None if they are yet to arrive.
    """
    ids = [] if kept is None else kept

    def resource(endpoint: str, responses: Iterator[Response]) -> DltResource:
        arriving = _keeping(name, responses, ledger, ids) if kept is None else responses

        def rows() -> Iterator[Any]:
            while gathered := list(islice(arriving, batch)):
                for table_name, table in landing_tables(name, gathered, ledger):
                    yield dlt.mark.with_table_name(table, table_name)

        return dlt.resource(rows, name=endpoint, write_disposition="append")

    def resources() -> Iterator[DltResource]:
        for endpoint, responses in endpoints.items():
            yield resource(endpoint, responses)

    return Extraction(dlt.source(resources, name=name)(), problems, ids)


def of_tables(name: str, endpoint: str, tables: Iterable[tuple[str, pa.Table]], problems: Problems) -> Extraction:
    """A dlt source with one resource, over rows that are made already; nothing of them is kept by the ledger.

    Args:
        name: ``odds_api`` or ``balldontlie``.
        endpoint: the name of the resource.
        tables: see ``landing_tables``.
        problems: what went wrong while they were made.
    """

    def rows() -> Iterator[Any]:
        for table_name, table in tables:
            yield dlt.mark.with_table_name(table, table_name)

    resource = dlt.resource(rows, name=endpoint, write_disposition="append")
    return Extraction(dlt.source(lambda: resource, name=name)(), problems)


def _keeping(name: str, responses: Iterator[Response], ledger: Ledger, kept: list[str]) -> Iterator[Response]:
    """Have the ledger keep each response that cannot be read again, as soon as it is here.

    Of what an earlier attempt was told, what has landed since is left out.
    """
    for response in responses:
        if response.origin == FROM_API:
            if ledger.has_landed(response.request_id):
                continue
            if response.request_id not in kept and ledger.keep_response(name, response):
                kept.append(response.request_id)
        yield response


def in_chunks(
    name: str,
    endpoint: str,
    responses: Iterator[Response],
    problems: Problems,
    ledger: Ledger,
    *,
    size: int,
) -> Iterator[Extraction]:
    """Extractions of at most ``size`` responses each, so that each is a load of its own.

    A long walk can then be stopped and resumed, and no more than ``size`` responses are
    in memory. Each carries the problems met on the way to its last response; if the
    requests after that all failed, a last extraction without rows carries theirs.
    """
    kept: list[str] = []
    arriving = _keeping(name, responses, ledger, kept)
    while True:
        kept.clear()
        gathered = list(islice(arriving, size))
        met = Problems([*problems.failures], [*problems.limits])
        problems.failures.clear()
        problems.limits.clear()
        if not gathered and not met.failures and not met.limits:
            return
        yield extraction(name, {endpoint: iter(gathered)}, met, ledger, batch=size, kept=[*kept])
        if len(gathered) < size:
            return
