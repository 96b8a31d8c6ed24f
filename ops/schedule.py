"""Running cycles for ever, one at a time, until told to stop."""

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType

import structlog
from apscheduler.schedulers.blocking import BlockingScheduler  # type: ignore[import-untyped]

from extract.records import ExtractError
from ops.errors import LinekeeperError

logger = structlog.get_logger(__name__)


def run_for_ever(cycle: Callable[[Callable[[], bool]], object], minutes: int) -> None:
    """Run a cycle now and every so many minutes; a late one is run once, never twice or beside another.

    SIGTERM or SIGINT ends it after the task that is running; a second one ends it at once.

    Args:
        cycle: gets a function that tells, between tasks, whether to stop.
    """
    stopping, idle = threading.Event(), threading.Lock()
    scheduler = BlockingScheduler(timezone=UTC)

    def once() -> None:
        if stopping.is_set():
            return
        with idle:
            try:
                cycle(stopping.is_set)
            except (LinekeeperError, ExtractError, ExceptionGroup) as error:
                logger.error("cycle failed", error=str(error))
            except Exception:
                # Whatever it is, the next cycle may work: a service that ends keeps no line.
                logger.exception("cycle failed unexpectedly")

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        logger.info("stopping after the running task", signal=signal.Signals(number).name)
        # In a thread of its own: this one may hold the scheduler's lock, interrupted as it is.
        threading.Thread(target=scheduler.shutdown, kwargs={"wait": False}).start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    scheduler.add_job(
        once, "interval", minutes=minutes, next_run_time=datetime.now(UTC),
        coalesce=True, max_instances=1, misfire_grace_time=None,
    )  # fmt: skip
    try:
        scheduler.start()
        with idle:
            logger.info("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
