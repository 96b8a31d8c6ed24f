"""Serving the simulator on loopback, from a thread or until interrupted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import uvicorn

from simulator.app import ReceivedRequest, SimulatorApp
from simulator.faults import FaultRule

_HOST = "127.0.0.1"
_START_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator. `base_url` has no trailing slash and serves both APIs."""

    base_url: str
    app: SimulatorApp

    def set_clock(self, instant: datetime | None) -> None:
        """Let the served world stand still at `instant`, or follow the real time if it is None."""
        self.app.clock.set(instant)

    def inject_fault(self, kind: str, **details: Any) -> FaultRule:
        """Put a fault in force; `details` are the fields of `FaultRule`. The rule counts its strikes."""
        rule = FaultRule(kind, **details)
        self.app.faults.add(rule)
        return rule

    def clear_faults(self) -> None:
        """Behave again."""
        self.app.faults.clear()

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests received so far, oldest first."""
        return list(self.app.requests)


@contextmanager
def serve(app: SimulatorApp, port: int = 0) -> Iterator[Simulator]:
    """Serve `app` on loopback from a thread of this process; `port` 0 takes a free one."""
    with _listening(port) as listener:
        server = _server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + _START_TIMEOUT_SECONDS
            while not server.started:
                if not thread.is_alive() or time.monotonic() > deadline:
                    raise RuntimeError(f"the simulator did not start within {_START_TIMEOUT_SECONDS:g} s: try again")
                time.sleep(0.005)
            yield Simulator(_url(listener), app)
        finally:
            server.should_exit = True
            thread.join(timeout=_START_TIMEOUT_SECONDS)


def serve_forever(app: SimulatorApp, port: int, announce: Callable[[str], None]) -> None:
    """Serve `app` on loopback until interrupted; `announce` gets the base URL once connections are accepted."""
    with _listening(port) as listener:
        announce(_url(listener))
        _server(app).run(sockets=[listener])


def _server(app: SimulatorApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    # asyncio switches Nagle off only where the protocol is named; with it on, an answer waits 40 ms for an ACK
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError as error:
            raise OSError(
                f"port {port} of {_HOST} cannot be used ({error.strerror}): choose another with --port"
            ) from None
        listener.listen(128)
        yield listener
    finally:
        listener.close()


def _url(listener: socket.socket) -> str:
    return f"http://{_HOST}:{listener.getsockname()[1]}"
