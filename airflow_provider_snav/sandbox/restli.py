"""Strict decoding of Rest.li 2.0 from the raw request.

Most HTTP libraries decode a URL before the application gets it. This hides the mistakes that this module must
find: a value that was encoded twice or not at all, or structure that was encoded. The rules come from the
"Rest.li 2.0 spec" (https://linkedin.github.io/rest.li/spec/protocol) and from LinkedIn's page on the protocol
version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import quote, unquote
from uuid import uuid4

from starlette.responses import JSONResponse, Response

PROTOCOL_VERSION = "2.0.0"
MAX_URL = 8192
MAX_QUERY = 4096
MAX_PATH_SEGMENT = 4096
MAX_URL_AND_HEADERS = 28 * 1024

_VALUE = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*")
_MAP = re.compile(r"\(([^()]*)\)")
_LIST_OF_MAPS = re.compile(r"List\(((?:\([^()]*\)(?:,\([^()]*\))*)?)\)")
_EMPTY = "''"
_STRUCTURE = re.compile(r"[%,():']")


class RestliError(Exception):
    """An error that is answered with Rest.li's error body."""

    def __init__(self, status: HTTPStatus, message: str, service_error_code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.service_error_code = service_error_code

    def body(self) -> dict[str, object]:
        code = {} if self.service_error_code is None else {"serviceErrorCode": self.service_error_code}
        return {"message": self.message, **code, "status": int(self.status)}

    def answer(self) -> Response:
        return JSONResponse(self.body(), self.status, {"X-RestLi-Error-Response": "true"})


def bad_request(message: str) -> RestliError:
    """A 400."""
    return RestliError(HTTPStatus.BAD_REQUEST, message)


def invalid(parameter: str) -> RestliError:
    """A 400 for a wrong encoding, with the message of github.com/linkedin/rest.li/issues/527."""
    return bad_request(f"Parameter '{parameter}' is invalid")


def request_ids() -> dict[str, str]:
    """The three headers that LinkedIn's support needs."""
    return {"x-li-uuid": uuid4().hex, "x-li-request-id": uuid4().hex[:16].upper(), "x-li-fabric": "sandbox"}


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One raw request: percent-encoding is unchanged, header names are in lower case.

    Query, headers and body may contain secrets, so they are left out of ``repr``.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, tuple[str, ...]] = field(repr=False)
    body: bytes = field(repr=False)
    client: tuple[str, int] = field(repr=False)

    def header(self, name: str) -> str | None:
        """The header's value; None if the header is missing or is there more than once."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else None

    def content_type(self) -> str:
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    def parameters(self, *names: str, optional: tuple[str, ...] = ()) -> dict[str, str]:
        """The raw values of the query.

        :param names: required parameters.
        :param optional: allowed parameters.
        :raises RestliError: 400 if one is missing, unknown, or there twice.
        """
        found: dict[str, str] = {}
        for pair in filter(None, self.query.split("&")):
            name, _, value = pair.partition("=")
            if name in found or name not in (*names, *optional):
                raise bad_request(f"Query parameter '{name}' is not expected here")
            found[name] = value
        for name in names:
            if not found.get(name):
                raise bad_request(f"Query parameter '{name}' is missing")
        return found

    def json(self, **types: type) -> dict[str, object]:
        """The body, a JSON object. Every field must be in ``types`` with its type; fields may be missing."""
        if self.content_type() != "application/json":
            raise RestliError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
        try:
            content = json.loads(self.body)
        except ValueError:
            raise bad_request("The request body is not JSON") from None
        if not isinstance(content, dict):
            raise bad_request("The request body is not a JSON object")
        for name, value in content.items():
            # Not isinstance: in Python a bool is an int, in JSON it is not.
            if name not in types or type(value) is not types[name]:
                raise bad_request(f"Field '{name}' of the request body is not expected or of the wrong type")
        return content


def check_size(call: ReceivedRequest) -> None:
    """Check the limits of LinkedIn's page on query tunnelling (414), and that a POST has a length (411)."""
    url = len(call.path) + 1 + len(call.query)
    headers = sum(len(name) + len(value) for name, values in call.headers.items() for value in values)
    too_long = (
        url > MAX_URL
        or len(call.query) > MAX_QUERY
        or max(map(len, call.path.split("/"))) > MAX_PATH_SEGMENT
        or url + headers > MAX_URL_AND_HEADERS
    )
    if too_long:
        raise RestliError(HTTPStatus.REQUEST_URI_TOO_LONG, "Request URI too long; use query tunnelling")
    if call.method == "POST" and not call.headers.keys() & {"content-length", "transfer-encoding"}:
        raise RestliError(HTTPStatus.LENGTH_REQUIRED, "A POST request needs a Content-Length")


def untunnel(call: ReceivedRequest) -> ReceivedRequest:
    """Convert a POST with query tunnelling into the GET that it represents; return other calls unchanged."""
    if "x-http-method-override" not in call.headers:
        return call
    if call.method != "POST" or call.header("x-http-method-override") != "GET" or call.query:
        raise bad_request("Query tunnelling is a POST without a query and X-HTTP-Method-Override: GET")
    if call.content_type() != "application/x-www-form-urlencoded":
        raise RestliError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A tunnelled query is application/x-www-form-urlencoded"
        )
    return replace(call, method="GET", query=call.body.decode("latin-1"), body=b"")


def check_protocol(call: ReceivedRequest) -> None:
    """Check the protocol header: without it LinkedIn reads a request as Rest.li 1.0 (protocol-version)."""
    if call.header("x-restli-protocol-version") != PROTOCOL_VERSION:
        raise bad_request("Header X-RestLi-Protocol-Version must be 2.0.0")


def decode(raw: str, parameter: str) -> str:
    """Decode a value that must be percent-encoded exactly once, in all characters that need it."""
    if raw == _EMPTY:
        return ""
    if not raw or not _VALUE.fullmatch(raw):
        raise invalid(parameter)
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        raise invalid(parameter) from None


def decode_map(raw: str, parameter: str) -> dict[str, str]:
    """Decode ``(name:value,...)``: the structure is raw, the values are encoded."""
    match = _MAP.fullmatch(raw)
    if match is None:
        raise invalid(parameter)
    pairs = [entry.partition(":") for entry in match[1].split(",")]
    values = {decode(name, parameter): decode(value, parameter) for name, _, value in pairs}
    if len(values) < len(pairs):
        raise invalid(parameter)
    return values


def decode_list_of_maps(raw: str, parameter: str) -> list[dict[str, str]]:
    """Decode ``List((name:value,...),...)``: the structure is raw, the values are encoded."""
    match = _LIST_OF_MAPS.fullmatch(raw)
    if match is None:
        raise invalid(parameter)
    return [decode_map(f"({entry})", parameter) for entry in _MAP.findall(match[1])]


def encode_map_reduced(values: Mapping[str, str]) -> str:
    """A complex key in the form of a response body: only characters of the structure are encoded."""

    def reduced(value: str) -> str:
        return _STRUCTURE.sub(lambda found: quote(found[0], safe=""), value) or _EMPTY

    return "(" + ",".join(f"{name}:{reduced(value)}" for name, value in values.items()) + ")"
