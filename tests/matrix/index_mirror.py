"""A package index on this machine, whose certificate nobody knows; what it serves is the public index's."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
import trustme
from pip._internal.models.index import PyPI


@dataclass(frozen=True)
class Mirror:
    """Where it is.

    :param certificate: the CA to trust.
    :param served: the paths asked for so far.
    """

    url: str
    certificate: Path
    served: list[str]


@contextmanager
def index_mirror(folder: Path) -> Iterator[Mirror]:
    """Serve it while the block lasts."""
    authority = trustme.CA()
    certificate = folder / "authority.pem"
    authority.cert_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    served: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.append(self.path)
            _, kind, rest = self.path.split("/", 2)
            target = f"{PyPI.simple_url}/{rest}" if kind == "index" else f"https://{rest}"
            answer = requests.get(target, headers={"Accept": "text/html"}, timeout=120)
            body = answer.content
            if kind == "index":
                body = re.sub(rb'href="https://', b'href="/files/', body)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Mirror(f"https://localhost:{server.server_port}/index", certificate, served)
    server.shutdown()
    server.server_close()
