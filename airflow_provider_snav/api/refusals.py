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
from airflow_provider_snav.api.wire import Call, NoAnswer, Reply, Response, Token

GONE = (404, 410)
"""The statuses of what is not there, or no more."""

_SECRETS = ("client_secret", "refresh_token", "code", "token")


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
    # (A download has no target: a store of files may speak as it likes.)
    if reply.status in GONE and answered is None and call.target:
        # A gateway's page, say: not LinkedIn's word that there is no such job or match.
        return errors.SalesNavigatorServerError(
            f"{message} This {reply.status} is not an answer of Sales Navigator: check the connection's host,"
            " and any proxy on the way.",
            **details,
        )
    kind: type[errors.SalesNavigatorApiError] = {
        401: errors.SalesNavigatorAuthenticationError,
        **dict.fromkeys(GONE, errors.SalesNavigatorNotFoundError),
    }.get(reply.status, errors.SalesNavigatorBadRequestError)
    return (errors.SalesNavigatorServerError if reply.status >= 500 else kind)(message, **details)


def _secrets(call: Call[Any], token: Token | None) -> list[str]:
    """What was sent and must not come back in a message."""
    form = parse_qsl(call.body.decode()) if isinstance(call.body, bytes) else []
    sent = [value for name, value in form if name in _SECRETS]
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
    return {
        name: errors.clean(value, secrets) if isinstance(value, str) else value
        for name, value in body.items()
    }


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


def unreadable(call: Call[Any], reply: Response, cause: Exception) -> errors.SalesNavigatorServerError:
    """The error for a 2xx answer of which ``parse`` could make nothing."""
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
