"""``login``: LinkedIn's authorization code flow, from the browser to a connection."""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import json
import os
import secrets
import shlex
import sys
import webbrowser
from dataclasses import dataclass
from typing import Any, TextIO
from urllib.parse import SplitResult, parse_qs, urlsplit

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.credentials import Minted
from airflow_provider_snav.api.errors import SalesNavigatorAuthenticationError, SalesNavigatorError
from airflow_provider_snav.api.oauth import (
    MEMBER_SCOPES,
    TokenStatus,
    authorization_url,
    exchange_code,
)
from airflow_provider_snav.cli.callback import LOOPBACK, belongs_to, listening
from airflow_provider_snav.cli.connections import check_savable, hide, read_fields, save_fields
from airflow_provider_snav.cli.main import SUCCEEDED, UsageError, say
from airflow_provider_snav.cli.tables import print_json
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

_LONGEST_WAIT_SECONDS = 24 * 3600
_WHOLE_ADDRESS = "Use the whole address at which the browser ended."


class LoginError(SalesNavigatorError):
    """The login did not give a token."""

    section = "authentication"


@dataclass(frozen=True, slots=True)
class _Application:
    """The OAuth application that requests the consent."""

    client_id: str
    client_secret: str


def run(options: argparse.Namespace, results: TextIO) -> int:
    """Wait for the member's consent, exchange the code, and print or save the connection."""
    _check(options)
    if options.save:
        # Check this before the consent, because a token that cannot be saved would be lost.
        check_savable(options.save)
    begin_with = options.conn_id or options.save or SalesNavigatorHook.default_conn_name
    fields = read_fields(begin_with)
    application = _application(options, fields)
    hook = SalesNavigatorHook(begin_with)
    hook.settings = ConnectionSettings.of_connection(
        fields.get("host"),
        application.client_id,
        None,
        fields["extra"]
        | {"client_secret": application.client_secret, "refresh_token": None, "expires_at": None},
        port=fields.get("port"),
        schema=fields.get("schema"),
    )
    code = _consent(options, application.client_id, hook.settings)
    minted = _exchange(hook, application, options.redirect_uri, code)
    expires_at = now() + dt.timedelta(seconds=minted.expires_in)
    fields = _with_token(fields, application, minted, expires_at)
    ends = TokenStatus(expires_at=expires_at).sentence(now())
    if options.save:
        save_fields(options.save, fields)
        say(f"The connection {options.save!r} has a new member token. {ends}")
        if options.json:
            print_json(results, {"conn_id": options.save, "expires_at": fields["extra"]["expires_at"]})
    elif options.json:
        print_json(results, fields)
    else:
        say(f"This is the connection with its new member token. {ends} It contains secrets. Keep it private.")
        results.write(f"export AIRFLOW_CONN_{begin_with.upper()}={shlex.quote(json.dumps(fields))}\n")
    return SUCCEEDED


def _check(options: argparse.Namespace) -> None:
    if not 0 < options.timeout < _LONGEST_WAIT_SECONDS:
        raise UsageError(f"--timeout {options.timeout:g} is not a number of seconds above 0, a day at most.")
    where = _address(options.redirect_uri)
    if where is None or where.scheme not in ("http", "https") or not where.hostname or where.fragment:
        raise UsageError(
            f"--redirect-uri {options.redirect_uri!r} is not an absolute http or https address without #."
        )
    if not options.paste and (where.scheme, where.hostname) not in [("http", name) for name in LOOPBACK]:
        raise UsageError(
            f"This command cannot listen at {options.redirect_uri}; it can at http://localhost. Add --paste,"
            " and paste the address at which the browser ends."
        )


def _address(text: str) -> SplitResult | None:
    """Return the parts of an address; None if the text is not an address."""
    try:
        where = urlsplit(text)
        where.port  # noqa: B018  # raises if it is not a port
    except ValueError:
        return None
    return where


def _application(options: argparse.Namespace, fields: dict[str, Any]) -> _Application:
    client_id = options.client_id or fields.get("login") or os.environ.get("SNAV_CLIENT_ID")
    client_id = client_id or _ask("Client id of your LinkedIn application: ")
    of_connection = fields["extra"].get("client_secret") if client_id == fields.get("login") else None
    client_secret = os.environ.get("SNAV_CLIENT_SECRET") or of_connection
    client_secret = client_secret or _ask("Client secret (not shown): ", secret=True)
    hide(client_secret)
    return _Application(client_id, client_secret)


def _ask(question: str, *, secret: bool = False) -> str:
    """Read one line from the terminal, or from standard input without a terminal."""
    try:
        if sys.stdin.isatty():
            answer = getpass.getpass(question) if secret else _read(question)
        else:
            answer = sys.stdin.readline()
    except EOFError:
        answer = ""
    if not answer.strip():
        raise UsageError(f"Nothing was given for: {question.rstrip(': ')}.")
    return answer.strip()


def _read(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline()


def _consent(options: argparse.Namespace, client_id: str, settings: ConnectionSettings) -> str:
    """Return the authorization code after the member's consent."""
    state = secrets.token_urlsafe(32)
    page = settings.authorization_url or ConnectionSettings().authorization_url
    assert page  # the default token_url has one
    address = authorization_url(page, client_id, options.redirect_uri, options.scope or MEMBER_SCOPES, state)
    if options.paste:
        say(f"Open this address in a browser, as the member whose reports you export:\n\n  {address}\n")
        pasted = _ask("The address at which the browser ended (not shown): ", secret=True)
        where = _address(pasted)
        return _code(where.query if where else "", state)
    with listening(options.redirect_uri, state) as wait:
        say(f"Allow the access in the browser. If none opens, open this address:\n\n  {address}\n")
        if not options.no_browser:
            webbrowser.open(address)
        query = wait(options.timeout)
    if query is None:
        raise LoginError(
            f"No answer came to {options.redirect_uri} within {options.timeout:g} seconds. Check that the"
            " browser runs on this machine and that LinkedIn showed no error, or use --paste."
        )
    return _code(query, state)


def _code(query: str, state: str) -> str:
    answer = {name: values[0] for name, values in parse_qs(query).items()}
    if not answer:
        raise LoginError(f"This is not an address with LinkedIn's answer. {_WHOLE_ADDRESS}")
    if not belongs_to(query, state):
        raise LoginError(
            "The `state` in the answer is not the one this login sent. Nothing was exchanged. Run login again"
            " and use the address it prints."
        )
    if answer.get("error") == "unauthorized_scope_error":
        raise LoginError(
            f"LinkedIn does not allow these scopes for this application: {_words(answer)}. Choose its scopes"
            " with --scope; the developer portal lists them."
        )
    if "error" in answer:
        raise LoginError(f"The access was not allowed ({answer['error']}: {_words(answer)}).")
    if not answer.get("code"):
        raise LoginError(f"The answer holds no code. {_WHOLE_ADDRESS}")
    return answer["code"]


def _words(answer: dict[str, str]) -> str:
    return answer.get("error_description", "no reason was given").rstrip(".")


def _exchange(hook: SalesNavigatorHook, application: _Application, redirect_uri: str, code: str) -> Minted:
    hide(code)
    call = exchange_code(
        hook.settings.token_url, application.client_id, application.client_secret, redirect_uri, code
    )
    try:
        with hook:
            minted = hook.run(call)
    except SalesNavigatorAuthenticationError as error:
        if error.status_code == 401:
            raise error.because(
                "LinkedIn does not accept the client secret, or does not know the client id. Compare both"
                " with the tab Auth of your application in the developer portal."
            ) from None
        raise error.because(
            "LinkedIn does not accept the code. A code works once, within 30 minutes, and with the same"
            " redirect address. Run login again."
        ) from None
    hide(*minted.secrets)
    return minted


def _with_token(
    fields: dict[str, Any], application: _Application, minted: Minted, expires_at: dt.datetime
) -> dict[str, Any]:
    """Return the connection's fields with the new token. All other fields stay."""
    # An old refresh token belongs to the earlier consent.
    kept = {name: value for name, value in fields["extra"].items() if name != "refresh_token"}
    extra = {
        **kept,
        "client_secret": application.client_secret,
        "expires_at": expires_at.isoformat(timespec="seconds"),
        **({"refresh_token": minted.refresh_token} if minted.refresh_token else {}),
    }
    return {**fields, "login": application.client_id, "password": minted.value, "extra": extra}
