"""Who may call what: the two token families of Sales Navigator, and the endpoint that issues them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response

from airflow_provider_snav.sandbox.clock import MILLISECOND, Clock
from airflow_provider_snav.sandbox.restli import Call, RestliError
from airflow_provider_snav.sandbox.settings import Settings

_SECOND = timedelta(seconds=1)
_REFRESH_TOKEN_TTL = timedelta(days=365)


def _opaque() -> str:
    """A token as long as LinkedIn's, so that whatever is too narrow for one shows."""
    return "AQ" + secrets.token_urlsafe(370)


class Scope(StrEnum):
    """What a token is good for (getting-access): two scopes of a member, two of an application."""

    ANALYTICS = "r_sales_nav_analytics"
    DISPLAY = "r_sales_nav_display"
    VALIDATION = "r_sales_nav_validation"
    PROFILES = "r_sales_nav_profiles"


MEMBER_SCOPES = frozenset({Scope.ANALYTICS, Scope.DISPLAY})
APPLICATION_SCOPES = frozenset({Scope.VALIDATION, Scope.PROFILES})


@dataclass(frozen=True, slots=True)
class Grant:
    """What one access token allows, until when (epoch ms)."""

    scopes: frozenset[Scope]
    expires_at: int
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """The one OAuth application a sandbox knows, with the refresh token of its one member."""

    client_id: str = field(default_factory=lambda: f"snav{secrets.token_hex(5)}")
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    refresh_token: str = field(default_factory=_opaque, repr=False)


class OAuthError(Exception):
    """A refusal of the token endpoint: OAuth's error body, not Rest.li's."""

    def __init__(self, status: HTTPStatus, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error

    def answer(self) -> Response:
        return JSONResponse({"error": self.error, "error_description": str(self)}, self.status)


class TokenStore:
    """The access tokens of a sandbox. Thread-safe."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.client = Client()
        self.access_token = _opaque()
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}
        self.restore()

    def restore(self) -> None:
        """Only the member token the sandbox was born with is valid, and fresh."""
        with self._lock:
            self._grants = {self.access_token: self._grant(MEMBER_SCOPES, self._settings.member_token_ttl)}

    def issue(self, scopes: frozenset[Scope], ttl: timedelta) -> str:
        token = _opaque()
        with self._lock:
            self._grants[token] = self._grant(scopes, ttl)
        return token

    def revoke(self, token: str) -> None:
        with self._lock:
            self._grants[token] = replace(self._grants[token], revoked=True)

    def authenticate(self, call: Call) -> Grant:
        """The grant behind a call's token.

        :raises RestliError: 401, with the serviceErrorCode LinkedIn answers in each case.
        """
        authorization = call.header("authorization")
        if not authorization:
            raise RestliError(HTTPStatus.UNAUTHORIZED, "Empty oauth2_access_token", 401)
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            grant = self._grants.get(token)
        if scheme != "Bearer" or grant is None:
            raise RestliError(HTTPStatus.UNAUTHORIZED, "Invalid access token", 65600)
        if grant.revoked:
            message = "The token used in the request has been revoked by the user"
            raise RestliError(HTTPStatus.UNAUTHORIZED, message, 65601)
        if grant.expires_at <= self._clock.now():
            raise RestliError(HTTPStatus.UNAUTHORIZED, "The token used in the request has expired", 65602)
        return grant

    def authorize(self, call: Call, scope: Scope) -> None:
        """Let a call through whose token has this scope.

        :raises RestliError: 401 without a valid token, 403 with one that lacks the scope.
        """
        grant = self.authenticate(call)
        if self._settings.enforce_scopes and scope not in grant.scopes:
            message = f"Not enough permissions to access: {call.method} {call.path}"
            raise RestliError(HTTPStatus.FORBIDDEN, message, 100)

    def exchange(self, call: Call) -> Response:
        """``POST /oauth/v2/accessToken`` (client-credentials-flow, programmatic-refresh-tokens).

        :raises OAuthError: with the documented status and error of whatever is wrong.
        """
        if call.content_type() != "application/x-www-form-urlencoded":
            raise _invalid_request("Content-Type must be application/x-www-form-urlencoded")
        form = dict(parse_qsl(call.body.decode("latin-1")))
        self._check_client(form)
        match form.get("grant_type"):
            case "client_credentials":
                return JSONResponse(self._application_token())
            case "refresh_token":
                return JSONResponse(self._refreshed_token(form))
        raise _invalid_request("The grant_type is missing or not supported")

    def _grant(self, scopes: frozenset[Scope], ttl: timedelta) -> Grant:
        return Grant(scopes, self._clock.now() + ttl // MILLISECOND)

    def _check_client(self, form: Mapping[str, str]) -> None:
        for name in ("client_id", "client_secret"):
            if name not in form:
                raise _invalid_request(f'A required parameter "{name}" is missing')
        if (form["client_id"], form["client_secret"]) != (self.client.client_id, self.client.client_secret):
            raise OAuthError(HTTPStatus.UNAUTHORIZED, "invalid_client_id", "Client authentication failed")

    def _application_token(self) -> dict[str, object]:
        ttl = self._settings.application_token_ttl
        # The sample of client-credentials-flow shows the lifetime of this token, and of no other, as text.
        return {"access_token": self.issue(APPLICATION_SCOPES, ttl), "expires_in": str(ttl // _SECOND)}

    def _refreshed_token(self, form: Mapping[str, str]) -> dict[str, object]:
        if form.get("refresh_token") != self.client.refresh_token:
            raise _invalid_request(
                "The provided authorization grant or refresh token is invalid, expired or revoked"
            )
        ttl = self._settings.member_token_ttl
        return {
            "access_token": self.issue(MEMBER_SCOPES, ttl),
            "expires_in": ttl // _SECOND,
            "refresh_token": self.client.refresh_token,
            "refresh_token_expires_in": _REFRESH_TOKEN_TTL // _SECOND,
            "scope": ",".join(sorted(MEMBER_SCOPES)),
        }


def _invalid_request(description: str) -> OAuthError:
    return OAuthError(HTTPStatus.BAD_REQUEST, "invalid_request", description)
