"""The ASGI application: maps paths to calls, and applies faults to requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from airflow_provider_snav.sandbox.backend import Backend
from airflow_provider_snav.sandbox.downloads import HangUp, download, signed_download
from airflow_provider_snav.sandbox.exports import (
    analytics_job_status,
    create_analytics_job,
    create_crm_job,
    crm_job_status,
)
from airflow_provider_snav.sandbox.faults import Answer, CallKind, Delay, LoseAnswer, Reset
from airflow_provider_snav.sandbox.oauth import AUTHORIZATION_PATH, ConsentError, OAuth, OAuthError
from airflow_provider_snav.sandbox.resources import (
    association,
    batch_associations,
    contracts,
    sales_access_tokens,
)
from airflow_provider_snav.sandbox.restli import (
    PROTOCOL_VERSION,
    ReceivedRequest,
    RestliError,
    check_protocol,
    check_size,
    request_ids,
    untunnel,
)
from airflow_provider_snav.sandbox.tokens import Scope

log = logging.getLogger("airflow_provider_snav.sandbox")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One documented call.

    :param path: matches the raw path; its group, if any, is passed to ``answer``.
    :param scope: the scope that the token must have; None if ``answer`` itself checks the caller.
    :param restli: whether the Rest.li protocol header is required.
    """

    kind: CallKind
    method: str
    path: re.Pattern[str]
    answer: Callable[[Backend, ReceivedRequest, str], Response]
    scope: Scope | None = None
    restli: bool = True


def _of_oauth(
    answer: Callable[[OAuth, ReceivedRequest], Response],
) -> Callable[[Backend, ReceivedRequest, str], Response]:
    return lambda backend, call, _: answer(backend.oauth, call)


def _at(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{key\}", "([^/]+)"))


ENDPOINTS = (
    Endpoint(CallKind.CONTRACTS, "GET", _at("/v2/salesContracts"), contracts, Scope.ANALYTICS),
    Endpoint(
        CallKind.CREATE, "POST", _at("/v2/salesAnalyticsExportJobs"), create_analytics_job, Scope.ANALYTICS
    ),
    Endpoint(
        CallKind.STATUS,
        "GET",
        _at("/v2/salesAnalyticsExportJobs/{key}"),
        analytics_job_status,
        Scope.ANALYTICS,
    ),
    Endpoint(
        CallKind.CREATE, "POST", _at("/v2/crmDataValidationExportJobs"), create_crm_job, Scope.VALIDATION
    ),
    Endpoint(
        CallKind.STATUS, "GET", _at("/v2/crmDataValidationExportJobs/{key}"), crm_job_status, Scope.VALIDATION
    ),
    Endpoint(CallKind.SALES_TOKEN, "GET", _at("/v2/salesAccessTokens"), sales_access_tokens, Scope.DISPLAY),
    Endpoint(
        CallKind.ASSOCIATIONS,
        "GET",
        _at("/v2/salesNavigatorProfileAssociations/{key}"),
        association,
        Scope.PROFILES,
    ),
    Endpoint(
        CallKind.ASSOCIATIONS,
        "GET",
        _at("/v2/salesNavigatorProfileAssociations"),
        batch_associations,
        Scope.PROFILES,
    ),
    Endpoint(CallKind.DOWNLOAD, "GET", _at("/ambry/"), download),
    Endpoint(CallKind.DOWNLOAD, "GET", _at("/signed/"), signed_download, restli=False),
    Endpoint(CallKind.CONSENT, "GET", _at(AUTHORIZATION_PATH), _of_oauth(OAuth.ask), restli=False),
    Endpoint(CallKind.CONSENT, "POST", _at(AUTHORIZATION_PATH), _of_oauth(OAuth.decide), restli=False),
    Endpoint(CallKind.TOKEN, "POST", _at("/oauth/v2/accessToken"), _of_oauth(OAuth.exchange), restli=False),
    Endpoint(
        CallKind.INTROSPECTION,
        "POST",
        _at("/oauth/v2/introspectToken"),
        _of_oauth(OAuth.introspect),
        restli=False,
    ),
)
_QUERY_IS_SECRET = (
    CallKind.DOWNLOAD,
    CallKind.TOKEN,
    CallKind.CONSENT,
    CallKind.INTROSPECTION,
    CallKind.UNKNOWN,
)


class SandboxApp:
    """Answers requests from a `Backend`.

    :param backend: the state of the sandbox.
    :param hang_up: ends the connection of a client's address: with a reset if True, otherwise after all
        written bytes are sent.
    """

    def __init__(self, backend: Backend, hang_up: Callable[[tuple[str, int], bool], None]) -> None:
        self._backend = backend
        self._hang_up = hang_up

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = await _read(request)
        kind = _kind(call.path)
        delay = self._backend.faults.take(kind, Delay)
        if delay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_disconnected(receive), delay.by.total_seconds())
        response = self._respond(kind, call)
        self._note(kind, call, response)
        if response is None:
            await self._drop(call, receive, reset=True)
            return
        try:
            await response(scope, receive, send)
        except HangUp:
            await self._drop(call, receive, reset=False)

    def _respond(self, kind: CallKind, call: ReceivedRequest) -> Response | None:
        """The answer; None if the connection is to be reset before any answer."""
        match self._backend.faults.take(kind, Answer, Reset):
            case Reset():
                return None
            case Answer(status, body, headers):
                response = Response(body, status, headers)
            case _:
                response = self._answer(call)
                succeeded = response.status_code < HTTPStatus.BAD_REQUEST
                if succeeded and self._backend.faults.take(kind, LoseAnswer):
                    return None
        response.headers.update(request_ids())
        response.headers["Date"] = formatdate(self._backend.clock.now() / 1000, usegmt=True)
        return response

    def _answer(self, call: ReceivedRequest) -> Response:
        try:
            check_size(call)
            call = untunnel(call)
            endpoint, key = _endpoint(call)
            if endpoint.restli:
                check_protocol(call)
            if endpoint.scope:
                self._backend.tokens.authorize(call, endpoint.scope)
            response = endpoint.answer(self._backend, call, key)
        except (RestliError, OAuthError, ConsentError) as error:
            return error.answer()
        if endpoint.restli:
            response.headers["X-RestLi-Protocol-Version"] = PROTOCOL_VERSION
        return response

    def _note(self, kind: CallKind, call: ReceivedRequest, response: Response | None) -> None:
        status = response.status_code if response else None
        self._backend.record(kind, status, call)
        query = f"?{call.query}" if call.query and kind not in _QUERY_IS_SECRET else ""
        log.info("%s %s%s: %s", call.method, call.path, query, status or "connection reset")

    async def _drop(self, call: ReceivedRequest, receive: Receive, *, reset: bool) -> None:
        self._hang_up(call.client, reset)
        # If the application ended before the connection, the server would answer 500.
        await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(request: Request) -> ReceivedRequest:
    headers: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for name, value in request.headers.items():
        headers[name] += (value,)
    return ReceivedRequest(
        request.method,
        request.scope["raw_path"].decode("latin-1"),
        request.scope["query_string"].decode("latin-1"),
        dict(headers),
        await request.body(),
        request.scope["client"],
    )


def _kind(path: str) -> CallKind:
    return next((one.kind for one in ENDPOINTS if one.path.fullmatch(path)), CallKind.UNKNOWN)


def _endpoint(call: ReceivedRequest) -> tuple[Endpoint, str]:
    matches = [(one, match) for one in ENDPOINTS if (match := one.path.fullmatch(call.path))]
    if not matches:
        raise RestliError(HTTPStatus.NOT_FOUND, f"Could not find resource {call.path}")
    for endpoint, match in matches:
        if endpoint.method == call.method:
            return endpoint, "".join(match.groups())
    raise RestliError(HTTPStatus.METHOD_NOT_ALLOWED, f"{call.method} is not supported on {call.path}")
