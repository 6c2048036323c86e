"""The headers a connection adds to requests, for a gateway or for a version that LinkedIn may require."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError

Headers: TypeAlias = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_OURS = {
    # credentials
    "authorization", "proxy-authorization",
    # set by this package
    "accept", "accept-encoding", "content-type", "range", "x-restli-protocol-version", "x-restli-method",
    "x-http-method-override",
    # set by the HTTP library, or for one network connection only
    "host", "content-length", "content-encoding", "transfer-encoding", "te", "trailer", "expect",
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade", "http2-settings",
}  # fmt: skip
_SHORTEST_SECRET = 8


def read_headers(value: Any) -> Headers:
    """Read the extra ``headers``.

    :param value: a mapping, or its JSON text, which the connection form holds before Airflow 3.2.
    :raises SalesNavigatorConfigurationError: a name or a value cannot be sent, or only this package may set
        the header.
    """
    try:
        given = json.loads(value) if isinstance(value, str) and value.strip() else value or {}
    except ValueError:
        given = None
    if not isinstance(given, Mapping):
        raise SalesNavigatorConfigurationError(
            "The connection's headers is not a JSON object of names and values, such as"
            ' {"LinkedIn-Version": "202609"}.'
        )
    headers = {}
    for name, text in given.items():
        _check_name(name)
        if name.lower() in headers:
            raise SalesNavigatorConfigurationError(f"The connection's headers holds {name} twice.")
        headers[name.lower()] = name, _text(text, name)
    return tuple(headers.values())


def secrets_of(headers: Headers) -> list[str]:
    """Return the values that may be secret. LinkedIn's version and short values are not secret."""
    return [
        value
        for name, value in headers
        if name.lower() != "linkedin-version" and len(value) >= _SHORTEST_SECRET
    ]


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        # Do not show it: it may be a whole header line with a credential.
        raise SalesNavigatorConfigurationError(
            "The connection's headers holds a name that is not the name of a header. Give a JSON object of"
            " names and values."
        )
    if name.lower() in _OURS:
        raise SalesNavigatorConfigurationError(
            f"The connection's headers holds {name}, which only this package or its HTTP library sets. Remove"
            " it. A token belongs in the password."
        )


def _text(value: Any, name: str) -> str:
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not _VALUE.fullmatch(text):
        # Do not show it: it may be a gateway's credential.
        raise SalesNavigatorConfigurationError(
            f"The connection's headers holds a value for {name} that cannot be sent. Give text in ASCII, on"
            " one line, without blanks at its ends."
        )
    return text
