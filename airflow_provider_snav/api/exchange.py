"""One call from the first try to the result: tokens, tries, waits. A generator without I/O.

:func:`~airflow_provider_snav.api.messages.drive` and ``adrive`` perform its steps. The generator returns the
result of the call's ``parse``, or raises one typed error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urljoin

from airflow_provider_snav.api import errors, restli
from airflow_provider_snav.api.connection import Origin
from airflow_provider_snav.api.error_responses import DOUBTED, doubted, failure, may_have_created, unusable
from airflow_provider_snav.api.messages import (
    Call,
    Credential,
    NeedToken,
    NoAnswer,
    Reply,
    Request,
    Response,
    Sleep,
    Step,
    Token,
)

T = TypeVar("T")

MOST_CREATIONS = 2
"""The most jobs that one call can create: after a lost answer the call is sent once more.

LinkedIn runs one export of a contract at a time, so a needless job delays all jobs after it. Document:
https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/faq
"""
MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_REVOKED = 65601
_JUST_MINTED_SECONDS = 60

_RENEW = {
    Credential.MEMBER: "LinkedIn no longer accepts the member access token. Put a new one into the"
    " connection's password, or give the connection a refresh_token.",
    Credential.APPLICATION: "LinkedIn refused the application token. Check login (OAuth client id) and"
    " client_secret of the connection, and that the application has access to this API.",
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one call is sent when the network fails, the server fails or a rate limit applies.

    :param tries: the most requests.
    :param first: seconds before the second try. The wait doubles with each try; jitter takes off up to half.
    :param longest_wait: seconds. A longer Retry-After is not waited for; the call fails.
    :param fresh_token_waits: seconds of each wait when LinkedIn refuses a token that it has just issued.
    """

    tries: int = 6
    first: float = 1.0
    longest_wait: float = 120.0
    fresh_token_waits: tuple[float, ...] = (5.0, 10.0, 15.0)

    def delay(self, failed_tries: int, error: errors.SalesNavigatorError, jitter: float) -> float | None:
        """Return the seconds until the next try; None if there is none.

        :param jitter: a random number from 0 to 1.
        """
        if failed_tries >= self.tries or not error.retryable:
            return None
        asked = getattr(error, "retry_after", None) or 0.0
        if asked > self.longest_wait or getattr(error, "daily", False):
            return None
        return max(self.first * 2.0 ** (failed_tries - 1) * (0.5 + jitter / 2), asked)


def exchange(
    call: Call[T], base_url: str, policy: RetryPolicy, random: Callable[[], float]
) -> Generator[Step, Reply, T]:
    """Run one call: get a token, send the request, renew a refused token once, try again if that can help.

    :param base_url: the API base, without a trailing slash.
    :param random: returns numbers from 0 to 1.
    :returns: the result of the call's ``parse``.
    :raises SalesNavigatorApiError: LinkedIn's final answer is an error. The class depends on the status.
    :raises SalesNavigatorConnectionError: no answer came in the last try.
    """
    bearer: _Bearer | None = None
    if call.credential:
        first = yield from _token(NeedToken(call.credential))
        bearer = _Bearer(call.credential, first, iter(policy.fresh_token_waits))
    tries = _Tries(policy, random)
    doubts = 0
    try:
        while True:
            token = bearer.token if bearer else None
            reply = yield _request(call, base_url, token)
            outcome = _outcome(call, reply, token)
            if isinstance(outcome, _Result):
                return outcome.value
            doubts += may_have_created(call, reply, outcome)
            if doubts == MOST_CREATIONS or (doubts and _succeeded(reply)):
                raise outcome
            # Also after a gateway's 401, because a new token does no harm.
            if bearer and isinstance(reply, Response) and reply.status == 401:
                if (yield from bearer.is_worth_another_try(outcome)):
                    continue
                if isinstance(outcome, errors.SalesNavigatorAuthenticationError):
                    outcome.because(_RENEW[bearer.credential])
            again = " It is sent at most once more, since LinkedIn may have created a job." if doubts else ""
            yield from tries.wait_after(outcome, again)
    except errors.SalesNavigatorError as error:
        doubted(error, doubts)
        raise


@dataclass(slots=True)
class _Tries:
    """Counts the failed tries of one call."""

    policy: RetryPolicy
    random: Callable[[], float]
    failed: int = 0

    def wait_after(self, error: errors.SalesNavigatorError, note: str = "") -> Generator[Step, Reply, None]:
        """Wait before the next try; raise the error if there is none."""
        self.failed += 1
        delay = self.policy.delay(self.failed, error, self.random())
        if delay is None:
            raise error
        yield Sleep(delay, f"try {self.failed} of {self.policy.tries} failed: {error}{note}")


@dataclass(frozen=True, slots=True)
class _Result(Generic[T]):
    value: T


@dataclass(slots=True)
class _Bearer:
    """The token of one call.

    :param waits: seconds of each wait for a token that LinkedIn does not accept yet.
    """

    credential: Credential
    token: Token
    waits: Iterator[float]
    renewed: bool = False

    def is_worth_another_try(self, error: errors.SalesNavigatorError) -> Generator[Step, Reply, bool]:
        """After a 401: wait if the token is too new, otherwise get another token, once."""
        wait = next(self.waits, None) if self._may_be_too_new(error) else None
        if wait is not None:
            yield Sleep(wait, "LinkedIn does not accept the token that it has just issued yet")
            return True
        if self.renewed:
            return False
        self.renewed = True
        other = yield NeedToken(self.credential, self.token)
        if not isinstance(other, Token):
            return False
        self.token = other
        return True

    def _may_be_too_new(self, error: errors.SalesNavigatorError) -> bool:
        age = self.token.age
        revoked = getattr(error, "service_error_code", None) == _REVOKED
        return revoked and age is not None and age < _JUST_MINTED_SECONDS


def _outcome(call: Call[T], reply: Reply, token: Token | None) -> _Result[T] | errors.SalesNavigatorError:
    if not _succeeded(reply):
        return failure(call, reply, token)
    assert isinstance(reply, Response)
    try:
        return _Result(call.parse(reply))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as cause:
        return unusable(call, reply, cause)


def _succeeded(reply: Reply) -> bool:
    return isinstance(reply, Response) and 200 <= reply.status < 300


def _token(need: NeedToken) -> Generator[Step, Reply, Token]:
    token = yield need
    assert isinstance(token, Token)
    return token


def _request(call: Call[Any], base_url: str, token: Token | None) -> Request:
    headers = {"X-RestLi-Protocol-Version": restli.PROTOCOL_VERSION, "Accept": "application/json"}
    body: bytes | None = None
    if isinstance(call.body, bytes):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = call.body
    elif call.body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(call.body).encode()
    url = call.target if call.target.startswith("http") else base_url + call.target
    return Request(call.method, url, headers, body, token, creates=call.creates)


def open_download(
    url: str,
    credential: Credential,
    check: Callable[[str], None],
    policy: RetryPolicy,
    random: Callable[[], float],
) -> Generator[Step, Reply, Response]:
    """Open one file for streaming.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/exporting-user-activity
    A redirect to an allowed host is followed. The token is sent only to the same scheme, host and port.

    :param url: the download URL of a job.
    :param check: raises SalesNavigatorHostError for a URL that may not receive a request.
    :returns: the 200 answer with an unread body.
    :raises SalesNavigatorHostError: ``check`` refused a URL, or there were too many redirects.
    :raises SalesNavigatorApiError: 401, 403, 404 and 410 mean that the URL or the token has expired.
    :raises SalesNavigatorIncompleteDownloadError: a 2xx answer other than 200, which is not the whole file.
    :raises SalesNavigatorConnectionError: no answer came in the last try.
    """
    call: Call[None] = Call("download the file", "GET", "", lambda _: None, credential)
    # Check before the token is requested, so that no token is minted for a refused URL.
    check(url)
    token = yield from _token(NeedToken(credential))
    tries = _Tries(policy, random)
    while True:
        reply = yield from _follow(url, token, check)
        if isinstance(reply, Response) and reply.status == 200:
            return reply
        if isinstance(reply, Response) and 200 < reply.status < 300:
            # For example a 206, although no part of the file was requested.
            raise errors.SalesNavigatorIncompleteDownloadError(
                f"Could not download the file: HTTP {reply.status} is not the whole file."
            )
        error = failure(call, reply, token)
        if isinstance(reply, Response) and reply.status in DOUBTED:
            # The URL does not work, even if a gateway answered. The caller can get a new URL.
            raise error
        yield from tries.wait_after(error)


def _follow(
    url: str, token: Token | None, check: Callable[[str], None]
) -> Generator[Step, Reply, Response | NoAnswer | None]:
    # With identity, Content-Length counts the bytes of the file itself.
    headers = {"X-RestLi-Protocol-Version": restli.PROTOCOL_VERSION, "Accept-Encoding": "identity"}
    for _ in range(1 + MAX_REDIRECTS):
        reply = yield Request("GET", url, headers, token=token, stream=True)
        if (
            not isinstance(reply, Response)
            or reply.status not in _REDIRECTS
            or "location" not in reply.headers
        ):
            assert not isinstance(reply, Token)
            return reply
        origin = Origin.of(url, "The download URL")
        try:
            url = urljoin(url, reply.headers["location"])
        except ValueError:
            url = ""  # check() refuses it with the same message
        check(url)
        if Origin.of(url, "The download URL") != origin:
            token = None
    raise errors.SalesNavigatorHostError(f"The download was redirected more than {MAX_REDIRECTS} times.")
