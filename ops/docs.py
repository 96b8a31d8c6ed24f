"""Serving the dbt documentation on loopback."""

import functools
import http.server
import socketserver
from pathlib import Path

from ops.errors import LinekeeperError


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal for what matters."""


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that went away."""


def server(folder: Path, port: int) -> http.server.HTTPServer:
    """Return a web server of a folder on loopback, not yet serving.

    Raises:
        LinekeeperError: the port is taken.
    """
    handler = functools.partial(_QuietHandler, directory=str(folder))
    try:
        return _Server(("127.0.0.1", port), handler)
    except OSError as error:
        raise LinekeeperError(f"port {port} cannot be used ({error.strerror}): choose another with --port") from None
