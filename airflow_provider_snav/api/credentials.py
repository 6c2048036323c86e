"""The two token families: the tokens of a connection, and how to mint a token.

Contracts, analytics exports and sales access tokens need a member (3-legged) token. CRM validation and
profile associations need an application (2-legged) token. Documents, below https://learn.microsoft.com/en-us/linkedin/shared/authentication:
authorization-code-flow, programmatic-refresh-tokens, client-credentials-flow.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.errors import SalesNavigatorCredentialError
from airflow_provider_snav.api.messages import Call, Credential, Response, Token

T = TypeVar("T")

_DEFAULT_LIFE_SECONDS = 1800
_MARGIN_SECONDS = 60
_MISSING = {
    Credential.MEMBER: "a member token, and the connection has none. Give it a member access token as its"
    " password, or refresh_token, login (OAuth client id) and client_secret",
    Credential.APPLICATION: "an application token, and the connection has none. Give it login (OAuth client"
    " id) and client_secret",
}
_SUMMARY = {
    Credential.MEMBER: "get a new member token from LinkedIn",
    Credential.APPLICATION: "get an application token from LinkedIn",
}
_REFUSED = {
    Credential.MEMBER: "The refresh token is expired or revoked, or belongs to another application. The"
    " member must consent again; put the new tokens into the connection.",
    Credential.APPLICATION: "Check login (OAuth client id) and client_secret of the connection, and that"
    " LinkedIn allows the application to create application tokens.",
}


@dataclass(frozen=True, slots=True)
class Minted:
    """A token that LinkedIn issued to this process.

    :param expires_in: seconds from the issue to the expiry.
    :param refresh_token: the refresh token that LinkedIn sent with it, if any.
    """

    value: str = field(repr=False)
    expires_in: float
    refresh_token: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> list[str]:
        """The values that the log must not show."""
        return [text for text in (self.value, self.refresh_token) if text]

    def is_good(self, age: float) -> bool:
        """Return True if a call can use the token ``age`` seconds after it was minted."""
        return age < self.expires_in - min(_MARGIN_SECONDS, self.expires_in / 10)


@dataclass(frozen=True, slots=True)
class Grant:
    """A way to mint a token.

    :param beside: the connection's own token. Part of the cache key: replacing the connection's token
        discards the tokens minted before.
    ``key`` is equal for equal grants, and contains no secret.
    """

    credential: Credential
    token_url: str
    form: Mapping[str, str] = field(repr=False)
    beside: str | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        told = (self.token_url, sorted(self.form.items()), self.beside)
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def after(self, minted: Minted) -> Grant:
        """Return this grant with the refresh token that LinkedIn sent with ``minted``."""
        if self.credential is Credential.APPLICATION or not minted.refresh_token:
            return self
        return replace(self, form={**self.form, "refresh_token": minted.refresh_token})

    def call(self) -> Call[Minted]:
        """Return the call that mints a token. The answer's ``expires_in`` may be text."""
        return oauth_call(
            _SUMMARY[self.credential], self.token_url, self.form, minted, _REFUSED[self.credential]
        )


def oauth_call(
    summary: str, url: str, form: Mapping[str, str], parse: Callable[[Response], T], hint: str = ""
) -> Call[T]:
    """Return a call that sends a form, credentials included, to one of LinkedIn's OAuth addresses."""
    return Call(
        summary=summary,
        method="POST",
        target=url,
        body=urlencode(form).encode(),
        parse=parse,
        credential=None,
        hint=hint,
    )


def minted(answer: Response) -> Minted:
    """Read an answer of the token endpoint.

    :raises ValueError: the token cannot be sent in a header. (A KeyError or TypeError: it is unreadable.)
    """
    body: Mapping[str, Any] = answer.json()
    token = body["access_token"]
    # The HTTP library would show such a token in the message of its error.
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise ValueError("access_token")
    expires_in = body.get("expires_in")
    life = _DEFAULT_LIFE_SECONDS if expires_in in (None, "") else float(expires_in)
    return Minted(token, life, body.get("refresh_token"))


@dataclass(frozen=True, slots=True)
class Offer:
    """What a connection has for one token family: a token, a way to mint one, or both."""

    token: Token | None
    grant: Grant | None


def offer(settings: ConnectionSettings, credential: Credential) -> Offer:
    """Return the token and the grant of the connection for this family.

    If the connection has only an access token, all calls use that token.

    :raises SalesNavigatorCredentialError: it has neither; the message names the fields to fill in.
    """
    token = Token(settings.access_token) if settings.access_token else None
    grant = _grant(settings, credential)
    if credential is Credential.APPLICATION and grant:
        token = None
    if not token and not grant:
        raise SalesNavigatorCredentialError(f"This call needs {_MISSING[credential]}. Nothing was sent.")
    return Offer(token, grant)


def has_own(settings: ConnectionSettings, credential: Credential) -> bool:
    """Return True if the connection has a credential of this family, not only that of the other one."""
    grant = _grant(settings, credential)
    return bool(grant or (credential is Credential.MEMBER and settings.access_token))


def _grant(settings: ConnectionSettings, credential: Credential) -> Grant | None:
    if not (settings.client_id and settings.client_secret):
        return None
    client = {"client_id": settings.client_id, "client_secret": settings.client_secret}
    if credential is Credential.APPLICATION:
        return Grant(credential, settings.token_url, {"grant_type": "client_credentials", **client})
    if not settings.refresh_token:
        return None
    refresh = {"grant_type": "refresh_token", "refresh_token": settings.refresh_token}
    return Grant(credential, settings.token_url, {**refresh, **client}, beside=settings.access_token)
