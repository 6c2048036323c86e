"""Turns an answer that is not a success into one typed error, with LinkedIn's message and without secrets.

Document for status codes and bodies: https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/error-handling
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus

from airflow_provider_snav.api import errors
from airflow_provider_snav.api.messages import Call, NoAnswer, OddAnswerError, Reply, Response, Token

DOUBTED = (401, 403, 404, 410)
"""These statuses are final only in an answer of LinkedIn itself, see :func:`is_linkedins`."""

_YOUNG = dt.timedelta(minutes=15)
"""A 404 for a job younger than this is not final, because a needless second job delays all others."""

_NOT_PROCESSED = (408, 421, 423, 425, 429, 503)
"""With these statuses HTTP says that the server did not process the request, but may do so later."""

_SECRETS = ("client_secret", "refresh_token", "code", "token")


def failure(call: Call[Any], reply: Reply, token: Token | None) -> errors.SalesNavigatorError:
    """Return the typed error for an answer that is not 2xx, or for no answer."""
    if not isinstance(reply, Response):
        reason = reply.reason if isinstance(reply, NoAnswer) else "no answer"
        return errors.SalesNavigatorConnectionError(f"Could not {call.summary}: {reason}.")
    body = _error_body(reply, _secrets(call, token))
    linkedins = is_linkedins(call, reply, body)
    service_error_code, code = body.get("serviceErrorCode"), body.get("code")
    details: dict[str, Any] = {
        "status_code": reply.status,
        "service_error_code": service_error_code if type(service_error_code) is int else None,
        "code": code if isinstance(code, str) else None,
        "request_ids": reply.request_ids,
        "retry_after": _retry_after(reply),
    }
    message = _said(call, body, details)
    if reply.status == 429:
        return _rate_limit(message, str(body.get("message", "")), reply, details)
    # A download (no target) is excepted: the file server behind it does not mark its errors.
    if not linkedins and call.target and reply.status < 500:
        field = "token_url" if call.credential is None else "host"
        message += _redirect(reply, field) if reply.status < 400 else _GATEWAY.format(reply.status, field)
    if too_young := _asks_about_a_young_job(call, reply):
        message += " The job was submitted minutes ago, so LinkedIn may not know it everywhere yet."
    if passes(reply.status) or too_young or (reply.status in DOUBTED and not linkedins):
        return errors.SalesNavigatorServerError(message + _wait(details["retry_after"]), **details)
    if linkedins and call.hint and (reply.status == 403 or call.credential is None):
        message += f" {call.hint}"
    return _kind(call, reply.status)(message, **details)


_GATEWAY = (
    " This {} is not an answer of Sales Navigator: check the connection's {}, and any proxy on the way."
)


def is_linkedins(call: Call[Any], reply: Response, body: Mapping[str, Any]) -> bool:
    """Return True if this error is LinkedIn's, and not that of a proxy, a firewall or a load balancer.

    LinkedIn's errors have a header, or an integer in the body ("Error Handling"). Those of its token endpoint
    have OAuth's ``error``. A 403, 404 or 410 of another server says nothing about a job, a match or a role.

    :param body: the JSON object of the answer; empty without one.
    """
    if "x-restli-error-response" in reply.headers:
        return True
    if call.credential is None and isinstance(body.get("error"), str):
        return True
    # type() and not isinstance, because a bool is an int in Python.
    return any(type(body.get(name)) is int for name in ("status", "serviceErrorCode"))


def passes(status: int) -> bool:
    """Return True if the same request may succeed later, whether LinkedIn or a gateway sent the status.

    400, 405, 411, 414, 422 and 426 are final, even from a gateway. They refuse the request itself, and
    another try would send the same request.
    """
    return status >= 500 or status in _NOT_PROCESSED


def _asks_about_a_young_job(call: Call[Any], reply: Response) -> bool:
    if reply.status not in (404, 410) or not call.submitted_at:
        return False
    # The Date header counts as well, because the sandbox's clock can be put forward.
    at = max(reply.received_at, _moment(reply, "date") or reply.received_at)
    return at - call.submitted_at < _YOUNG


def may_have_created(call: Call[Any], reply: Reply, error: errors.SalesNavigatorError) -> bool:
    """Return True if LinkedIn may have created a job for this request without an answer that named it."""
    if not call.creates:
        return False
    if isinstance(reply, Response):
        unknown = isinstance(error, errors.SalesNavigatorServerError)
        return unknown and reply.status not in _NOT_PROCESSED
    return not isinstance(reply, NoAnswer) or reply.sent


def doubted(error: errors.SalesNavigatorError, jobs: int) -> None:
    """Add the number of jobs in doubt to the error and to its message."""
    error.jobs_in_doubt = jobs
    if jobs:
        error.because(in_doubt(jobs))


def in_doubt(jobs: int) -> str:
    """Describe jobs that LinkedIn may have created without an answer that named them."""
    if jobs == 1:
        return "LinkedIn may have created a job whose answer was lost."
    return f"LinkedIn may have created up to {jobs} jobs whose answers were lost."


def _kind(call: Call[Any], status: int) -> type[errors.SalesNavigatorApiError]:
    if call.credential is None and status >= 400:
        return errors.SalesNavigatorAuthenticationError
    return {
        401: errors.SalesNavigatorAuthenticationError,
        403: errors.SalesNavigatorPermissionError,
        404: errors.SalesNavigatorNotFoundError,
        410: errors.SalesNavigatorNotFoundError,
    }.get(status, errors.SalesNavigatorBadRequestError)


def _redirect(reply: Response, field: str) -> str:
    host = re.match(r"https?://([\w.-]+)", reply.headers.get("location", ""), re.ASCII)
    named = "host (the API base URL)" if field == "host" else field
    return (
        f" The answer is a redirect{f' to {host[1]}' if host else ''}, and a token must not follow one: check"
        f" the connection's {named}, and any proxy on the way."
    )


def _wait(retry_after: float | None) -> str:
    return f" Its Retry-After is {retry_after:g} seconds." if retry_after else ""


def _secrets(call: Call[Any], token: Token | None) -> list[str]:
    """Return the secrets of the request, which must not appear in a message."""
    form = parse_qsl(call.body.decode()) if isinstance(call.body, bytes) else []
    sent = [value for name, value in form if name in _SECRETS]
    sent += [token.value] if token else []
    # The server may repeat a secret in the encoded form in which it received it.
    return sent + [quoted for value in sent if (quoted := quote_plus(value)) != value]


def _error_body(reply: Response, secrets: list[str]) -> dict[str, Any]:
    """Return the JSON object of the answer without secrets; empty if it has none."""
    try:
        body = reply.json()
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    return {
        name: errors.clean(value, secrets) if isinstance(value, str) else value
        for name, value in body.items()
    }


def _said(call: Call[Any], body: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    words = body.get("message") or body.get("error_description") or body.get("error")
    if not isinstance(words, str):
        words = "no Rest.li error body came with it"
    return _told(call, words[:500].rstrip("."), details)


def _told(call: Call[Any], words: str, details: Mapping[str, Any]) -> str:
    """Write one sentence: the call, the status, LinkedIn's message, and the ids for its support."""
    codes = [f"HTTP {details['status_code']}"]
    if details.get("service_error_code") is not None:
        codes.append(f"serviceErrorCode {details['service_error_code']}")
    if details.get("code"):
        codes.append(f"code {details['code']}")
    ids = "".join(f" {name}={value}" for name, value in details["request_ids"].items())
    return f"Could not {call.summary} ({', '.join(codes)}): {words}.{ids and f' [{ids[1:]}]'}"


def unusable(call: Call[Any], reply: Response, cause: Exception) -> errors.SalesNavigatorApiError:
    """Return the error for a 2xx answer that ``parse`` could not read."""
    details: dict[str, Any] = {"status_code": reply.status, "request_ids": reply.request_ids}
    if isinstance(cause, OddAnswerError):
        return cause.kind(_told(call, str(cause), details), **details)
    kind = reply.headers.get("content-type", "no content type")
    size, why = len(reply.body), type(cause).__name__
    words = f"LinkedIn answered with a body that cannot be read ({kind}, {size} bytes; {why})"
    return errors.SalesNavigatorServerError(_told(call, words, details), **details)


def _rate_limit(
    message: str, words: str, reply: Response, details: dict[str, Any]
) -> errors.SalesNavigatorRateLimitError:
    daily = re.search(r"\bDAY\b", words) is not None
    if daily:
        midnight = (reply.received_at.astimezone(dt.UTC) + dt.timedelta(days=1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        details["retry_after"] = (midnight - reply.received_at).total_seconds()
        message += f" The daily budget resets at {midnight:%Y-%m-%dT%H:%MZ}; nothing can be sent before."
    else:
        message += _wait(details["retry_after"])
    return errors.SalesNavigatorRateLimitError(message, **details, daily=daily)


def _retry_after(reply: Response) -> float | None:
    """Return the seconds of the Retry-After header, a number or a date; None if it is not readable."""
    value = reply.headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    moment = _moment(reply, "retry-after")
    return None if moment is None else max(0.0, (moment - reply.received_at).total_seconds())


def _moment(reply: Response, header: str) -> dt.datetime | None:
    """Return the date of a header; None if it is not readable or has no time zone."""
    try:
        moment = parsedate_to_datetime(reply.headers.get(header, ""))
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
