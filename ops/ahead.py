"""What has landed, taken apart while a backfill reads and lands on.

PostgreSQL waits while Python reads files and makes rows of them. In that time a thread builds what rests on nothing but
the payloads: the models with the tag `ahead`.
"""

import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import structlog

from ops.errors import LinekeeperError
from ops.ledger import AHEAD, Ledger
from ops.tasks import Pipeline, Task

logger = structlog.get_logger(__name__)


@contextmanager
def built_ahead(pipeline: Pipeline, task: Task) -> Iterator[Callable[[], None]]:
    """Give what to call after each load, for a thread to build ahead what has landed by then.

    Nothing rests on it. Where a cycle is under way, or something fails, it is left to the build that follows, which
    waits or fails as it always does. In the end what is under way is waited for, and what has not begun is left too.

    Args:
        task: the one that builds those models otherwise; its locks are held meanwhile.
    """
    with (
        Ledger(pipeline.connection, pipeline.clock, pipeline.ledger.correlation_id) as ledger,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="build-ahead") as builder,
    ):
        latest: Future[None] | None = None

        def build() -> None:
            try:
                pipeline.project.parse()
                with ledger.lock(AHEAD), ledger.lock("cycle", *task.locks, gives_way=True):
                    pipeline.project.build("ahead", as_of=pipeline.clock.now())
            except LinekeeperError as error:
                logger.warning("nothing is built ahead", because=str(error))

        def begin() -> None:
            nonlocal latest
            if latest is not None and latest.done():
                latest.result()
            # One that has not begun will find what has landed since, too.
            if latest is None or latest.running() or latest.done():
                latest = builder.submit(contextvars.copy_context().run, build)

        try:
            yield begin
        finally:
            if latest is not None:
                latest.cancel()
        if latest is not None and not latest.cancelled():
            latest.result()
