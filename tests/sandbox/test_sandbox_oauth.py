"""The member's consent, the first token it gives, and what LinkedIn tells about a token."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.tokens import Scope

Call = Callable[..., requests.Response]

CONTRACTS = "/salesContracts?q=contractsByMember"
BOTH = "r_sales_nav_analytics r_sales_nav_display"
CALLBACK = "http://localhost:8401/callback"
WRONG_CODE = "does not match authorization code"


def asked(sandbox: Sandbox, **changes: str | None) -> dict[str, str]:
    request = {
        "response_type": "code",
        "client_id": sandbox.client_id,
        "redirect_uri": CALLBACK,
        "state": "s t&a<te",
        "scope": BOTH,
    }
    return {name: value for name, value in (request | changes).items() if value is not None}


def consent(sandbox: Sandbox, decision: str = "allow", **changes: str | None) -> dict[str, str]:
    """Press a button of the page; what the application is sent."""
    page = requests.get(sandbox.authorization_url, params=asked(sandbox, **changes), timeout=10)
    [action] = re.findall(r'action="([^"]+)"', page.text)
    answer = requests.post(
        sandbox.authorization_url.removesuffix("/oauth/v2/authorization") + action.replace("&amp;", "&"),
        data={"decision": decision},
        allow_redirects=False,
        timeout=10,
    )
    return sent_back(answer)


def sent_back(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 302
    where = urlsplit(answer.headers["location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == CALLBACK
    return {name: value for name, [value] in parse_qs(where.query).items()}


def exchange(sandbox: Sandbox, code: str, **changes: str) -> requests.Response:
    form = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "redirect_uri": CALLBACK}
    form |= {"grant_type": "authorization_code", "code": code}
    return requests.post(sandbox.token_url, data=form | changes, timeout=10)


def introspect(sandbox: Sandbox, of: str, **changes: str) -> requests.Response:
    form = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "token": of}
    return requests.post(sandbox.introspection_url, data=form | changes, timeout=10)


def test_a_member_who_allows_gives_a_code_for_a_token(call: Call, sandbox: Sandbox) -> None:
    allowed = consent(sandbox)
    assert allowed.keys() == {"code", "state"}
    assert allowed["state"] == "s t&a<te"
    granted = exchange(sandbox, allowed["code"]).json()
    assert granted["expires_in"] == 5_184_000
    assert granted["scope"] == "r_sales_nav_analytics,r_sales_nav_display"
    assert "refresh_token" not in granted
    assert call("GET", CONTRACTS, token=granted["access_token"]).status_code == 200


def test_a_member_who_denies_gives_the_reason_and_the_state(sandbox: Sandbox) -> None:
    denied = consent(sandbox, "deny")
    assert denied.keys() == {"error", "error_description", "state"}
    assert denied["error"] == "user_cancelled_authorize"


def test_a_refresh_token_comes_along_where_the_application_may_have_one(sandbox: Sandbox) -> None:
    sandbox.settings.issue_refresh_tokens = True
    granted = exchange(sandbox, consent(sandbox)["code"]).json()
    assert granted["refresh_token"] == sandbox.refresh_token


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "nobody"}, "client_id"),
        ({"redirect_uri": CALLBACK + "/"}, "redirect_uri does not match"),
        ({"redirect_uri": "http://127.0.0.1:8401/callback"}, "redirect_uri does not match"),
        *(({name: None}, name) for name in ("response_type", "client_id", "redirect_uri", "state", "scope")),
    ],
)
def test_a_request_nobody_can_trust_is_answered_in_the_browser(
    sandbox: Sandbox, changes: dict[str, str | None], words: str
) -> None:
    for send in (requests.get, requests.post):
        page = send(
            sandbox.authorization_url, params=asked(sandbox, **changes), allow_redirects=False, timeout=10
        )
        assert page.status_code == 400
        assert words in page.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": f"{BOTH} r_sales_nav_validation"}, "unauthorized_scope_error"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_a_request_for_what_the_application_may_not_have_is_sent_back(
    sandbox: Sandbox, changes: dict[str, str | None], error: str
) -> None:
    answer = requests.get(
        sandbox.authorization_url, params=asked(sandbox, **changes), allow_redirects=False, timeout=10
    )
    assert sent_back(answer)["error"] == error


def test_a_code_is_good_once_for_half_an_hour_and_for_its_own_address(sandbox: Sandbox) -> None:
    used = consent(sandbox)["code"]
    assert exchange(sandbox, used).status_code == 200
    late = consent(sandbox)["code"]
    sandbox.advance(timedelta(minutes=30))
    answers = [
        exchange(sandbox, used),
        exchange(sandbox, late),
        exchange(sandbox, consent(sandbox)["code"], redirect_uri="http://localhost:8402/callback"),
        exchange(sandbox, "never issued"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert WRONG_CODE in answer.json()["error_description"]


def test_a_wrong_client_secret_leaves_the_code_good(sandbox: Sandbox) -> None:
    code = consent(sandbox)["code"]
    assert exchange(sandbox, code, client_secret="wrong").status_code == 401
    assert exchange(sandbox, code).status_code == 200


def test_consent_to_other_scopes_revokes_the_earlier_member_tokens(call: Call, sandbox: Sandbox) -> None:
    exchange(sandbox, consent(sandbox)["code"])
    assert call("GET", CONTRACTS).status_code == 200
    granted = exchange(sandbox, consent(sandbox, scope="r_sales_nav_analytics")["code"]).json()
    assert call("GET", CONTRACTS).json()["serviceErrorCode"] == 65601
    assert call("GET", CONTRACTS, token=granted["access_token"]).status_code == 200


def test_introspection_tells_what_a_token_is(sandbox: Sandbox) -> None:
    told = introspect(sandbox, sandbox.access_token).json()
    assert (told["active"], told["status"], told["auth_type"]) == (True, "active", "3L")
    assert told["expires_at"] - told["created_at"] == 5_184_000
    assert told["scope"] == "r_sales_nav_analytics,r_sales_nav_display"
    application = introspect(sandbox, sandbox.issue_token(Scope.PROFILES)).json()
    assert application["auth_type"] == "2L"
    assert "scope" not in application
    sandbox.advance(timedelta(days=60))
    assert introspect(sandbox, sandbox.access_token).json()["status"] == "expired"
    sandbox.revoke_token(sandbox.access_token)
    revoked = introspect(sandbox, sandbox.access_token).json()
    assert (revoked["active"], revoked["status"]) == (False, "revoked")


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"client_id": "nobody"}, 400), ({"token": "nothing"}, 400), ({"client_secret": "wrong"}, 401)],
)
def test_introspection_refuses_with_the_documented_status(
    sandbox: Sandbox, changes: dict[str, Any], status: int
) -> None:
    assert introspect(sandbox, sandbox.access_token, **changes).status_code == status


def test_a_reset_forgets_codes_and_consent(sandbox: Sandbox) -> None:
    code = consent(sandbox, scope="r_sales_nav_analytics")["code"]
    sandbox.reset()
    assert exchange(sandbox, code).status_code == 400
    exchange(sandbox, consent(sandbox)["code"])
    assert introspect(sandbox, sandbox.access_token).json()["active"]
