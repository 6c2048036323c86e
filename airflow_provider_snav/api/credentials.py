"""The two token families: what a connection can offer, and how to mint what it cannot.

Contracts, analytics exports and sales access tokens want a member (3-legged) token; CRM validation and
profile associations want an application (2-legged) token. Rules: LinkedIn's pages on the authorization
code flow, programmatic refresh tokens and the client credential flow.
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
    Credential.MEMBER: "The refresh token is expired or revoked, or belongs to another application: have the"
    " member consent again and put the new tokens into the connection.",
    Credential.APPLICATION: "Check login (OAuth client id) and client_secret of the connection, and that"
    " LinkedIn allows the application to create application tokens.",
}


@dataclass(frozen=True, slots=True)
class Minted:
    """A token LinkedIn issued to this process.

    :param expires_in: seconds it lives.
    :param refresh_token: what LinkedIn sent for the next refresh, if anything.
    """

    value: str = field(repr=False)
    expires_in: float
    refresh_token: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> list[str]:
        """What the log must never show."""
        return [text for text in (self.value, self.refresh_token) if text]

    def is_good(self, age: float) -> bool:
        """Whether it can serve another call ``age`` seconds after it was minted."""
        return age < self.expires_in - min(_MARGIN_SECONDS, self.expires_in / 10)


@dataclass(frozen=True, slots=True)
class Grant:
    """A way to mint a token.

    :param beside: the connection's own token. Part of the cache key: replacing the connection's token
        discards the tokens minted before.
    :param key: equal for equal grants; tells nothing about them.
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
        """The same grant with the refresh token LinkedIn sent along last, should it have been a new one."""
        if self.credential is Credential.APPLICATION or not minted.refresh_token:
            return self
        return replace(self, form={**self.form, "refresh_token": minted.refresh_token})

    def call(self) -> Call[Minted]:
        """Ask for the token. The answer's ``expires_in`` may be text."""
        return oauth_call(
            _SUMMARY[self.credential], self.token_url, self.form, minted, _REFUSED[self.credential]
        )


def oauth_call(
    summary: str, url: str, form: Mapping[str, str], parse: Callable[[Response], T], hint: str = ""
) -> Call[T]:
    """A form for one of LinkedIn's OAuth addresses, which carries its credentials itself."""
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
    """Read an answer of the token endpoint."""
    body: Mapping[str, Any] = answer.json()
    token = body["access_token"]
    # What cannot stand in a header would be shown by the HTTP library's complaint about it.
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise ValueError("access_token")
    expires_in = body.get("expires_in")
    life = _DEFAULT_LIFE_SECONDS if expires_in in (None, "") else float(expires_in)
    return Minted(token, life, body.get("refresh_token"))


@dataclass(frozen=True, slots=True)
class Offer:
    """What a connection has for one family: a token as it stands, a way to mint one, or both."""

    token: Token | None
    grant: Grant | None


def offer(settings: ConnectionSettings, credential: Credential) -> Offer:
    """What the connection has for this family. With only an access token, that token serves every call.

    :raises SalesNavigatorCredentialError: it has nothing; says which fields to fill.
    """
    token = Token(settings.access_token) if settings.access_token else None
    grant = _grant(settings, credential)
    if credential is Credential.APPLICATION and grant:
        token = None
    if not token and not grant:
        raise SalesNavigatorCredentialError(f"This call needs {_MISSING[credential]}. Nothing was sent.")
    return Offer(token, grant)


def has_own(settings: ConnectionSettings, credential: Credential) -> bool:
    """Whether the connection has what this family wants, not just a token lent from the other."""
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
