"""The messages between ``api`` and the code that does I/O, and the two loops that pass them on.

``api`` and ``exports`` make their decisions in generators. A generator yields a step. :func:`drive` (worker)
or :func:`adrive` (triggerer) performs the step and sends the reply back into the generator:

============  =====================================================
Step          Reply
============  =====================================================
NeedToken     a Token, or None if only the refused one exists
Request       a Response, or a NoAnswer if no answer came
Sleep         None
============  =====================================================

:mod:`airflow_provider_snav.exports.polling` adds two steps. A generator may receive a SalesNavigatorError
instead of a reply. No ``repr`` here shows a token, a URL, a header or a body.
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

    :param age: seconds since this process minted it; None for a token of the connection.
    """

    value: str = field(repr=False)
    age: float | None = None


@dataclass(frozen=True, slots=True)
class NeedToken:
    """Get a token of this family. The reply is another token than ``refused``, or None."""

    credential: Credential
    refused: Token | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. ``url`` and ``body`` are sent without any change.

    :param stream: if True, the driver does not read the body of a 200 answer.
    :param creates: if True, the answer holds the id of a new job. Without it a retry creates another job.
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

    :param headers: a mapping that finds names in lower case.
    :param body: the whole body; empty for a 2xx answer to a streaming request.
    :param received_at: an aware datetime.
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
    """No answer came, because the network failed.

    :param reason: describes the failure without a URL.
    :param sent: False if the request certainly did not reach a server, for example without a connection.
    """

    reason: str
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait this many seconds. The driver logs the reason, if there is one."""

    seconds: float
    reason: str = ""


Step: TypeAlias = NeedToken | Request | Sleep
Reply: TypeAlias = Token | Response | NoAnswer | None


def drive(steps: Generator[S, Any, T], perform: Callable[[S], Any]) -> T:
    """Run a generator to its end, on a worker.

    :param perform: performs one step and returns the reply. If it raises a SalesNavigatorError, the generator
        receives that error. Any other exception ends the loop.
    :returns: the generator's result.
    :raises SalesNavigatorError: the generator raised it.
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
    """Run a generator to its end, in the triggerer; see :func:`drive`. Cancelling it stops it."""
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
    """A ``parse`` raises this for a readable answer that does not belong to its call.

    :param words: describes what is wrong with the answer.
    :param kind: the class of the error that the call raises.
    """

    def __init__(self, words: str, kind: type[SalesNavigatorApiError] = SalesNavigatorServerError) -> None:
        super().__init__(words)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One documented operation with its arguments; see ``calls.py``.

    :param summary: a verb phrase for messages: "read the status of analytics export job 7".
    :param target: the encoded path and query below the API base, or a whole URL.
    :param parse: makes the result from a 2xx answer. A KeyError, TypeError, ValueError or similar means that
        the answer is unreadable. An OddAnswerError says what else is wrong.
    :param credential: the token family of the call; None for the token endpoint.
    :param body: JSON (a mapping) or an encoded form (bytes).
    :param hint: advice for the message when LinkedIn denies the call.
    :param submitted_at: when the job was submitted, if known. A 404 for a young job is not final.
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
        """True if LinkedIn creates a new job each time it processes this call."""
        return self.method == "POST" and self.credential is not None
