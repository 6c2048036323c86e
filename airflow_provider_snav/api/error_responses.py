"""What an answer that is no success means: one typed error, in LinkedIn's words and without secrets.

Status codes and bodies follow LinkedIn's shared error-handling page.
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
"""The statuses that mean something only when LinkedIn itself gives them, see :func:`is_linkedins`."""

_YOUNG = dt.timedelta(minutes=15)
"""A job younger than this is never gone, whatever a 404 says: needless jobs hold up all that wait."""

_NOT_PROCESSED = (408, 421, 423, 425, 429, 503)
"""By their definition in HTTP, the server did not process the request, and may do so later."""

_SECRETS = ("client_secret", "refresh_token", "code", "token")


def failure(call: Call[Any], reply: Reply, token: Token | None) -> errors.SalesNavigatorError:
    """The typed error for an answer that is not 2xx, or for none at all."""
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
    # A download has no target: the store of files behind it may speak as it likes.
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
    """Whether LinkedIn gave this error, and not a proxy, a firewall or a load balancer on the way.

    LinkedIn marks its errors by a header, or by an integer in the body ("Error Handling"); its token endpoint
    by OAuth's ``error``. Nobody else's 403, 404 or 410 says anything about a job, a match or a role.

    :param body: the answer's JSON object, empty when it has none.
    """
    if "x-restli-error-response" in reply.headers:
        return True
    if call.credential is None and isinstance(body.get("error"), str):
        return True
    # Not isinstance: in Python a bool is an int, in JSON it is not.
    return any(type(body.get(name)) is int for name in ("status", "serviceErrorCode"))


def passes(status: int) -> bool:
    """Whether this status, whoever gave it, says that the same request may succeed later.

    400, 405, 411, 414, 422 and 426 are not among them, not even from a gateway: they speak of the request
    itself, which another try would send unchanged.
    """
    return status >= 500 or status in _NOT_PROCESSED


def _asks_about_a_young_job(call: Call[Any], reply: Response) -> bool:
    if reply.status not in (404, 410) or not call.submitted_at:
        return False
    # The answer's own time counts as well: the sandbox's clock can be put forward.
    at = max(reply.received_at, _moment(reply, "date") or reply.received_at)
    return at - call.submitted_at < _YOUNG


def may_have_created(call: Call[Any], reply: Reply, error: errors.SalesNavigatorError) -> bool:
    """Whether LinkedIn may have created a job for this request although no answer named it."""
    if not call.creates:
        return False
    if isinstance(reply, Response):
        unknown = isinstance(error, errors.SalesNavigatorServerError)
        return unknown and reply.status not in _NOT_PROCESSED
    return not isinstance(reply, NoAnswer) or reply.sent


def doubted(error: errors.SalesNavigatorError, jobs: int) -> None:
    """Let the error say that this number of jobs is in doubt."""
    error.jobs_in_doubt = jobs
    if jobs:
        error.because(in_doubt(jobs))


def in_doubt(jobs: int) -> str:
    """What becomes of jobs that LinkedIn may have created although no answer named them."""
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
    """What was sent and must not come back in a message."""
    form = parse_qsl(call.body.decode()) if isinstance(call.body, bytes) else []
    sent = [value for name, value in form if name in _SECRETS]
    sent += [token.value] if token else []
    # Sent in this form, it may be echoed in this form.
    return sent + [quoted for value in sent if (quoted := quote_plus(value)) != value]


def _error_body(reply: Response, secrets: list[str]) -> dict[str, Any]:
    """The answer's JSON object, without secrets; empty when it has none."""
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
    """One sentence: what was tried, the status, the answer's words, the ids LinkedIn's support asks for."""
    codes = [f"HTTP {details['status_code']}"]
    if details.get("service_error_code") is not None:
        codes.append(f"serviceErrorCode {details['service_error_code']}")
    if details.get("code"):
        codes.append(f"code {details['code']}")
    ids = "".join(f" {name}={value}" for name, value in details["request_ids"].items())
    return f"Could not {call.summary} ({', '.join(codes)}): {words}.{ids and f' [{ids[1:]}]'}"


def unusable(call: Call[Any], reply: Response, cause: Exception) -> errors.SalesNavigatorApiError:
    """The error for a 2xx answer of which ``parse`` could make nothing."""
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
    """Seconds to wait as the Retry-After header says, a number or a date; None without a readable one."""
    value = reply.headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    moment = _moment(reply, "retry-after")
    return None if moment is None else max(0.0, (moment - reply.received_at).total_seconds())


def _moment(reply: Response, header: str) -> dt.datetime | None:
    """The date a header holds; None without a readable one that has a time zone."""
    try:
        moment = parsedate_to_datetime(reply.headers.get(header, ""))
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
