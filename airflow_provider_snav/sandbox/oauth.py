"""LinkedIn's OAuth pages: consent, tokens, introspection.

Documents, all below LinkedIn's shared/authentication: authorization-code-flow, client-credentials-flow,
programmatic-refresh-tokens, token-introspection.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_provider_snav.sandbox.clock import MILLISECOND, Clock
from airflow_provider_snav.sandbox.restli import ReceivedRequest
from airflow_provider_snav.sandbox.settings import SandboxSettings
from airflow_provider_snav.sandbox.tokens import (
    APPLICATION_SCOPES,
    MEMBER_SCOPES,
    Scope,
    TokenStore,
    opaque,
)

AUTHORIZATION_PATH = "/oauth/v2/authorization"
_SECOND = timedelta(seconds=1)
_CODE_TTL = timedelta(minutes=30)
_REFRESH_TOKEN_TTL = timedelta(days=365)
# LinkedIn has one message for every error of a code.
_WRONG_CODE = (
    "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code."
    " Or authorization code expired. Or external member binding exists"
)
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sales Navigator sandbox</title></head>
<body style="font-family: sans-serif; max-width: 32em; margin: 4em auto">{body}</body></html>
"""


class OAuthError(Exception):
    """An error that is answered with OAuth's error body, not Rest.li's."""

    def __init__(self, status: HTTPStatus, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error

    def answer(self) -> Response:
        return JSONResponse({"error": self.error, "error_description": str(self)}, self.status)


class ConsentError(Exception):
    """An error that is shown in the browser, which is not redirected to the application."""

    def answer(self) -> Response:
        body = f"<h1>This request cannot be answered</h1><p>{escape(str(self))}</p>"
        return HTMLResponse(_PAGE.format(body=body), HTTPStatus.BAD_REQUEST)


@dataclass(frozen=True, slots=True)
class _Consent:
    """One authorization request: the redirect address, the state and the requested scopes."""

    redirect_uri: str
    state: str
    scopes: frozenset[Scope]

    def sent_back(self, **parameters: str) -> Response:
        """A redirect to the application, with the answer in the query."""
        mark = "&" if "?" in self.redirect_uri else "?"
        where = f"{self.redirect_uri}{mark}{urlencode({**parameters, 'state': self.state})}"
        return Response(status_code=HTTPStatus.FOUND, headers={"Location": where})


@dataclass(frozen=True, slots=True)
class _Code:
    consent: _Consent
    expires_at: int


class OAuth:
    """The OAuth endpoints of a sandbox and its one application. Thread-safe."""

    def __init__(self, settings: SandboxSettings, clock: Clock, tokens: TokenStore) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = tokens
        self._lock = threading.Lock()
        self._codes: dict[str, _Code] = {}
        self._consented = MEMBER_SCOPES

    def restore(self) -> None:
        """Delete all codes. The member has consented to all member scopes again."""
        with self._lock:
            self._codes.clear()
            self._consented = MEMBER_SCOPES

    def ask(self, call: ReceivedRequest) -> Response:
        """``GET /oauth/v2/authorization``: the page on which the member allows or denies.

        :raises ConsentError: the application or the redirect address is not registered, or a parameter is
            missing.
        """
        consent = self._consent(call)
        if isinstance(consent, Response):
            return consent
        scopes = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in sorted(consent.scopes))
        buttons = "".join(
            f'<button name="decision" value="{name.lower()}">{name}</button> ' for name in ("Allow", "Deny")
        )
        body = (
            f"<h1>Sales Navigator sandbox</h1><p>The application {escape(self._tokens.client.client_id)} asks"
            f" for:</p><ul>{scopes}</ul>"
            f'<form method="post" action="{AUTHORIZATION_PATH}?{escape(call.query)}">{buttons}</form>'
        )
        return HTMLResponse(_PAGE.format(body=body))

    def decide(self, call: ReceivedRequest) -> Response:
        """``POST /oauth/v2/authorization``: a button of that page. LinkedIn documents no such request."""
        consent = self._consent(call)
        if isinstance(consent, Response):
            return consent
        if _form(call).get("decision") != "allow":
            return consent.sent_back(
                error="user_cancelled_authorize", error_description="The user cancelled the authorization"
            )
        code = opaque()
        with self._lock:
            self._codes[code] = _Code(consent, self._clock.now() + _CODE_TTL // MILLISECOND)
        return consent.sent_back(code=code)

    def exchange(self, call: ReceivedRequest) -> Response:
        """``POST /oauth/v2/accessToken``.

        :raises OAuthError: a parameter, the client or the code is wrong; with the documented status and
            error.
        """
        form = _form(call)
        self._check_client(form)
        match form.get("grant_type"):
            case "client_credentials":
                return JSONResponse(self._application_token())
            case "refresh_token":
                return JSONResponse(self._refreshed_token(form))
            case "authorization_code":
                return JSONResponse(self._first_token(form))
        raise _invalid_request("The grant_type is missing or not supported")

    def introspect(self, call: ReceivedRequest) -> Response:
        """``POST /oauth/v2/introspectToken``.

        :raises OAuthError: 400 for an unknown client id or token, 401 for a wrong secret. LinkedIn documents
            these statuses, but not the body.
        """
        form, client = _form(call), self._tokens.client
        if form.get("client_id") != client.client_id:
            raise _invalid_request("Invalid client id")
        if form.get("client_secret") != client.client_secret:
            raise OAuthError(HTTPStatus.UNAUTHORIZED, "invalid_client", "Invalid client secret")
        grant = self._tokens.find(form.get("token", ""))
        if not grant:
            raise _invalid_request("Invalid token")
        status = grant.status(self._clock.now())
        scope = {"scope": ",".join(sorted(grant.scopes))} if grant.is_member else {}
        return JSONResponse(
            {
                "active": status == "active",
                "client_id": client.client_id,
                "authorized_at": grant.issued_at // 1000,
                "created_at": grant.issued_at // 1000,
                "status": status,
                "expires_at": grant.expires_at // 1000,
                **scope,
                "auth_type": "3L" if grant.is_member else "2L",
            }
        )

    def _consent(self, call: ReceivedRequest) -> _Consent | Response:
        """The request; or the redirect with an error, if the application gets one without the page."""
        pairs = parse_qsl(call.query, keep_blank_values=True)
        asked = dict(pairs)
        for name in ("response_type", "client_id", "redirect_uri", "state", "scope"):
            if [name for name, _ in pairs].count(name) != 1 or not asked[name]:
                raise ConsentError(f"You need to pass the parameter {name!r} once.")
        if asked["client_id"] != self._tokens.client.client_id:
            raise ConsentError("The client_id is not that of an application.")
        if asked["redirect_uri"] not in self._settings.redirect_uris:
            raise ConsentError("The redirect_uri does not match the registered value.")
        scopes = asked["scope"].split(" ")
        known = frozenset(Scope(scope) for scope in scopes if scope in MEMBER_SCOPES)
        consent = _Consent(asked["redirect_uri"], asked["state"], known)
        if asked["response_type"] != "code":
            return consent.sent_back(
                error="unsupported_response_type", error_description="response_type must be code"
            )
        if others := [scope for scope in scopes if scope not in known]:
            return consent.sent_back(
                error="unauthorized_scope_error",
                error_description=f'Scope "{others[0]}" is not authorized for your application',
            )
        return consent

    def _check_client(self, form: Mapping[str, str]) -> None:
        client = self._tokens.client
        for name in ("client_id", "client_secret"):
            if name not in form:
                raise _invalid_request(f'A required parameter "{name}" is missing')
        if (form["client_id"], form["client_secret"]) != (client.client_id, client.client_secret):
            raise OAuthError(HTTPStatus.UNAUTHORIZED, "invalid_client_id", "Client authentication failed")

    def _application_token(self) -> dict[str, object]:
        ttl = self._settings.application_token_ttl
        # Only the sample of client-credentials-flow shows the lifetime of a token as text.
        token = self._tokens.issue(APPLICATION_SCOPES, ttl)
        return {"access_token": token, "expires_in": str(ttl // _SECOND)}

    def _refreshed_token(self, form: Mapping[str, str]) -> dict[str, object]:
        if form.get("refresh_token") != self._tokens.client.refresh_token:
            raise _invalid_request(
                "The provided authorization grant or refresh token is invalid, expired or revoked"
            )
        return self._member_token(refresh_token=True)

    def _first_token(self, form: Mapping[str, str]) -> dict[str, object]:
        for name in ("code", "redirect_uri"):
            if not form.get(name):
                raise _invalid_request(f'A required parameter "{name}" is missing')
        with self._lock:
            code = self._codes.pop(form["code"], None)
            if (
                not code
                or code.consent.redirect_uri != form["redirect_uri"]
                or code.expires_at <= self._clock.now()
            ):
                raise _invalid_request(_WRONG_CODE)
            if code.consent.scopes != self._consented:
                self._tokens.revoke_members()
            self._consented = code.consent.scopes
        return self._member_token(refresh_token=self._settings.issue_refresh_tokens)

    def _member_token(self, *, refresh_token: bool) -> dict[str, object]:
        ttl = self._settings.member_token_ttl
        refresh = {
            "refresh_token": self._tokens.client.refresh_token,
            "refresh_token_expires_in": _REFRESH_TOKEN_TTL // _SECOND,
        }
        return {
            "access_token": self._tokens.issue(self._consented, ttl),
            "expires_in": ttl // _SECOND,
            **(refresh if refresh_token else {}),
            "scope": ",".join(sorted(self._consented)),
        }


def _form(call: ReceivedRequest) -> dict[str, str]:
    if call.content_type() != "application/x-www-form-urlencoded":
        raise _invalid_request("Content-Type must be application/x-www-form-urlencoded")
    return dict(parse_qsl(call.body.decode("latin-1")))


def _invalid_request(description: str) -> OAuthError:
    return OAuthError(HTTPStatus.BAD_REQUEST, "invalid_request", description)
