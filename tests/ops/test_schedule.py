"""The schedule: it goes on after a failure and ends between tasks."""

import os
import signal
import threading
from collections.abc import Callable

import pytest

from ops.errors import LinekeeperError
from ops.schedule import run_for_ever


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_running_task(number: signal.Signals) -> None:
    finished = []

    def cycle(is_stopping: Callable[[], bool]) -> None:
        assert not is_stopping()
        os.kill(os.getpid(), number)
        # The handler runs in the main thread, while this task is under way in another.
        for _ in range(500):
            if is_stopping():
                break
            threading.Event().wait(0.01)
        finished.append(is_stopping())

    before = signal.getsignal(number)
    run_for_ever(cycle, minutes=15)
    assert finished == [True]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    "error", [LinekeeperError("expected"), RuntimeError("unexpected"), ExceptionGroup("", [OSError()])]
)
def test_a_cycle_that_fails_does_not_end_it(error: Exception) -> None:
    failed = threading.Event()

    def cycle(is_stopping: Callable[[], bool]) -> None:
        failed.set()
        raise error

    def interrupt() -> None:
        failed.wait(10)
        threading.Event().wait(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    run_for_ever(cycle, minutes=15)
    assert failed.is_set()
