"""The whole state of a sandbox, for its endpoints."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_snav.sandbox.clock import Clock
from airflow_provider_snav.sandbox.faults import CallKind, FaultQueue
from airflow_provider_snav.sandbox.jobs import JobStore
from airflow_provider_snav.sandbox.oauth import OAuth
from airflow_provider_snav.sandbox.restli import ReceivedRequest
from airflow_provider_snav.sandbox.settings import SandboxSettings
from airflow_provider_snav.sandbox.tokens import TokenStore


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it was received, and the status of its answer.

    ``status`` is None if the connection was reset instead of an answer. ``at`` is epoch ms. Header names are
    in lower case. Fields that may contain a token are complete here, and are left out of ``repr``.
    """

    kind: CallKind
    status: int | None
    at: int
    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, tuple[str, ...]] = field(repr=False)
    body: bytes = field(repr=False)


class Backend:
    """The state behind the endpoints. Each part is thread-safe.

    :param origin: scheme, host and port at which clients reach the sandbox.
    :param other_origin: another origin of the same server; a client must not send its token there.
    """

    def __init__(self, origin: str, other_origin: str, settings: SandboxSettings, clock: Clock) -> None:
        self.origin = origin
        self.other_origin = other_origin
        self.settings = settings
        self.clock = clock
        self.tokens = TokenStore(settings, clock)
        self.oauth = OAuth(settings, clock, self.tokens)
        self.jobs = JobStore(settings, clock)
        self.faults = FaultQueue()
        self._lock = threading.Lock()
        self._records: list[RequestRecord] = []

    def record(self, kind: CallKind, status: int | None, call: ReceivedRequest) -> None:
        record = RequestRecord(
            kind, status, self.clock.now(), call.method, call.path, call.query, call.headers, call.body
        )
        with self._lock:
            self._records.append(record)

    def records(self) -> list[RequestRecord]:
        with self._lock:
            return list(self._records)

    def reset(self) -> None:
        self.faults.clear()
        self.jobs.clear()
        self.tokens.restore()
        self.oauth.restore()
        with self._lock:
            self._records.clear()
