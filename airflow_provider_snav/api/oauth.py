"""The member's consent, the first token, and the state of a token.

Documents, below https://learn.microsoft.com/en-us/linkedin/shared/authentication: authorization-code-flow,
token-introspection. :mod:`~airflow_provider_snav.api.credentials` renews the token of a connection.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.credentials import Minted, minted, oauth_call
from airflow_provider_snav.api.errors import (
    SalesNavigatorAuthenticationError,
    SalesNavigatorConfigurationError,
    SalesNavigatorError,
)
from airflow_provider_snav.api.exchange import RetryPolicy, exchange
from airflow_provider_snav.api.messages import Call, Credential, NeedToken, Reply, Response, Step, Token
from airflow_provider_snav.api.windows import from_ms

MEMBER_SCOPES = ("r_sales_nav_analytics", "r_sales_nav_display")
"""All scopes of a member token (getting-access). A later request for other scopes revokes earlier tokens."""

SOON = dt.timedelta(days=14)
"""How long before its end a member token should be replaced."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """The state of a token.

    :param active: True if LinkedIn accepts the token now; None if that is unknown.
    :param expires_at: when the token expires or expired; None if that is unknown.
    :param scopes: the scopes of a member token; empty if they are unknown.
    :param status: ``active``, ``expired`` or ``revoked``; None without an answer of LinkedIn.
    :param auth_type: ``3L`` (member) or ``2L`` (application); None without an answer of LinkedIn.
    """

    active: bool | None = None
    expires_at: dt.datetime | None = None
    scopes: tuple[str, ...] = ()
    status: str | None = None
    auth_type: str | None = None

    @classmethod
    def from_wire(cls, body: Mapping[str, Any]) -> TokenStatus:
        """Read an answer of token introspection. Its times are epoch seconds."""
        expires_at = body.get("expires_at")
        return cls(
            active=bool(body["active"]),
            expires_at=None if expires_at is None else from_ms(int(expires_at) * 1000),
            scopes=tuple(str(body.get("scope") or "").replace(",", " ").split()),
            status=body.get("status"),
            auth_type=body.get("auth_type"),
        )

    @property
    def is_of_another_application(self) -> bool:
        """True for LinkedIn's answer about a token of another application."""
        return self.active is False and self.status is None and self.expires_at is None

    def ends_soon(self, now: dt.datetime) -> bool:
        """Return True if less than 14 days are left. False for application tokens, which live 30 minutes."""
        return bool(self.expires_at and self.expires_at - now < SOON and self.auth_type != "2L")

    def days_left(self, now: dt.datetime) -> int | None:
        """Return the whole days until the expiry, negative afterwards; None if the expiry is unknown."""
        return None if self.expires_at is None else (self.expires_at - now) // dt.timedelta(days=1)

    def sentence(self, now: dt.datetime) -> str:
        """Say in one sentence when the token expires or expired; empty if that is unknown."""
        if self.status == "revoked":
            return "LinkedIn says that it was revoked."
        if self.expires_at is None:
            return ""
        length = abs(self.expires_at - now)
        count, unit = (length.days, "day") if length.days else (length.seconds // 3600, "hour")
        distance = f"{count} {unit}{'' if count == 1 else 's'}"
        day = f"{self.expires_at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
        if self.expires_at > now:
            return f"It expires on {day}, in {distance}."
        return f"It expired on {day}, {distance} ago."


UNKNOWN = TokenStatus()


def authorization_url(page: str, client_id: str, redirect_uri: str, scopes: Sequence[str], state: str) -> str:
    """Build the address for the member's browser. Document: authorization-code-flow, step 2.

    :param page: the connection's ``authorization_url``.
    """
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "scope": " ".join(scopes),
    }
    return f"{page}?{urlencode(asked, quote_via=quote)}"


def exchange_code(
    token_url: str, client_id: str, client_secret: str, redirect_uri: str, code: str
) -> Call[Minted]:
    """Exchange an authorization code for the first token. Document: authorization-code-flow, step 3.

    :param redirect_uri: exactly the address to which LinkedIn sent the member back.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "client_secret": client_secret,
    }
    return oauth_call("exchange the authorization code for a token", token_url, form, minted)


def introspect(introspection_url: str, client_id: str, client_secret: str, token: str) -> Call[TokenStatus]:
    """Return the call that reads the state of a token. Document: token-introspection."""
    form = {"client_id": client_id, "client_secret": client_secret, "token": token}
    hint = "Check login (OAuth client id) and client_secret of the connection."
    return oauth_call("ask LinkedIn when the member token expires", introspection_url, form, _status, hint)


def _status(answer: Response) -> TokenStatus:
    return TokenStatus.from_wire(answer.json())


def token_status(
    settings: ConnectionSettings, now: dt.datetime, random: Callable[[], float]
) -> Generator[Step, Reply, TokenStatus]:
    """Get the state of the member token from LinkedIn, otherwise from the connection's ``expires_at``.

    :raises SalesNavigatorError: LinkedIn did not answer, and the connection has no ``expires_at``.
    :raises SalesNavigatorConfigurationError: the connection has no client id, secret or ``expires_at``.
    """
    token = yield NeedToken(Credential.MEMBER)
    assert isinstance(token, Token)
    return (yield from _status_of(token.value, settings, now, random))


def _status_of(
    token: str, settings: ConnectionSettings, now: dt.datetime, random: Callable[[], float]
) -> Generator[Step, Reply, TokenStatus]:
    noted = noted_status(settings, now) if token == settings.access_token else None
    if not (settings.client_id and settings.client_secret and settings.introspection_url):
        if noted:
            return noted
        raise SalesNavigatorConfigurationError(
            "It is unknown when the member token expires. Give the connection login (OAuth client id) and"
            " client_secret, so that LinkedIn states the expiry, or the extra expires_at."
        )
    call = introspect(settings.introspection_url, settings.client_id, settings.client_secret, token)
    try:
        told = yield from exchange(call, settings.base_url, RetryPolicy(tries=1), random)
    except SalesNavigatorError:
        if noted:
            return noted
        raise
    if not told.is_of_another_application:
        return told
    if noted:
        return noted
    raise SalesNavigatorConfigurationError(
        "LinkedIn does not say when the member token expires: it belongs to another application than the"
        " connection's login (OAuth client id). Give the connection the extra expires_at."
    )


def exchange_telling_expiry(
    call: Call[T],
    settings: ConnectionSettings,
    policy: RetryPolicy,
    now: dt.datetime,
    random: Callable[[], float],
) -> Generator[Step, Reply, T]:
    """Run one call with ``exchange``. The error for a 401 also says when the token expired."""
    try:
        return (yield from exchange(call, settings.base_url, policy, random))
    except SalesNavigatorAuthenticationError as error:
        # With a refresh token, the refused token may not be the connection's own.
        if call.credential is Credential.MEMBER and settings.access_token and not settings.refresh_token:
            with suppress(SalesNavigatorError):
                status = yield from _status_of(settings.access_token, settings, now, random)
                if status.active is False and (sentence := status.sentence(now)):
                    error.because(f"About the member token: {sentence}")
        raise


def noted_status(settings: ConnectionSettings, now: dt.datetime) -> TokenStatus | None:
    """Return the state of the connection's token from ``expires_at``; None without ``expires_at``."""
    if settings.expires_at is None:
        return None
    return TokenStatus(active=now < settings.expires_at, expires_at=settings.expires_at)
