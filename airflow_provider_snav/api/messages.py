"""The messages between the core and the code that does I/O, and the two loops that carry them.

The core decides in generators. A generator yields a step; :func:`drive` (for a worker) or :func:`adrive` (for
the triggerer) performs it and sends the reply back into the generator:

============  =====================================================
Step          Reply
============  =====================================================
NeedToken     a Token, or None if there is none but the refused one
Request       a Response, or a NoAnswer when there was none
Sleep         None
============  =====================================================

:mod:`airflow_provider_snav.exports.polling` has two steps of its own. Instead of a reply, a generator may get
a SalesNavigatorError. No ``repr`` here shows a token, a URL, a header or a body.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_snav.api.errors import (
    SalesNavigatorApiError,
    SalesNavigatorError,
    SalesNavigatorServerError,
)

S = TypeVar("S")
T = TypeVar("T")

_REQUEST_IDS = ("x-li-uuid", "x-li-request-id", "x-li-fabric")


class Credential(StrEnum):
    """LinkedIn's two token families."""

    MEMBER = "member"
    """3-legged: contracts, analytics exports, sales access tokens."""
    APPLICATION = "application"
    """2-legged: CRM validation, profile associations."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token.

    :param age: seconds since this process minted it, None when it came with the connection.
    """

    value: str = field(repr=False)
    age: float | None = None


@dataclass(frozen=True, slots=True)
class NeedToken:
    """The driver must supply a token of this family, other than ``refused`` if it can."""

    credential: Credential
    refused: Token | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. ``url`` and ``body`` go out byte for byte.

    :param creates: its answer names a job that a retry would have to create again.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    token: Token | None = None
    stream: bool = False
    creates: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer.

    :param headers: found by names in lower case, however they were spelt.
    :param body: all of it; empty for a 2xx answer to a streaming request, whose bytes are read later.
    :param received_at: when it came, aware; the core has no clock of its own.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: dt.datetime

    def json(self) -> Any:
        """:raises ValueError: the body is not JSON."""
        return json.loads(self.body)

    @property
    def request_ids(self) -> dict[str, str]:
        return {name: self.headers[name] for name in _REQUEST_IDS if name in self.headers}

    @property
    def request_id(self) -> str | None:
        return next(iter(self.request_ids.values()), None)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The network failed.

    :param reason: names the failure and holds no URL.
    :param sent: False when the request surely did not reach a server: no connection, no TLS, no proxy.
    """

    reason: str
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait this many seconds. The log names the reason, if there is one."""

    seconds: float
    reason: str = ""


Step: TypeAlias = NeedToken | Request | Sleep
Reply: TypeAlias = Token | Response | NoAnswer | None


def drive(steps: Generator[S, Any, T], perform: Callable[[S], Any]) -> T:
    """Run a generator to its end, on a worker.

    :param perform: does what one step names and returns the reply. If it raises a SalesNavigatorError, the
        generator gets that error; any other exception ends the loop.
    :returns: what the generator returns.
    :raises SalesNavigatorError: the generator ended with it.
    """
    reply: Any = None
    while True:
        try:
            step = steps.throw(reply) if isinstance(reply, SalesNavigatorError) else steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            reply = perform(step)
        except SalesNavigatorError as error:
            reply = error


async def adrive(steps: Generator[S, Any, T], perform: Callable[[S], Awaitable[Any]]) -> T:
    """Run a generator to its end, in the triggerer. See :func:`drive`; to stop it, cancel it."""
    reply: Any = None
    while True:
        try:
            step = steps.throw(reply) if isinstance(reply, SalesNavigatorError) else steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            reply = await perform(step)
        except SalesNavigatorError as error:
            reply = error


class OddAnswerError(ValueError):
    """Raised by a ``parse``: the answer can be read, and is not one to this call.

    :param words: what is odd about it.
    :param kind: the error the call ends with.
    """

    def __init__(self, words: str, kind: type[SalesNavigatorApiError] = SalesNavigatorServerError) -> None:
        super().__init__(words)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One documented operation with its arguments filled in; see ``calls.py``.

    :param summary: what it does, for messages: "read the status of analytics export job 7".
    :param target: encoded path and query below the API base, or a whole URL.
    :param parse: makes the result from a 2xx answer; a KeyError, TypeError, ValueError or the like means it
        is unreadable, an OddAnswerError says what else is wrong with it.
    :param credential: the token family it needs, None for the token endpoint itself.
    :param body: JSON (a mapping) or a form already encoded (bytes).
    :param hint: what to do when LinkedIn does not grant it.
    :param submitted_at: of the job it asks about, if known: a young one is never gone.
    """

    summary: str
    method: str
    target: str = field(repr=False)
    parse: Callable[[Response], T] = field(repr=False)
    credential: Credential | None
    body: Mapping[str, Any] | bytes | None = field(default=None, repr=False)
    hint: str = ""
    submitted_at: dt.datetime | None = None

    @property
    def creates(self) -> bool:
        """Whether LinkedIn makes another job each time it processes this call."""
        return self.method == "POST" and self.credential is not None
