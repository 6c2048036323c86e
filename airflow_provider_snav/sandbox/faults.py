"""Faults that a test can add: errors between a client and Sales Navigator.

A fault waits in the sandbox's queue for the first call of its kind to which it applies. It is applied
``times`` times and then removed. Faults of one class are applied in the order in which they were added::

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
    """The kind of a request; ``UNKNOWN`` is any path that is not in the documents."""

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
    """The client gets this answer, and the call has no effect."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset before any answer, and the call has no effect."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The call has its effect (a job is created), then the connection is reset before any answer."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer comes later by this time."""

    by: timedelta


@dataclass(frozen=True, slots=True)
class Cut:
    """A download stops after this many bytes.

    The connection is closed although more bytes were announced. With ``cleanly``, the answer ends as if the
    file were complete, and only ``rowCount`` shows the error.
    """

    after_bytes: int
    cleanly: bool = False


@dataclass(frozen=True, slots=True)
class Gzipped:
    """A download has ``Content-Encoding: gzip``, as from a proxy that compresses answers.

    :param lost_bytes: how many bytes are missing at the end; the answer ends as if it were complete.
    """

    lost_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Zeroed:
    """A download has NUL bytes instead of some of its bytes, as a disk may return after a crash.

    :param first_byte: the offset of the first NUL byte.
    :param count: the number of NUL bytes.
    """

    first_byte: int = 1000
    count: int = 512


@dataclass(frozen=True, slots=True)
class Redirect:
    """A download answers 302.

    :param to: the target. By default it is an address of this sandbox under its other name, ``localhost``.
        That address is not in the documents. It sends the file without Authorization, and answers 400 if the
        client sends its token.
    """

    to: str | None = None


@dataclass(frozen=True, slots=True)
class WrongRowCount:
    """The ``rowCount`` of a status is larger by this number than the rows of the file."""

    by: int = 1


@dataclass(frozen=True, slots=True)
class StatusFields:
    """A status has these fields instead of its own, for example ``StatusFields({"downloadUrl": None})``."""

    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExpiredUrl:
    """The download URLs of a status are already expired when the client gets them."""


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
    """An error with Rest.li's body, for example ``http_error(401, service_error_code=65601)``."""
    known = HTTPStatus(status)
    body = RestliError(known, message or known.phrase, service_error_code).body()
    return Answer(status, json.dumps(body).encode(), {"X-RestLi-Error-Response": "true", **_JSON})


def gateway_error(status: int, message: str | None = None) -> Answer:
    """An error of a gateway, without the marks of LinkedIn's own errors. For a page: :func:`html_page`.

    :param message: the only field of a JSON body; None for an empty body.
    """
    if message is None:
        return Answer(status)
    return Answer(status, json.dumps({"message": message}).encode(), dict(_JSON))


def html_page(status: int = 502, *, blank_lines: int = 0) -> Answer:
    """An HTML error page, for example ``html_page(403)`` as from a firewall.

    :param blank_lines: the number of blank lines before the page, as templates may produce them.
    """
    page = f"<!DOCTYPE html><html><body><h1>{status} {HTTPStatus(status).phrase}</h1></body></html>"
    return Answer(
        status, b" \r\n" * blank_lines + page.encode(), {"Content-Type": "text/html; charset=utf-8"}
    )


def sentence(text: str = "Service temporarily unavailable\n", status: int = 200) -> Answer:
    """A line of text as the answer. Some gateways send this, even with status 200."""
    return Answer(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})


def garbage_json(status: int = 200) -> Answer:
    """An answer with the content type of JSON whose body ends in the middle."""
    return Answer(status, b'{"value":{"id":', dict(_JSON))


def throttled(*, retry_after: int | None = None, daily: bool = False) -> Answer:
    """A 429 (error-handling, rate-limits).

    :param retry_after: seconds for the ``Retry-After`` header, which LinkedIn does not document.
    :param daily: the limit of the day is reached; it resets at midnight UTC.
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
    """The faults that were not applied yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, kind: CallKind | None, fault: Fault, times: int | None) -> None:
        if times is not None and times < 1:
            raise ValueError(f"A fault must be applied at least once, not {times} times")
        with self._lock:
            self._waiting.append(_Waiting(kind, fault, times))

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, kind: CallKind, *sorts: type[F]) -> F | None:
        """The first fault of these classes for a call of this kind; counts one application of it."""
        with self._lock:
            for waiting in self._waiting:
                if waiting.kind in (kind, None) and isinstance(waiting.fault, sorts):
                    if waiting.times is not None:
                        waiting.times -= 1
                        if waiting.times == 0:
                            self._waiting.remove(waiting)
                    return waiting.fault
        return None
