"""One call from first try to result, without doing any I/O: a generator two thin drivers run.

It yields what to do next and is sent what came of it:

============  =====================================================
it yields     it is sent
============  =====================================================
NeedToken     a Token
Request       a Response, or a NoAnswer when there was none
Sleep         nothing
============  =====================================================

It returns what the call's ``parse`` made of the answer, or raises one typed error. Status codes and
bodies follow LinkedIn's shared error-handling page; see api-notes, sections 4 to 6.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote_plus, urljoin

from airflow_provider_snav.api import errors, restli

T = TypeVar("T")

_REQUEST_IDS = ("x-li-uuid", "x-li-request-id", "x-li-fabric")
MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_REVOKED = 65601
_JUST_MINTED_SECONDS = 60


class Credential(StrEnum):
    """LinkedIn's two token families."""

    MEMBER = "member"
    """3-legged: contracts, analytics exports, sales access tokens."""
    APPLICATION = "application"
    """2-legged: CRM validation, profile associations."""


_RENEW = {
    Credential.MEMBER: "The member access token is no longer good: put a new one in the connection's"
    " password, or give the connection a refresh_token.",
    Credential.APPLICATION: "LinkedIn refused the application token: check login (OAuth client id) and"
    " client_secret of the connection, and that the application has this API.",
}


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
    """One HTTP request. ``url`` and ``body`` go out byte for byte."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    body: bytes | None = field(default=None, repr=False)
    token: Token | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer.

    :param headers: names in lower case.
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


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The network failed; ``reason`` names the failure and holds no URL."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait this long, in seconds, and say why at INFO."""

    seconds: float
    reason: str


Step: TypeAlias = NeedToken | Request | Sleep
Reply: TypeAlias = Token | Response | NoAnswer | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One documented operation with its arguments filled in; see ``calls.py``.

    :param summary: what it does, for messages: "read the status of analytics export job 7".
    :param target: encoded path and query below the API base, or a whole URL.
    :param body: JSON (a mapping) or a form already encoded (bytes).
    :param credential: the token family it needs, None for the token endpoint itself.
    :param parse: makes the result from a 2xx answer; KeyError, TypeError or ValueError mean it is unreadable.
    :param hint: what to do when LinkedIn does not grant it.
    """

    summary: str
    method: str
    target: str = field(repr=False)
    parse: Callable[[Response], T] = field(repr=False)
    credential: Credential | None
    body: Mapping[str, Any] | bytes | None = field(default=None, repr=False)
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient one call is with a failing network, a failing server and throttling.

    :param tries: requests at most.
    :param first: seconds before the second try; doubled each time, with jitter down to half of it.
    :param longest_wait: a Retry-After beyond this many seconds is raised, not waited for.
    :param fresh_token_waits: seconds to wait, in turn, when LinkedIn refuses a token it has just issued.
    """

    tries: int = 6
    first: float = 1.0
    longest_wait: float = 120.0
    fresh_token_waits: tuple[float, ...] = (5.0, 10.0, 15.0)

    def delay(self, failed_tries: int, error: errors.SalesNavigatorError, jitter: float) -> float | None:
        """Seconds until the next try, or None to give up.

        :param jitter: a random number from 0 to 1.
        """
        if failed_tries >= self.tries or not error.retryable:
            return None
        backoff = self.first * 2.0 ** (failed_tries - 1) * (0.5 + jitter / 2)
        if isinstance(error, errors.SalesNavigatorRateLimitError):
            if error.daily or (error.retry_after or 0) > self.longest_wait:
                return None
            return max(backoff, error.retry_after or 0)
        return backoff


def exchange(
    call: Call[T], base_url: str, policy: RetryPolicy, random: Callable[[], float]
) -> Generator[Step, Reply, T]:
    """Run one call: fetch a token, send, renew a refused token once, retry what can pass.

    :param base_url: the API base, without a trailing slash.
    :raises SalesNavigatorApiError: LinkedIn's final answer, by status.
    :raises SalesNavigatorConnectionError: no answer in the last try.
    """
    token = None
    if call.credential:
        token = yield from _token(NeedToken(call.credential))
    renewed = False
    fresh_waits = iter(policy.fresh_token_waits)
    tries = 0
    error: errors.SalesNavigatorError
    while True:
        reply = yield _request(call, base_url, token)
        if isinstance(reply, Response) and 200 <= reply.status < 300:
            try:
                return call.parse(reply)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as unreadable:
                error = _unreadable(call, reply, unreadable)
        else:
            error = failure(call, reply, token)
        if isinstance(error, errors.SalesNavigatorAuthenticationError) and token and call.credential:
            wait = next(fresh_waits, None) if _may_be_too_new(error, token) else None
            if wait is not None:
                yield Sleep(wait, "LinkedIn does not know the token it has just issued yet")
                continue
            other = token if renewed else (yield from _token(NeedToken(call.credential, refused=token)))
            if other.value == token.value:
                raise error.because(_RENEW[call.credential])
            token, renewed = other, True
            continue
        tries += 1
        delay = policy.delay(tries, error, random())
        if delay is None:
            raise error
        yield Sleep(delay, f"try {tries} of {policy.tries} failed: {error}")


def _token(need: NeedToken) -> Generator[Step, Reply, Token]:
    token = yield need
    assert isinstance(token, Token)
    return token


def _may_be_too_new(error: errors.SalesNavigatorAuthenticationError, token: Token) -> bool:
    return error.service_error_code == _REVOKED and token.age is not None and token.age < _JUST_MINTED_SECONDS


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
    return Request(call.method, url, headers, body, token)


def open_download(
    url: str,
    credential: Credential,
    check: Callable[[str], None],
    policy: RetryPolicy,
    random: Callable[[], float],
) -> Generator[Step, Reply, Response]:
    """Open one file; its bytes are the driver's to stream. Document: Exporting User Activity, "Download".

    The token goes to the first URL only; redirects are followed without it, to allowed hosts.

    :param check: raises SalesNavigatorHostError for a URL no token, and no request, may go to.
    :raises SalesNavigatorApiError: 401, 403, 404 and 410 mean the URL has expired, or the token has.
    """
    call: Call[None] = Call("download the file", "GET", "", lambda _: None, credential)
    # Here too, not just before it is sent: not even a token is minted for a URL that is refused.
    check(url)
    token = yield from _token(NeedToken(credential))
    tries = 0
    while True:
        reply = yield from _follow(url, token, check)
        if isinstance(reply, Response) and reply.status == 200:
            return reply
        error = failure(call, reply, token)
        tries += 1
        delay = policy.delay(tries, error, random())
        if delay is None:
            raise error
        yield Sleep(delay, f"try {tries} of {policy.tries} failed: {error}")


def _follow(
    url: str, token: Token, check: Callable[[str], None]
) -> Generator[Step, Reply, Response | NoAnswer | None]:
    # identity: Content-Length then counts the very bytes that land.
    headers = {"X-RestLi-Protocol-Version": restli.PROTOCOL_VERSION, "Accept-Encoding": "identity"}
    for hop in range(1 + MAX_REDIRECTS):
        check(url)
        reply = yield Request("GET", url, headers, token=None if hop else token, stream=True)
        if (
            not isinstance(reply, Response)
            or reply.status not in _REDIRECTS
            or "location" not in reply.headers
        ):
            assert not isinstance(reply, Token)
            return reply
        try:
            url = urljoin(url, reply.headers["location"])
        except ValueError:
            url = ""  # as no URL at all it is refused, with the same message
    raise errors.SalesNavigatorHostError(f"The download was redirected more than {MAX_REDIRECTS} times.")


def failure(call: Call[Any], reply: Reply, token: Token | None) -> errors.SalesNavigatorError:
    """The typed error for an answer that is not 2xx, or for none at all."""
    if not isinstance(reply, Response):
        reason = reply.reason if isinstance(reply, NoAnswer) else "no answer"
        return errors.SalesNavigatorConnectionError(f"Could not {call.summary}: {reason}.")
    answered = _error_body(reply, _secrets(call, token))
    said = answered or {}
    service_error_code, code = said.get("serviceErrorCode"), said.get("code")
    details: dict[str, Any] = {
        "status_code": reply.status,
        "service_error_code": service_error_code if isinstance(service_error_code, int) else None,
        "code": code if isinstance(code, str) else None,
        "request_ids": reply.request_ids,
    }
    message = _said(call, said, details)
    if reply.status == 429:
        return _rate_limit(message, str(said.get("message", "")), reply, details)
    if call.credential is None and 400 <= reply.status < 500:
        return errors.SalesNavigatorAuthenticationError(f"{message} {call.hint}".rstrip(), **details)
    if reply.status == 403:
        return errors.SalesNavigatorPermissionError(f"{message} {call.hint}".rstrip(), **details)
    if reply.status == 404 and answered is None:
        # A gateway's page, say: not LinkedIn's word that there is no such job or match.
        return errors.SalesNavigatorServerError(
            f"{message} This 404 is not an answer of Sales Navigator: check the connection's host, and any"
            " proxy on the way.",
            **details,
        )
    kind: type[errors.SalesNavigatorApiError] = {
        401: errors.SalesNavigatorAuthenticationError,
        404: errors.SalesNavigatorNotFoundError,
    }.get(reply.status, errors.SalesNavigatorBadRequestError)
    return (errors.SalesNavigatorServerError if reply.status >= 500 else kind)(message, **details)


def _secrets(call: Call[Any], token: Token | None) -> list[str]:
    """What was sent and must not come back in a message."""
    form = parse_qsl(call.body.decode()) if isinstance(call.body, bytes) else []
    sent = [value for name, value in form if name in ("client_secret", "refresh_token")]
    sent += [token.value] if token else []
    # Sent in this form, it may be echoed in this form.
    return sent + [quoted for value in sent if (quoted := quote_plus(value)) != value]


def _error_body(reply: Response, secrets: list[str]) -> dict[str, Any] | None:
    """What LinkedIn says, without secrets; None for a body that is not Rest.li's."""
    try:
        body = reply.json() if reply.body.strip() else {}
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    return {name: _clean(value, secrets) if isinstance(value, str) else value for name, value in body.items()}


def _clean(text: str, secrets: list[str]) -> str:
    """The text on one line, without secrets and without anything that may be a signed URL."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join("***" if "://" in word or "?" in word.rstrip("?") else word for word in text.split())


def _said(call: Call[Any], body: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """One sentence: what was tried, the status, LinkedIn's words, the ids its support asks for."""
    words = body.get("message") or body.get("error_description") or body.get("error")
    if not isinstance(words, str):
        words = "no Rest.li error body came with it"
    codes = [f"HTTP {details['status_code']}"]
    if details["service_error_code"] is not None:
        codes.append(f"serviceErrorCode {details['service_error_code']}")
    if details["code"]:
        codes.append(f"code {details['code']}")
    ids = "".join(f" {name}={value}" for name, value in details["request_ids"].items())
    return (
        f"Could not {call.summary} ({', '.join(codes)}): {words[:500].rstrip('.')}.{ids and f' [{ids[1:]}]'}"
    )


def _unreadable(call: Call[Any], reply: Response, cause: Exception) -> errors.SalesNavigatorServerError:
    kind = reply.headers.get("content-type", "no content type")
    return errors.SalesNavigatorServerError(
        f"Could not {call.summary}: LinkedIn answered HTTP {reply.status} with a body that cannot be read"
        f" ({kind}, {len(reply.body)} bytes; {type(cause).__name__}).",
        status_code=reply.status,
        request_ids=reply.request_ids,
    )


def _rate_limit(
    message: str, words: str, reply: Response, details: dict[str, Any]
) -> errors.SalesNavigatorRateLimitError:
    daily = re.search(r"\bDAY\b", words) is not None
    retry_after = _retry_after(reply)
    if daily:
        midnight = (reply.received_at.astimezone(dt.UTC) + dt.timedelta(days=1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        retry_after = (midnight - reply.received_at).total_seconds()
        message += f" The daily budget resets at {midnight:%Y-%m-%dT%H:%MZ}; nothing can be sent before."
    elif retry_after:
        message += f" LinkedIn asks to wait {retry_after:g} seconds."
    return errors.SalesNavigatorRateLimitError(message, **details, retry_after=retry_after, daily=daily)


def _retry_after(reply: Response) -> float | None:
    """Seconds to wait as the Retry-After header says, a number or a date; None without a readable one."""
    value = reply.headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - reply.received_at).total_seconds())
    except (TypeError, ValueError):
        return None
