"""What the benchmarks share: warehouses of their own, the machine they ran on, seconds, memory and bytes."""

import logging
import os
import platform
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import structlog

from ops.clock import Clock
from ops.ledger import Ledger
from ops.paths import ROOT
from ops.roles import open_warehouse
from ops.settings import Settings, load_settings
from ops.tasks import Pipeline
from ops.transform import Project
from ops.warehouse import drop_database

RECORDINGS = ROOT / ".." / "shared" / "data"
MEGABYTE = 2**20


@dataclass
class Timings:
    """Seconds by name, each measured any number of times."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure a block under a name."""
        began = time.perf_counter()
        yield
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)

    def median(self, name: str) -> float:
        """The median of what was measured under a name."""
        return statistics.median(self.seconds[name])

    def total(self) -> float:
        """The sum of the medians."""
        return sum(self.median(name) for name in self.seconds)


class Memory:
    """The most memory that this process had resident while a block ran, looked at 50 times a second."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._process = psutil.Process()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Memory":
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.is_set():
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)
            self._is_over.wait(0.02)


def quiet_settings() -> Settings:
    """The user's settings; only errors are logged."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return load_settings()


@contextmanager
def warehouse(settings: Settings, name: str, *, is_kept: bool = False) -> Iterator[Pipeline]:
    """A pipeline in a database of its own, made anew and dropped afterwards; one that is kept is neither."""
    if not is_kept:
        drop_database(open_warehouse(settings, name))
    connection = open_warehouse(settings, name)
    try:
        with Ledger(connection, Clock()) as ledger:
            yield Pipeline(settings, connection, Clock(), ledger, Project())
    finally:
        if not is_kept:
            drop_database(connection)


def at(pipeline: Pipeline, instant: datetime) -> Pipeline:
    """The pipeline as of an instant."""
    return replace(pipeline, clock=Clock(instant))


def value(pipeline: Pipeline, query: str) -> Any:
    """The one value of a query of the owner, who may read everything."""
    with pipeline.connection.owner.session() as session, session.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    assert row is not None
    return row[0]


def bytes_of(pipeline: Pipeline, relation: str) -> int:
    """What a table takes on disk, with its indexes and what it keeps out of line, after a vacuum."""
    with pipeline.connection.owner.session() as session, session.cursor() as cursor:
        cursor.execute(f"vacuum {relation}")
    return int(value(pipeline, f"select pg_total_relation_size('{relation}')"))


def recording(name: str) -> Path:
    """A recorded file beside the checkout.

    Raises:
        SystemExit: it is not there.
    """
    path = RECORDINGS / name
    if not path.exists():
        raise SystemExit(
            f"{path.resolve()} is not there: this benchmark reads recordings, which the project has none of"
        )
    return path


def machine() -> str:
    """One line about where this runs: figures of two machines are not comparable, ratios nearly are."""
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, load {load:.1f} at the start"
