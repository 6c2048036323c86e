"""The two token families of Sales Navigator, and the calls that their scopes allow."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from airflow_provider_snav.sandbox.clock import MILLISECOND, Clock
from airflow_provider_snav.sandbox.restli import ReceivedRequest, RestliError
from airflow_provider_snav.sandbox.settings import SandboxSettings


def opaque() -> str:
    """A token as long as LinkedIn's, so that tests find fields that are too short for it."""
    return "AQ" + secrets.token_urlsafe(370)


class Scope(StrEnum):
    """The scopes of tokens (getting-access): two of a member, two of an application."""

    ANALYTICS = "r_sales_nav_analytics"
    DISPLAY = "r_sales_nav_display"
    VALIDATION = "r_sales_nav_validation"
    PROFILES = "r_sales_nav_profiles"


MEMBER_SCOPES = frozenset({Scope.ANALYTICS, Scope.DISPLAY})
APPLICATION_SCOPES = frozenset({Scope.VALIDATION, Scope.PROFILES})


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """One access token: its scopes, its beginning and its end (epoch ms)."""

    scopes: frozenset[Scope]
    issued_at: int
    expires_at: int
    revoked: bool = False

    @property
    def is_member(self) -> bool:
        """Whether it is a member token (3-legged); otherwise it is an application token (2-legged)."""
        return bool(self.scopes & MEMBER_SCOPES)

    def status(self, now: int) -> str:
        """LinkedIn's status of the token (token-introspection)."""
        return "revoked" if self.revoked else "expired" if self.expires_at <= now else "active"


@dataclass(frozen=True, slots=True)
class Client:
    """The only OAuth application of a sandbox, with the refresh token of its only member."""

    client_id: str = field(default_factory=lambda: f"snav{secrets.token_hex(5)}")
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    refresh_token: str = field(default_factory=opaque, repr=False)


class TokenStore:
    """The access tokens of a sandbox. Thread-safe."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self.client = Client()
        self.access_token = opaque()
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._grants: dict[str, IssuedToken] = {}
        self.restore()

    def restore(self) -> None:
        """Make the first member token of the sandbox valid again, and delete all others."""
        with self._lock:
            self._grants = {self.access_token: self._grant(MEMBER_SCOPES, self._settings.member_token_ttl)}

    def issue(self, scopes: frozenset[Scope], ttl: timedelta) -> str:
        token = opaque()
        with self._lock:
            self._grants[token] = self._grant(scopes, ttl)
        return token

    def revoke(self, token: str) -> None:
        with self._lock:
            self._grants[token] = replace(self._grants[token], revoked=True)

    def revoke_members(self) -> None:
        """Revoke every member token, as consent to other scopes does (authorization-code-flow)."""
        with self._lock:
            for token, grant in self._grants.items():
                if grant.is_member:
                    self._grants[token] = replace(grant, revoked=True)

    def find(self, token: str) -> IssuedToken | None:
        """The record of a token; None if it was never issued."""
        with self._lock:
            return self._grants.get(token)

    def expiry(self, token: str) -> datetime:
        """The end of an issued token, in the future or the past."""
        with self._lock:
            return datetime.fromtimestamp(self._grants[token].expires_at // 1000, UTC)

    def authenticate(self, call: ReceivedRequest) -> IssuedToken:
        """The grant behind a call's token.

        :raises RestliError: 401, with the serviceErrorCode LinkedIn answers in each case.
        """
        authorization = call.header("authorization")
        if not authorization:
            raise RestliError(HTTPStatus.UNAUTHORIZED, "Empty oauth2_access_token", 401)
        scheme, _, token = authorization.partition(" ")
        grant = self.find(token)
        if scheme != "Bearer" or grant is None:
            raise RestliError(HTTPStatus.UNAUTHORIZED, "Invalid access token", 65600)
        match grant.status(self._clock.now()):
            case "revoked":
                message = "The token used in the request has been revoked by the user"
                raise RestliError(HTTPStatus.UNAUTHORIZED, message, 65601)
            case "expired":
                raise RestliError(HTTPStatus.UNAUTHORIZED, "The token used in the request has expired", 65602)
        return grant

    def authorize(self, call: ReceivedRequest, scope: Scope) -> None:
        """Check that the token of a call has this scope.

        :raises RestliError: 401 without a valid token, 403 if the token lacks the scope.
        """
        grant = self.authenticate(call)
        if self._settings.enforce_scopes and scope not in grant.scopes:
            message = f"Not enough permissions to access: {call.method} {call.path}"
            raise RestliError(HTTPStatus.FORBIDDEN, message, 100)

    def _grant(self, scopes: frozenset[Scope], ttl: timedelta) -> IssuedToken:
        now = self._clock.now()
        return IssuedToken(scopes, now, now + ttl // MILLISECOND)
