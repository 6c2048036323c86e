"""Which token a connection has for which call, and how the missing one is minted."""

from __future__ import annotations

import re
from itertools import product
from urllib.parse import parse_qs

import pytest
from api_script import answer, play
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.credentials import Grant, Minted, offer
from airflow_provider_snav.api.errors import SalesNavigatorAuthenticationError, SalesNavigatorCredentialError
from airflow_provider_snav.api.exchange import RetryPolicy, exchange
from airflow_provider_snav.api.messages import Credential, Token

FIELDS = {
    "access_token": "the-access-token",
    "client_id": "the-client-id",
    "client_secret": "the+client/secret",
    "refresh_token": "the-refresh-token",
}
COMBINATIONS = [
    dict(zip(FIELDS, values, strict=True))
    for values in product(*[(None, value) for value in FIELDS.values()])
]


def _name(fields: dict[str, str | None]) -> str:
    return "+".join(name for name, value in fields.items() if value) or "nothing"


@pytest.mark.parametrize("fields", COMBINATIONS, ids=_name)
@pytest.mark.parametrize("credential", Credential)
def test_each_combination_of_fields_offers_what_it_can(
    fields: dict[str, str | None], credential: Credential
) -> None:
    settings = ConnectionSettings(**fields)  # type: ignore[arg-type]
    token = fields["access_token"]
    client = bool(fields["client_id"] and fields["client_secret"])
    if credential is Credential.APPLICATION:
        # Client id and secret make the right token; a member token would only be refused.
        mints, expected = client, None if client else token
    else:
        mints, expected = client and bool(fields["refresh_token"]), token
    if not mints and not expected:
        with pytest.raises(SalesNavigatorCredentialError, match="Nothing was sent"):
            offer(settings, credential)
        return
    made = offer(settings, credential)
    assert made.token == (Token(expected) if expected else None)
    assert bool(made.grant) is mints


@pytest.mark.parametrize(
    ("credential", "message"),
    [
        (
            Credential.MEMBER,
            (
                "This call needs a member token, and the connection has none. Give it a member access token"
                " as its password, or refresh_token, login (OAuth client id) and client_secret. Nothing was"
                " sent."
            ),
        ),
        (
            Credential.APPLICATION,
            (
                "This call needs an application token, and the connection has none. Give it login (OAuth"
                " client id) and client_secret. Nothing was sent."
            ),
        ),
    ],
)
def test_a_missing_credential_names_the_fields_to_fill(credential: Credential, message: str) -> None:
    with pytest.raises(SalesNavigatorCredentialError, match=f"^{re.escape(message)}$"):
        offer(ConnectionSettings(), credential)


def test_the_forms_are_those_of_linkedins_oauth_pages() -> None:
    settings = ConnectionSettings(**FIELDS, token_url="https://www.linkedin.com/oauth/v2/accessToken")  # type: ignore[arg-type]
    forms = {}
    for credential in Credential:
        grant = offer(settings, credential).grant
        assert grant
        call = grant.call()
        assert (call.method, call.target) == ("POST", "https://www.linkedin.com/oauth/v2/accessToken")
        assert call.credential is None
        assert isinstance(call.body, bytes)
        forms[credential] = {name: value for name, (value,) in parse_qs(call.body.decode()).items()}
    client = {"client_id": "the-client-id", "client_secret": "the+client/secret"}
    assert forms == {
        Credential.MEMBER: {"grant_type": "refresh_token", "refresh_token": "the-refresh-token", **client},
        Credential.APPLICATION: {"grant_type": "client_credentials", **client},
    }


def mint(body: object, status: int = 200, credential: Credential = Credential.APPLICATION) -> object:
    grant = offer(ConnectionSettings(**FIELDS), credential).grant  # type: ignore[arg-type]
    assert grant
    played = play(
        exchange(grant.call(), "https://unused", RetryPolicy(tries=1), lambda: 0.5), [answer(status, body)]
    )
    return played.error or played.result


@pytest.mark.parametrize(
    ("body", "minted"),
    [
        ({"access_token": "AQ", "expires_in": "1800"}, Minted("AQ", 1800)),
        ({"access_token": "AQ", "expires_in": 5184000}, Minted("AQ", 5184000)),
        ({"access_token": "AQ"}, Minted("AQ", 1800)),
        ({"access_token": "AQ", "expires_in": None}, Minted("AQ", 1800)),
        ({"access_token": "AQ", "expires_in": 0}, Minted("AQ", 0)),
        ({"access_token": "AQ", "expires_in": "0"}, Minted("AQ", 0)),
        (
            {
                "access_token": "AQ",
                "expires_in": 86400,
                "refresh_token": "RT",
                "refresh_token_expires_in": 439200,
                "scope": "r_sales_nav_analytics",
            },
            Minted("AQ", 86400, "RT"),
        ),
    ],
)
def test_a_minted_token_is_read_with_its_life_as_number_or_text(body: object, minted: Minted) -> None:
    assert mint(body) == minted


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"access_token": ""},
        {"access_token": None},
        {"access_token": 7},
        {"access_token": "A Q"},
        {"access_token": "AQ\n"},
        {"access_token": "AQ", "expires_in": "soon"},
        [],
    ],
    ids=repr,
)
def test_an_answer_without_a_token_is_unreadable(body: object) -> None:
    assert "cannot be read" in str(mint(body))


@pytest.mark.parametrize(
    ("credential", "status", "body", "advice"),
    [
        (
            Credential.MEMBER,
            400,
            {
                "error": "invalid_request",
                "error_description": "The provided authorization grant or refresh token is invalid, expired"
                " or revoked",
            },
            "The member must consent again",
        ),
        (
            Credential.APPLICATION,
            401,
            {"error": "invalid_client_id", "error_description": "Client authentication failed"},
            r"Check login \(OAuth client id\) and client_secret",
        ),
        (
            Credential.APPLICATION,
            401,
            {
                "error": "access_denied",
                "error_description": "This application is not allowed to create application tokens",
            },
            "allows the application to create application tokens",
        ),
    ],
)
def test_a_refused_grant_says_what_a_human_has_to_do(
    credential: Credential, status: int, body: dict[str, str], advice: str
) -> None:
    error = mint(body, status, credential)
    assert isinstance(error, SalesNavigatorAuthenticationError)
    assert not error.retryable
    assert body["error_description"] in str(error)
    assert re.search(advice, str(error))


@pytest.mark.parametrize(
    ("expires_in", "last_good_age"),
    [(1800, 1740), (600, 540), (5184000, 5183940), (100, 90), (10, 9)],
)
def test_a_token_is_used_until_a_minute_or_a_tenth_of_its_life_before_its_end(
    expires_in: float, last_good_age: float
) -> None:
    token = Minted("AQ", expires_in)
    assert token.is_good(0)
    assert token.is_good(last_good_age - 0.01)
    assert not token.is_good(last_good_age)


@given(expires_in=st.floats(-10, 10**8), age=st.floats(0, 10**8))
def test_a_token_past_its_end_is_never_good(expires_in: float, age: float) -> None:
    if age >= expires_in:
        assert not Minted("AQ", expires_in).is_good(age)


def _key(settings: ConnectionSettings, credential: Credential = Credential.APPLICATION) -> str:
    grant = offer(settings, credential).grant
    assert grant
    return grant.key


def test_the_key_of_a_grant_is_stable_and_tells_nothing() -> None:
    settings = ConnectionSettings(**FIELDS)  # type: ignore[arg-type]
    assert _key(settings) == _key(ConnectionSettings(**FIELDS))  # type: ignore[arg-type]
    assert re.fullmatch("[0-9a-f]{64}", _key(settings))
    form = {"a": "1", "b": "2"}
    assert (
        Grant(Credential.MEMBER, "https://t", form).key
        == Grant(Credential.MEMBER, "https://t", dict(reversed(form.items()))).key
    )


@pytest.mark.parametrize("changed", ["client_id", "client_secret", "refresh_token", "token_url"])
def test_another_connection_has_another_key(changed: str) -> None:
    """Two connections must never serve each other's tokens."""
    ours, theirs = ConnectionSettings(**FIELDS), ConnectionSettings(**{**FIELDS, changed: "https://other"})  # type: ignore[arg-type]
    assert _key(ours, Credential.MEMBER) != _key(theirs, Credential.MEMBER)
    assert _key(ours, Credential.MEMBER) != _key(ours, Credential.APPLICATION)


def test_nothing_here_shows_a_secret() -> None:
    settings = ConnectionSettings(**FIELDS)  # type: ignore[arg-type]
    minted = Minted("the-minted-token", 1800, "the-next-refresh-token")
    offers = [offer(settings, credential) for credential in Credential]
    shown = f"{settings} {minted} {offers} {[made.grant and made.grant.call() for made in offers]}"
    held = [FIELDS[name] for name in ("access_token", "client_secret", "refresh_token")]
    for secret in (*held, *minted.secrets):
        assert secret not in shown
    assert minted.secrets == ["the-minted-token", "the-next-refresh-token"]
    assert Minted("AQ", 1).secrets == ["AQ"]
