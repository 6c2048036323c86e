"""What can go wrong between a client and Sales Navigator, to be ordered by a test.

A fault waits in the sandbox's queue for the first call of its kind on which it can bite, bites
``times`` times, and is gone. Faults of one sort bite in the order they were given::

    sandbox.fault("status", http_error(503), times=2)
    sandbox.fault("download", Cut(after_bytes=1000))
    sandbox.fault("create", LoseAnswer())
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

from airflow_provider_snav.sandbox.restli import RestliError


class CallKind(StrEnum):
    """What a request is about; ``UNKNOWN`` is any path the documents do not know."""

    CONTRACTS = "contracts"
    CREATE = "create"
    STATUS = "status"
    DOWNLOAD = "download"
    SALES_TOKEN = "sales_token"
    ASSOCIATIONS = "associations"
    TOKEN = "token"
    CONSENT = "consent"
    INTROSPECTION = "introspection"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """This is answered, and the call never reaches Sales Navigator."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset before any answer, and the call has no effect."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The call takes effect (a job is created), then the connection is reset before any answer."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Nothing is heard for this long; then all goes on as if nothing had been."""

    by: timedelta


@dataclass(frozen=True, slots=True)
class Cut:
    """A download stops after this many bytes.

    The connection is closed although more was announced; or, ``cleanly``, the answer ends as if
    that were all, and only ``rowCount`` can tell.
    """

    after_bytes: int
    cleanly: bool = False


@dataclass(frozen=True, slots=True)
class Gzipped:
    """A download comes with ``Content-Encoding: gzip``, as from a proxy that compresses what passes.

    :param lost_bytes: so many are missing at the end, and the answer ends as if that were all.
    """

    lost_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Zeroed:
    """A download has NUL bytes in the place of some of its own, as a disk may return them after a crash."""

    first_byte: int = 1000
    count: int = 512


@dataclass(frozen=True, slots=True)
class Redirect:
    """A download answers 302.

    Without ``to`` it leads to this sandbox under its other name, ``localhost``, to an address unknown to the
    documents that serves the file without Authorization and answers 400 to a client that sends its token.
    """

    to: str | None = None


@dataclass(frozen=True, slots=True)
class WrongRowCount:
    """A status says this many rows more than the file has."""

    by: int = 1


@dataclass(frozen=True, slots=True)
class StatusFields:
    """A status has these fields in place of its own, for instance ``StatusFields({"downloadUrl": None})``."""

    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExpiredUrl:
    """The download URLs of a status have expired the moment they are seen."""


Fault = (
    Answer
    | Reset
    | LoseAnswer
    | Delay
    | Cut
    | Gzipped
    | Zeroed
    | Redirect
    | WrongRowCount
    | StatusFields
    | ExpiredUrl
)
F = TypeVar("F", bound=Fault)

_JSON = {"Content-Type": "application/json"}


def http_error(status: int, message: str | None = None, *, service_error_code: int | None = None) -> Answer:
    """An error with Rest.li's body, for instance ``http_error(401, service_error_code=65601)``."""
    known = HTTPStatus(status)
    body = RestliError(known, message or known.phrase, service_error_code).body()
    return Answer(status, json.dumps(body).encode(), {"X-RestLi-Error-Response": "true", **_JSON})


def gateway_error(status: int, message: str | None = None) -> Answer:
    """An error of a gateway on the way, without anything that would make it LinkedIn's.

    :param message: the only field of a JSON body; None for an empty body. A page is :func:`html_page`.
    """
    if message is None:
        return Answer(status)
    return Answer(status, json.dumps({"message": message}).encode(), dict(_JSON))


def html_page(status: int = 502, *, blank_lines: int = 0) -> Answer:
    """An error page of the edge, neither Rest.li nor JSON, for instance ``html_page(403)`` of a firewall.

    :param blank_lines: so many stand before the page, as templates may leave them.
    """
    page = f"<!DOCTYPE html><html><body><h1>{status} {HTTPStatus(status).phrase}</h1></body></html>"
    return Answer(
        status, b" \r\n" * blank_lines + page.encode(), {"Content-Type": "text/html; charset=utf-8"}
    )


def sentence(text: str = "Service temporarily unavailable\n", status: int = 200) -> Answer:
    """A line of text in the place of an answer, as some gateways send it, even with status 200."""
    return Answer(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})


def garbage_json(status: int = 200) -> Answer:
    """An answer that says it is JSON and stops in the middle."""
    return Answer(status, b'{"value":{"id":', dict(_JSON))


def throttled(*, retry_after: int | None = None, daily: bool = False) -> Answer:
    """A 429 (error-handling, rate-limits).

    :param retry_after: seconds for the ``Retry-After`` header, which LinkedIn does not document.
    :param daily: the budget of the day is spent; there is no use in trying before midnight UTC.
    """
    limit = "throttle APPLICATION_AND_MEMBER DAY limit" if daily else "throttle limit"
    body: dict[str, object] = {
        "message": f"Resource level {limit} for calls to this resource is reached.",
        "status": 429,
    }
    if daily:
        body |= {"serviceErrorCode": 101, "code": "TOO_MANY_REQUESTS"}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(429, json.dumps(body).encode(), {"X-RestLi-Error-Response": "true", **_JSON, **headers})


@dataclass(slots=True, eq=False)
class _Waiting:
    kind: CallKind | None
    fault: Fault
    times: int | None


class FaultQueue:
    """The faults that have not bitten yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, kind: CallKind | None, fault: Fault, times: int | None) -> None:
        if times is not None and times < 1:
            raise ValueError(f"A fault bites at least once, not {times} times")
        with self._lock:
            self._waiting.append(_Waiting(kind, fault, times))

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, kind: CallKind, *sorts: type[F]) -> F | None:
        """The first fault of these sorts for a call of this kind, counted as having bitten."""
        with self._lock:
            for waiting in self._waiting:
                if waiting.kind in (kind, None) and isinstance(waiting.fault, sorts):
                    if waiting.times is not None:
                        waiting.times -= 1
                        if waiting.times == 0:
                            self._waiting.remove(waiting)
                    return waiting.fault
        return None
