"""A server on this machine to which LinkedIn redirects the member's browser."""

from __future__ import annotations

import hmac
import queue
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOPBACK = ("localhost", "127.0.0.1")
_PAGE = b"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Sales Navigator</title></head>
<body><p>LinkedIn's answer has arrived. Close this page and return to the terminal.</p></body></html>
"""


def belongs_to(query: str, state: str) -> bool:
    """Return True if a query has the ``state`` of this login. The comparison takes constant time."""
    given = parse_qs(query).get("state", [""])[0]
    return hmac.compare_digest(given.encode(), state.encode())


@contextmanager
def listening(redirect_uri: str, state: str) -> Iterator[Callable[[float], str | None]]:
    """Listen at a loopback address. Yield a function that waits for the query of LinkedIn's answer.

    The function takes the longest wait in seconds, and returns None after it.

    :param state: the ``state`` of this login. A request without it, for example of an old tab, is ignored.
    :raises SalesNavigatorConfigurationError: the port cannot be used.
    """
    where = urlsplit(redirect_uri)
    queries: queue.SimpleQueue[str] = queue.SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        # In seconds. An open connection without a request must not block the next one.
        timeout = 10

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path != (where.path or "/"):
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            if not belongs_to(asked.query, state):
                self.send_error(HTTPStatus.BAD_REQUEST, explain="Use the address that login printed.")
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(_PAGE)))
            # The address contains the authorization code.
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(_PAGE)
            queries.put(asked.query)

        def log_message(self, *_: object) -> None:
            """Log nothing, because the request line contains the authorization code."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", where.port or 80), Handler)
    except OSError as error:
        raise SalesNavigatorConfigurationError(
            f"Port {where.port or 80} of this machine cannot be used ({error.strerror}). End the program that"
            " uses it, register another redirect address and give it as --redirect-uri, or use --paste."
        ) from None

    def wait(seconds: float) -> str | None:
        try:
            return queries.get(timeout=seconds)
        except queue.Empty:
            return None

    server.daemon_threads = True
    with server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield wait
        finally:
            server.shutdown()
