"""Structured logs on standard error: for people by default, JSON with LINEKEEPER_LOG_FORMAT=json."""

import logging
import sys
from typing import Literal

import structlog

NOISY_LIBRARIES = ("dlt", "yoyo", "apscheduler", "sqlglot", "urllib3", "uvicorn", "uvicorn.access", "asyncio")


def configure(style: Literal["console", "json"], *, is_verbose: bool = False) -> None:
    """Set up structlog and quieten the libraries. Standard output is left to what commands print."""
    level = logging.DEBUG if is_verbose else logging.INFO
    is_console = style == "console"
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_console else "iso", utc=not is_console),
    ]
    if is_console:
        processors += [_shortened, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24)]
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_CurrentStderr()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    for name in NOISY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)


class _CurrentStderr:
    """Standard error as it is at the moment of writing: a progress bar takes its place while it is shown."""

    def write(self, text: str) -> int:
        """Write to it."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush it."""
        sys.stderr.flush()


def _shortened(
    logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Leave long ids to the JSON logs and to ops.task_runs, and say nothing twice."""
    for key in ("run_id", "correlation_id", "load_id"):
        event.pop(key, None)
    if event.get("event") == "task failed":
        # The command ends with this error, or the schedule logs it for the whole cycle.
        event.pop("error", None)
    return event
