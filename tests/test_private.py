"""Canaries: each private part of a library that this package uses is still there and still means the same."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import socket
import threading
from collections.abc import Iterator

import aiohttp
import pytest
import s3fs
import sshfs
import uvicorn
from sshfs.pools import SFTPHardChannelPool, SFTPSoftChannelPool
from task_runs import MAPPED

from airflow_provider_snav import _private
from airflow_provider_snav._compat import BaseOperator


def test_airflow_marks_an_operator_made_from_a_mapped_one() -> None:
    made = BaseOperator(task_id="made", **MAPPED)
    assert _private.is_mapped(made)
    assert not _private.is_mapped(BaseOperator(task_id="written"))


@pytest.fixture
def hangs_up() -> Iterator[tuple[int, list[bytes]]]:
    """A port whose server reads a request and closes the connection; and the requests it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(4096))

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1], requests
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize(("once", "sent"), [(True, 1), (False, 2)])
def test_aiohttp_sends_a_get_again_only_where_it_is_not_stopped(
    hangs_up: tuple[int, list[bytes]], once: bool, sent: int
) -> None:
    port, requests = hangs_up

    async def get() -> None:
        async with aiohttp.ClientSession() as session:
            if once:
                _private.send_each_request_once(session)
            await session.get(f"http://127.0.0.1:{port}/")

    with pytest.raises(aiohttp.ServerDisconnectedError):
        asyncio.run(get())
    assert len(requests) == sent


def test_s3fs_sends_one_request_in_its_own_loop() -> None:
    assert inspect.iscoroutinefunction(s3fs.S3FileSystem._call_s3)
    assert list(inspect.signature(s3fs.S3FileSystem._call_s3).parameters)[:2] == ["self", "method"]


def test_sshfs_lends_channels_from_a_pool() -> None:
    assert "self._pool" in inspect.getsource(sshfs.SSHFileSystem)
    for pool in (SFTPSoftChannelPool, SFTPHardChannelPool):
        assert inspect.isasyncgenfunction(inspect.unwrap(pool.get)), "an asynccontextmanager"


def test_the_text_of_a_refused_tunnel_has_the_status(proxy_that_refuses: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy_that_refuses)
    connection.set_tunnel("linkedin.example")
    with pytest.raises(OSError, match="Tunnel") as refused:
        connection.connect()
    assert _private.proxy_refusal(refused.value) == "407"


@pytest.fixture
def proxy_that_refuses() -> Iterator[int]:
    """The port of a proxy that asks for a password."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()
    listener.close()


def test_the_parts_of_uvicorn_that_the_sandbox_replaces_are_there() -> None:
    for name in ("main_loop", "shutdown", "on_tick"):
        assert inspect.iscoroutinefunction(getattr(uvicorn.Server, name)), name
    assert "self.servers" in inspect.getsource(uvicorn.Server)
