"""Progress on standard error, where somebody watches."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@dataclass
class Bar:
    """One bar; does nothing where nobody watches."""

    _progress: Progress | None
    _task: int = 0

    def show(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Say what is being done and how far it is; without a total, that it goes on."""
        if self._progress is not None:
            self._progress.update(self._task, description=text, completed=done, total=total)  # type: ignore[arg-type]

    def tick(self, text: str) -> None:
        """Say what was just done, and count it."""
        if self._progress is not None:
            self._progress.update(self._task, description=text, advance=1)  # type: ignore[arg-type]


@contextmanager
def bar(text: str, total: int | None = None) -> Iterator[Bar]:
    """Show a bar while the block runs, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield Bar(None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(text, total=total))
