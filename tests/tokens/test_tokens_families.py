"""Both token families on one connection, sales access tokens, and the test button, against the sandbox."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.api.messages import Credential
from airflow_provider_snav.api.models import ExportJob
from airflow_provider_snav.hooks import sales_navigator
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.sandbox.faults import CallKind, http_error
from airflow_provider_snav.sandbox.server import Sandbox

CONTRACT = "urn:li:contract:123456"
CRM = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
KEY = {"instance_id": "instance.crm.dynamics.com", "partner": "MS", "record_id": "1"}
END = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = END - dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(SalesNavigatorHook, "retry_policy", RetryPolicy(tries=2, first=0.001))
    forget_tokens()
    yield
    forget_tokens()


def read(hook: SalesNavigatorHook, job: ExportJob, credential: Credential) -> bytes:
    assert job.download_url
    with hook.download(job.download_url, credential) as download:
        return b"".join(download)


def every_call(hook: SalesNavigatorHook) -> None:
    """Each call of the API once, both downloads included."""
    hook.list_contracts()
    analytics = hook.create_analytics_export("activity", CONTRACT, START, END).job_id
    read(hook, hook.get_analytics_export(analytics, CONTRACT), Credential.MEMBER)
    crm = hook.create_crm_validation_export(CRM, START).job_id
    read(hook, hook.get_crm_validation_export(crm, CRM), Credential.APPLICATION)
    hook.get_sales_access_token()
    hook.get_profile_association(**KEY)
    hook.batch_get_profile_associations([KEY])


APPLICATION_PATHS = ("/v2/crmDataValidationExportJobs", "/v2/salesNavigatorProfileAssociations")


def tokens_by_family(sandbox: Sandbox) -> dict[str, set[str]]:
    """The tokens that were sent: for a member's calls, for an application's, and for downloads in order."""
    found: dict[str, set[str]] = {"member": set(), "application": set()}
    for request in sandbox.requests:
        if request.kind is CallKind.TOKEN:
            assert "authorization" not in request.headers
            continue
        family = "application" if request.path.startswith(APPLICATION_PATHS) else "member"
        if request.kind is not CallKind.DOWNLOAD:
            found[family].update(request.headers["authorization"])
    return found


def downloads(sandbox: Sandbox) -> list[str]:
    return [each.headers["authorization"][0] for each in sandbox.requests if each.kind is CallKind.DOWNLOAD]


def test_each_call_sends_the_token_of_its_own_family(snav_sandbox: Sandbox) -> None:
    snav_sandbox.script_statuses("COMPLETED", jobs=2)
    with SalesNavigatorHook() as hook:
        every_call(hook)
    sent = tokens_by_family(snav_sandbox)
    assert sent["member"] == {f"Bearer {snav_sandbox.access_token}"}
    [minted] = sent["application"]
    assert minted != f"Bearer {snav_sandbox.access_token}"
    assert downloads(snav_sandbox) == [f"Bearer {snav_sandbox.access_token}", minted]
    [mint] = [request for request in snav_sandbox.requests if request.kind is CallKind.TOKEN]
    assert parse_qs(mint.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": [snav_sandbox.client_id],
        "client_secret": [snav_sandbox.client_secret],
    }
    assert {request.status for request in snav_sandbox.requests} == {200, 201}


def test_with_nothing_but_an_access_token_that_token_serves_every_call(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", snav_sandbox.connection_json(client_credentials=False))
    snav_sandbox.settings.enforce_scopes = False
    snav_sandbox.script_statuses("COMPLETED", jobs=2)
    with SalesNavigatorHook() as hook:
        every_call(hook)
    only = f"Bearer {snav_sandbox.access_token}"
    assert tokens_by_family(snav_sandbox) == {"member": {only}, "application": {only}}
    assert downloads(snav_sandbox) == [only, only]
    assert CallKind.TOKEN not in {request.kind for request in snav_sandbox.requests}


def test_with_a_refresh_token_and_no_access_token_both_families_are_minted(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = snav_sandbox.connection_json(access_token=False, refresh_token=True)
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", connection)
    snav_sandbox.script_statuses("COMPLETED", jobs=2)
    with SalesNavigatorHook() as hook:
        every_call(hook)
    sent = tokens_by_family(snav_sandbox)
    assert [len(tokens) for tokens in sent.values()] == [1, 1]
    assert sent["member"].isdisjoint(sent["application"])
    mints = [parse_qs(each.body.decode()) for each in snav_sandbox.requests if each.kind is CallKind.TOKEN]
    assert [mint["grant_type"] for mint in mints] == [["refresh_token"], ["client_credentials"]]


def test_a_sales_access_token_expires_in_seconds_is_masked_and_never_shown(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(sales_navigator, "mask_secret", masked.append)
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    with SalesNavigatorHook() as hook:
        token = hook.get_sales_access_token()
    after = dt.datetime.now(dt.UTC)
    half_an_hour = dt.timedelta(minutes=30)
    assert before + half_an_hour <= token.expiry_time <= after + half_an_hour
    assert len(token.token) > 400
    assert token.token in masked
    assert token.token not in f"{token!r} {token}"
    [request] = snav_sandbox.requests
    assert (request.path, request.query) == ("/v2/salesAccessTokens", "q=viewerAndDeveloperApp")


BOTH = [
    "The member token sees 3 contracts, 2 with reporting access. It expires on ",
    " UTC, in 59 days. The OAuth client id and secret mint application tokens.",
]
Spoil = Callable[[Sandbox, dict[str, Any]], object]


def _wrong_secret(_: Sandbox, fields: dict[str, Any]) -> None:
    fields["extra"]["client_secret"] = "not-the-secret"


def _dead_refresh_token(_: Sandbox, fields: dict[str, Any]) -> None:
    del fields["password"]
    fields["extra"]["refresh_token"] = "AQ-long-dead"


CONNECTIONS: list[Any] = [
    pytest.param(lambda sandbox, fields: None, True, BOTH, id="both work"),
    pytest.param(
        lambda sandbox, fields: fields.pop("login"),
        True,
        ["The member token sees 3 contracts"],
        id="member alone",
    ),
    pytest.param(
        lambda sandbox, fields: fields.pop("password"),
        True,
        ["The OAuth client id and secret mint application tokens."],
        id="application alone",
    ),
    pytest.param(
        lambda sandbox, fields: sandbox.revoke_token(sandbox.access_token),
        False,
        ["Could not list the contracts (HTTP 401", "The OAuth client id and secret mint application tokens."],
        id="member token revoked",
    ),
    pytest.param(
        _wrong_secret,
        False,
        ["The member token sees 3 contracts", "Check login (OAuth client id) and client_secret"],
        id="wrong client secret",
    ),
    pytest.param(
        _dead_refresh_token,
        False,
        ["The member must consent again", "The OAuth client id and secret mint application tokens."],
        id="dead refresh token",
    ),
    pytest.param(
        lambda sandbox, fields: (fields.pop("password"), fields.pop("login")),
        False,
        ["neither a member token nor an OAuth client id and secret"],
        id="neither",
    ),
    pytest.param(
        lambda sandbox, fields: sandbox.fault("contracts", http_error(503), times=2),
        False,
        ["HTTP 503", "The OAuth client id and secret mint application tokens."],
        id="failing for the moment",
    ),
]


@pytest.mark.parametrize(("spoil", "works", "says"), CONNECTIONS)
def test_the_test_button_says_which_credential_works(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, works: bool, says: list[str]
) -> None:
    fields = json.loads(snav_sandbox.connection_json())
    spoil(snav_sandbox, fields)
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(fields))
    with SalesNavigatorHook() as hook:
        verdict, said = hook.test_connection()
    assert verdict is works
    for part in says:
        assert part in said
    for secret in (snav_sandbox.access_token, snav_sandbox.client_secret, "AQ-long-dead", "not-the-secret"):
        assert secret not in said
