"""Connections of requests that end when Airflow stops the task, in the middle of a silent answer, too."""

from __future__ import annotations

from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from airflow_provider_snav._stopping import Stopping


class StoppableAdapter(HTTPAdapter):
    """Gives connections, through a proxy or not, to a :class:`Stopping`.

    A short timeout would not do: how long LinkedIn may be silent is the user's choice.
    """

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """See requests: the pool that has or will make a connection for this request."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        # Read once: another thread may be here with the same pool.
        kind = pool.ConnectionCls
        if not issubclass(kind, _StoppableConnection):
            bases = (_StoppableConnection, kind)
            pool.ConnectionCls = type("StoppableConnection", bases, {"stopping": self._stopping})
        return pool


class _StoppableConnection(HTTPConnection):
    stopping: ClassVar[Stopping]

    def getresponse(self) -> Any:
        # The request is sent, so there is a socket.
        self.stopping.watch(self.sock)
        return super().getresponse()
