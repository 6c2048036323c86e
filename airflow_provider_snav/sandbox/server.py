"""The sandbox as a server in a thread, and the object by which a test controls it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

import uvicorn

from airflow_provider_snav.sandbox.app import SandboxApp
from airflow_provider_snav.sandbox.backend import Backend, RequestRecord
from airflow_provider_snav.sandbox.clock import Clock
from airflow_provider_snav.sandbox.data import CsvFile
from airflow_provider_snav.sandbox.faults import CallKind, Fault
from airflow_provider_snav.sandbox.jobs import Job
from airflow_provider_snav.sandbox.settings import SandboxSettings
from airflow_provider_snav.sandbox.tokens import MEMBER_SCOPES, Scope

HOST = "127.0.0.1"
_OTHER_NAME = "localhost"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Sandbox:
    """A Sales Navigator on 127.0.0.1 that runs inside a ``with`` block.

    Enter a sandbox only once::

        with Sandbox(speed=10_000) as sandbox:
            sandbox.script_statuses("PROCESSING", "FAILED_DUE_TO_DATA_DELAY")
            sandbox.fault("status", http_error(503), times=2)

    Every method may be used from any thread.

    :param port: the port to listen on; 0 chooses a free port.
    :param clock: returns the real time in epoch seconds.
    :param settings: fields of `SandboxSettings`; the others keep their defaults.
    :ivar base_url: the API base, without a slash at the end.
    :ivar token_url: the OAuth token endpoint.
    :ivar authorization_url: the page on which the member consents.
    :ivar introspection_url: the endpoint of token introspection.
    :raises OSError: the port is already used.
    :raises OverflowError: the port number does not exist.
    :raises TypeError: a setting does not exist.
    """

    def __init__(self, port: int = 0, *, clock: Callable[[], float] = time.time, **settings: Any) -> None:
        chosen = SandboxSettings(**settings)
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        origin = f"http://{HOST}:{self.port}"
        self.base_url = f"{origin}/v2"
        self.token_url = f"{origin}/oauth/v2/accessToken"
        self.authorization_url = f"{origin}/oauth/v2/authorization"
        self.introspection_url = f"{origin}/oauth/v2/introspectToken"
        self._clock = Clock(clock)
        self._backend = Backend(origin, f"http://{_OTHER_NAME}:{self.port}", chosen, self._clock)
        self._server = _Server(self._backend)
        self._thread = threading.Thread(target=self._serve, name="snav-sandbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server.settled.wait()
        if not self._server.started:
            raise RuntimeError("The sandbox could not start; the output of its thread says why")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._thread.join()

    @property
    def settings(self) -> SandboxSettings:
        """The settings. You may change their fields while the sandbox runs."""
        return self._backend.settings

    @property
    def access_token(self) -> str:
        """A member token with the scopes of analytics and of sales access tokens."""
        return self._backend.tokens.access_token

    @property
    def client_id(self) -> str:
        return self._backend.tokens.client.client_id

    @property
    def client_secret(self) -> str:
        return self._backend.tokens.client.client_secret

    @property
    def refresh_token(self) -> str:
        return self._backend.tokens.client.refresh_token

    def connection_json(
        self, *, access_token: bool = True, client_credentials: bool = True, refresh_token: bool = False
    ) -> str:
        """An Airflow connection to this sandbox, as the JSON text of an ``AIRFLOW_CONN_…`` variable.

        :param access_token: include the member token and its end.
        :param client_credentials: include client id and secret, with which application tokens are requested.
        :param refresh_token: include the refresh token, with which the member token is renewed.
        """
        connection: dict[str, object] = {"conn_type": "snav", "host": self.base_url}
        extra = {"token_url": self.token_url, "download_hosts": f"{_OTHER_NAME}:{self.port}"}
        if access_token:
            connection["password"] = self.access_token
            extra["expires_at"] = self._backend.tokens.expiry(self.access_token).isoformat()
        if client_credentials:
            connection["login"] = self.client_id
            extra["client_secret"] = self.client_secret
        if refresh_token:
            extra["refresh_token"] = self.refresh_token
        return json.dumps({**connection, "extra": extra})

    def issue_token(self, *scopes: Scope, ttl: timedelta = timedelta(days=60)) -> str:
        """Issue a new access token.

        :param scopes: its scopes; by default all scopes of a member.
        :param ttl: its lifetime.
        """
        return self._backend.tokens.issue(frozenset(scopes) or MEMBER_SCOPES, ttl)

    def revoke_token(self, token: str) -> None:
        self._backend.tokens.revoke(token)

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in the order of their answers."""
        return self._backend.records()

    @property
    def jobs(self) -> dict[int, Job]:
        """Every job by its id, in the order of their creation."""
        return self._backend.jobs.snapshot()

    @property
    def created_jobs(self) -> list[Job]:
        return list(self.jobs.values())

    def files(self, job_id: int) -> tuple[CsvFile, ...]:
        """The files of a job, which should have landed."""
        return self._backend.jobs.files(self.jobs[job_id])

    def script_statuses(self, *statuses: str, jobs: int = 1) -> None:
        """Set the statuses of the next jobs: one for each poll. The last status stays.

        :param statuses: any texts. The answer to the creation of a job is not part of the script.
        :param jobs: how many of the next jobs get these statuses.
        :raises ValueError: there is no status.
        """
        if not statuses:
            raise ValueError("A script needs at least one status")
        self._backend.jobs.script(statuses, jobs)

    def fault(self, kind: CallKind | str | None, fault: Fault, *, times: int | None = 1) -> None:
        """Add a fault; see `faults`.

        :param kind: a `CallKind` or its value; None for any call.
        :param fault: the error to produce.
        :param times: how many times; None for always.
        :raises ValueError: the kind of call does not exist, or ``times`` is less than 1.
        """
        self._backend.faults.add(None if kind is None else CallKind(kind), fault, times)

    def clear_faults(self) -> None:
        """Remove all faults that were not applied yet."""
        self._backend.faults.clear()

    def advance(self, by: timedelta) -> None:
        """Move the sandbox's clock forward, for tokens, URLs, jobs and new windows."""
        self._clock.advance(by)

    def reset(self) -> None:
        """Delete requests, jobs, scripts, faults and all tokens. Only ``access_token`` is valid again.

        The settings and the clock do not change.
        """
        self._backend.reset()

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._server.settled.set()


class _Server(uvicorn.Server):
    """uvicorn that starts and stops at once. The original checks only ten times a second whether to stop.

    It always uses h11 and asyncio's own loop, even if faster ones are installed. So a sandbox behaves in the
    same way everywhere.
    """

    def __init__(self, backend: Backend) -> None:
        config = uvicorn.Config(
            SandboxApp(backend, self._hang_up),
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            # The application sets the header itself, from the sandbox's clock.
            date_header=False,
            proxy_headers=False,
            server_header=False,
        )
        super().__init__(config)
        self.settled = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """End as soon as possible. May be called from any thread."""
        self.should_exit = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.settled.set()
        # Check should_exit once a second, because a signal sets it without ending the wait.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*self.server_state.tasks)

    def _hang_up(self, client: tuple[str, int], reset: bool) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport.get_extra_info("peername") != client:
                continue
            if reset:
                peer = connection.transport.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.transport.abort()
            else:
                connection.transport.close()


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only if the protocol is given. Otherwise each answer is 40 ms late.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener
