"""Who is let in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.tokens import Scope

Call = Callable[..., requests.Response]

CONTRACTS = "/salesContracts?q=contractsByMember"
SALES_TOKENS = "/salesAccessTokens?q=viewerAndDeveloperApp"
ASSOCIATION = "/salesNavigatorProfileAssociations/(instanceId:a,partner:b,recordId:c)"
CRM_STATUS = (
    "/crmDataValidationExportJobs/1?crmInstanceId="
    "urn%3Ali%3AcrmInstance%3A%28DYNAMICS%2C362a3584-0d9b-44a1-a547-25de5cd95d08%29"
)


def test_a_call_without_a_token_is_refused(call: Call) -> None:
    answer = call("GET", CONTRACTS, token=None)
    assert answer.status_code == 401
    assert answer.json() == {"message": "Empty oauth2_access_token", "serviceErrorCode": 401, "status": 401}


@pytest.mark.parametrize(
    "authorization", ["Bearer nobody", "Bearer ", "Basic {token}", "{token}", "bearer {token}"]
)
def test_an_authorization_that_is_no_known_bearer_token_is_refused(
    call: Call, sandbox: Sandbox, authorization: str
) -> None:
    headers = {"Authorization": authorization.format(token=sandbox.access_token)}
    answer = call("GET", CONTRACTS, headers=headers)
    assert (answer.status_code, answer.json()["serviceErrorCode"]) == (401, 65600)


def test_a_revoked_token_is_refused(call: Call, sandbox: Sandbox) -> None:
    sandbox.revoke_token(sandbox.access_token)
    assert call("GET", CONTRACTS).json()["serviceErrorCode"] == 65601


def test_an_expired_token_is_refused(call: Call, sandbox: Sandbox) -> None:
    sandbox.advance(timedelta(days=60))
    assert call("GET", CONTRACTS).json()["serviceErrorCode"] == 65602


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        (CONTRACTS, Scope.ANALYTICS),
        ("/salesAnalyticsExportJobs/1?contract=urn%3Ali%3Acontract%3A123456", Scope.ANALYTICS),
        (SALES_TOKENS, Scope.DISPLAY),
        (CRM_STATUS, Scope.VALIDATION),
        (ASSOCIATION, Scope.PROFILES),
    ],
)
def test_each_call_wants_its_own_scope(call: Call, sandbox: Sandbox, path: str, scope: Scope) -> None:
    others = sandbox.issue_token(*(other for other in Scope if other is not scope))
    refused = call("GET", path, token=others)
    assert (refused.status_code, refused.json()["serviceErrorCode"]) == (403, 100)
    assert refused.json()["message"].startswith("Not enough permissions to access: GET ")
    assert call("GET", path, token=sandbox.issue_token(scope)).status_code in (200, 404)


def test_one_token_can_be_made_to_serve_everything(call: Call, sandbox: Sandbox) -> None:
    assert call("GET", ASSOCIATION).status_code == 403
    sandbox.settings.enforce_scopes = False
    assert [call("GET", path).status_code for path in (CONTRACTS, SALES_TOKENS, ASSOCIATION)] == [200] * 3


def _exchange(sandbox: Sandbox, **form: str) -> requests.Response:
    credentials = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
    return requests.post(sandbox.token_url, data=credentials | form, timeout=10)


def test_client_credentials_mint_an_application_token_for_half_an_hour(call: Call, sandbox: Sandbox) -> None:
    granted = _exchange(sandbox, grant_type="client_credentials").json()
    assert granted["expires_in"] == "1800", "the document's sample has a string"
    assert call("GET", ASSOCIATION, token=granted["access_token"]).status_code == 200
    assert call("GET", CONTRACTS, token=granted["access_token"]).status_code == 403
    sandbox.advance(timedelta(minutes=30))
    assert call("GET", ASSOCIATION, token=granted["access_token"]).json()["serviceErrorCode"] == 65602


def test_a_refresh_token_renews_the_member_token_and_stays_the_same(call: Call, sandbox: Sandbox) -> None:
    granted = _exchange(sandbox, grant_type="refresh_token", refresh_token=sandbox.refresh_token).json()
    assert granted["expires_in"] == 5_184_000
    assert granted["refresh_token"] == sandbox.refresh_token
    assert call("GET", CONTRACTS, token=granted["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "client_credentials", "client_secret": "wrong"}, 401, "invalid_client_id"),
        ({"grant_type": "client_credentials", "client_id": "wrong"}, 401, "invalid_client_id"),
        ({"grant_type": "client_credentials", "client_id": ""}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "dead"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({}, 400, "invalid_request"),
    ],
)
def test_the_token_endpoint_refuses_as_oauth_does(
    sandbox: Sandbox, form: dict[str, str], status: int, error: str
) -> None:
    answer = _exchange(sandbox, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_the_token_endpoint_takes_forms_only(sandbox: Sandbox) -> None:
    form: dict[str, Any] = {"grant_type": "client_credentials"}
    assert requests.post(sandbox.token_url, json=form, timeout=10).status_code == 400
    assert requests.get(sandbox.token_url, timeout=10).status_code == 405
