"""An HTTP server on loopback that does exactly what a test scripted, and remembers every byte it was sent."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

_OUR_HEADERS = (
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-restli-protocol-version",
)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Received:
    """One request as it lay on the wire; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def ours(self) -> tuple[str, str, dict[str, str], bytes]:
        """All of the request that is not the HTTP library's own business."""
        headers = {name: self.headers[name] for name in _OUR_HEADERS if name in self.headers}
        if headers.get("content-length") == "0":
            del headers["content-length"]
        return self.method, self.target, headers, self.body

    @property
    def bearer(self) -> str | None:
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None


Reply: TypeAlias = Callable[[socket.socket], None]
"""What to do with a connection on which a request has come."""


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
    """A whole answer."""
    own = {"Content-Length": str(len(body)), "Connection": "close"} | dict(headers or {})
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in own.items())]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def restli(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer, with the ids LinkedIn's support asks for."""
    own = {"Content-Type": "application/json", "x-li-uuid": "AAY-1", "x-li-fabric": "prod-lva1"}
    return answer(status, json.dumps(value).encode(), own | dict(headers or {}))


def raw(data: bytes) -> Reply:
    """These bytes, then the end of the connection."""
    return lambda connection: connection.sendall(data)


def cut(body: bytes, announced: int, status: int = 200) -> Reply:
    """An answer that ends before its Content-Length."""
    return answer(status, body, {"Content-Length": str(announced)})


def cut_chunked(body: bytes) -> Reply:
    """A chunked answer without its last chunk."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return raw(head + f"{len(body):x}\r\n".encode() + body + b"\r\n")


def reset(connection: socket.socket) -> None:
    """No answer: the connection is reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    connection.close()


def hang_up(connection: socket.socket) -> None:
    """No answer: the connection is closed politely."""


def reset_mid_body(connection: socket.socket) -> None:
    """Half an answer, then a reset."""
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{"id": 7')
    reset(connection)


def silence(connection: socket.socket) -> None:
    """No answer: the connection stays open until the client gives up."""
    with contextlib.suppress(OSError):
        while connection.recv(1024):
            pass


class ScriptedServer:
    """Answers one request a connection, in the order of a script whose last reply stays.

    :param tls: speak TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.asked = threading.Event()
        self._lock = threading.Lock()
        self._script: list[Reply] = [answer(500)]
        self._choose: Callable[[Received], Reply] | None = None
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                # What the client does to the connection is its business, and the test's.
                with contextlib.suppress(OSError):
                    outer._serve(self.request, tls)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def script(self, *replies: Reply) -> None:
        """Answer so from now on, and forget what was received."""
        self._script = list(replies)
        self._choose = None
        self.requests.clear()

    def choose(self, choose: Callable[[Received], Reply]) -> None:
        """Answer each request as the function says, and forget what was received."""
        self._choose = choose
        self.requests.clear()

    @property
    def targets(self) -> list[str]:
        return [f"{received.method} {received.target}" for received in self.requests]

    def tunnel(self, tls: ssl.SSLContext) -> Reply:
        """Agree to a CONNECT and answer, inside it, as the server that was asked for."""

        def reply(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._serve(connection, tls)

        return reply

    def _serve(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        if tls:
            with tls.wrap_socket(connection, server_side=True) as secured:
                self._serve(secured, None)
                # Else the client could not tell the end of the answer from an attack.
                secured.unwrap()
            return
        received = _read(connection)
        if received:
            self._next(received)(connection)

    def _next(self, received: Received) -> Reply:
        with self._lock:
            self.requests.append(received)
            self.asked.set()
            if self._choose:
                return self._choose(received)
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]


def _read(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return Received(method, target, headers, body)
