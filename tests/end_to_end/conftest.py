"""Warehouses that several tests of this folder look at, each built once."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings

from ops.settings import load_settings
from ops.tasks import open_pipeline
from ops.warehouse import Connection
from simulator import Recorded, Simulator, SimulatorApp, SimulatorClock, serve
from tests.end_to_end.recordings import RECORDINGS, SEASON_GAMES, SEASON_ODDS
from tests.end_to_end.warehouses import TOOK, warehouse

settings.register_profile("long", max_examples=int(os.environ.get("PLANS", "300")), deadline=None, print_blob=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how long the large commands took."""
    for what, seconds in TOOK.items():
        terminalreporter.write_line(f"{what} took {seconds:.0f} s")


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Path]:
    """The path of a recording; skips the test where it is absent."""

    def path(name: str) -> Path:
        found = RECORDINGS / name
        if not found.exists():
            pytest.skip(f"the recording {name} is not beside this checkout")
        return found

    return path


@pytest.fixture(scope="session")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt works: a folder for each name of a database, so that the project is parsed once for each."""
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="session")
def season(recording: Callable[[str], Path]) -> Iterator[Simulator]:
    """The recorded season 2023-24 behind HTTP, after its end."""
    recorded = Recorded([recording(SEASON_ODDS), recording(SEASON_GAMES)])
    with serve(SimulatorApp(recorded, SimulatorClock(recorded.last_instant()))) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def deployed(server: Connection, targets: Path) -> Iterator[Connection]:
    """A warehouse without data in which all models have been built, to be copied."""
    with warehouse(server, targets) as made:
        with patch.dict(os.environ, made.environment()), open_pipeline(load_settings()):
            pass
        yield made.connection
