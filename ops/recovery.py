"""What a run that ended too early leaves behind, and how the next run puts it right.

A response is kept in ops.unlanded_responses from its arrival until its load. What is there
and belongs to a run that has ended was captured and has not landed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from extract.extraction import Problems, extraction
from extract.payloads import unpack
from extract.records import DeadLetter, LandingError
from ops.errors import TaskLockedError
from ops.ledger import Ledger, describe

if TYPE_CHECKING:
    from ops.tasks import Pipeline

RESPONSES_PER_LOAD = 200
MOST_ATTEMPTS = 3
"""Times a response is tried again before it is a dead letter: one that cannot land holds nothing up for ever."""

Unlanded = tuple[str, str, bytes, int]
"""Request id, source, packed response, and how often its landing has been tried again."""

logger = structlog.get_logger(__name__)


def recover(pipeline: Pipeline) -> None:
    """Land what runs that have ended had captured. What fails is tried again by the next run, and then a dead letter.

    Nothing is raised for a response that cannot land: what comes now does not depend on what came then.

    Raises:
        WarehouseError: the warehouse itself is the problem.
    """
    ledger = pipeline.ledger
    if not _waiting(ledger, limit=1):
        return
    tried: set[str] = set()
    try:
        with ledger.run("recover") as run:
            run.row_count = 0
            while waiting := _waiting(ledger, without=tried):
                tried |= {request_id for request_id, *_ in waiting}
                run.row_count += sum(_land(pipeline, batch) for batch in _batches(waiting))
    except TaskLockedError:
        logger.info("another runner lands what was left behind")


def _waiting(ledger: Ledger, *, limit: int = RESPONSES_PER_LOAD, without: set[str] | None = None) -> list[Unlanded]:
    rows = ledger.query(
        """
        select request_id, source, response, attempts
        from ops.unlanded_responses
        left join ops.task_runs using (run_id)
        where (task_runs.run_id is null or task_runs.finished_at is not null) and request_id <> all(%s)
        order by received_at, request_id
        limit %s
        """,
        (sorted(without or ()), limit),
    )
    return [(request_id, source, bytes(response), attempts) for request_id, source, response, attempts in rows]


def _batches(waiting: list[Unlanded]) -> list[list[Unlanded]]:
    """All of a source together; what failed before by itself, so that it holds up nothing else."""
    together: dict[str, list[Unlanded]] = {}
    for one in waiting:
        if one[3] == 0:
            together.setdefault(one[1], []).append(one)
    return [*together.values(), *([one] for one in waiting if one[3] > 0)]


def _land(pipeline: Pipeline, batch: list[Unlanded]) -> int:
    ids, source = [one[0] for one in batch], batch[0][1]
    responses = [unpack(packed) for _, _, packed, _ in batch]
    try:
        landing = pipeline.land(
            extraction(source, {"kept": iter(responses)}, Problems(), pipeline.ledger, batch=len(responses), kept=ids)
        )
    except LandingError as error:
        _count(pipeline.ledger, batch, error)
        logger.error("what a run left behind cannot land", responses=len(batch), error=describe(error))
        return 0
    logger.warning("landed what a run that ended had captured", source=source, responses=len(batch))
    return sum(landing.rows.values())


def _count(ledger: Ledger, batch: list[Unlanded], error: LandingError) -> None:
    """Count an attempt; after the last one a response is a dead letter, with all that it said."""
    for request_id, source, packed, attempts in batch:
        if attempts + 1 < MOST_ATTEMPTS:
            ledger.query(
                "update ops.unlanded_responses set attempts = attempts + 1 where request_id = %s", (request_id,)
            )
            continue
        ledger.dead_letter(
            DeadLetter(
                kind="request",
                source=source,
                endpoint=unpack(packed).endpoint,
                natural_key=f"response/{request_id}",
                reason=error.reason,
                detail=describe(error),
                raw_body=packed,
            )
        )
        ledger.query("delete from ops.unlanded_responses where request_id = %s", (request_id,))
