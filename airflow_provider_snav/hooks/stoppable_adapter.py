"""Connections of requests that end when Airflow stops the task, even while they wait for an answer."""

from __future__ import annotations

from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from airflow_provider_snav._stopping import Stopping


class StoppableAdapter(HTTPAdapter):
    """Registers every connection, direct or through a proxy, with a :class:`Stopping`.

    A short timeout cannot replace this, because ``http_timeout`` is the user's choice.
    """

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for this request, with connections of our class."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        # Read once, because another thread may change the same pool.
        kind = pool.ConnectionCls
        if not issubclass(kind, _StoppableConnection):
            bases = (_StoppableConnection, kind)
            pool.ConnectionCls = type("StoppableConnection", bases, {"stopping": self._stopping})
        return pool


class _StoppableConnection(HTTPConnection):
    stopping: ClassVar[Stopping]

    def getresponse(self) -> Any:
        # The request was sent, so the connection has a socket.
        self.stopping.watch(self.sock)
        return super().getresponse()
