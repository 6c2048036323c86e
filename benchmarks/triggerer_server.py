"""Three APIs whose job is always still running, answering at once from a thread of the measuring process.

It is written on bare asyncio so that it is never what a trigger waits for. Every answer is the smallest the
API could give; real ones are larger, which would cost each peer more.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache


def _answer(status: str, body: object) -> bytes:
    text = json.dumps(body)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


@cache
def _sales_navigator(job_id: int) -> bytes:
    return _answer("200 OK", {"id": job_id, "status": "PROCESSING"})


_DBT_CLOUD = _answer("200 OK", {"data": {"status": 3}})
# The http provider's sensor waits for as long as the answer is "not found".
_ABSENT = _answer("404 Not Found", {})


@dataclass
class Server:
    """Where the APIs are, over plain http and over https, and how often they were asked."""

    http: str = ""
    https: str = ""
    polls: int = 0


class _StillRunning(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._respond(request))

    def _respond(self, request: bytes) -> bytes:
        if request.startswith(b"GET /polls"):
            return _answer("200 OK", self._server.polls)
        self._server.polls += 1
        if request.startswith(b"GET /v2/"):
            return _sales_navigator(int(request.partition(b"?")[0].rpartition(b"/")[2]))
        return _DBT_CLOUD if request.startswith(b"GET /api/") else _ABSENT


@contextmanager
def still_running(certificate: ssl.SSLContext) -> Iterator[Server]:
    """Serve until left."""
    server, loop, stop = Server(), asyncio.new_event_loop(), asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        listeners = [
            await loop.create_server(lambda: _StillRunning(server), "127.0.0.1", 0, backlog=4096, ssl=tls)
            for tls in (None, certificate)
        ]
        server.http, server.https = (
            f"127.0.0.1:{listener.sockets[0].getsockname()[1]}" for listener in listeners
        )
        started.set()
        await stop.wait()
        for listener in listeners:
            listener.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
