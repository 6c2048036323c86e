"""What a DAG author reads when the connection is missing, wrong or right."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from airflow.sdk.log import redact
from hook_callers import TOKEN, Caller, application
from scripted_server import Received, Reply, ScriptedServer, answer, restli

from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorWindowError,
)
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook

GET_JOB = ("get_analytics_export", 7, "urn:li:contract:123456")
CONTRACTS = restli(
    {
        "elements": [
            {"contract": "urn:li:contract:1", "name": "One", "hasReportingAccess": True},
            {"contract": "urn:li:contract:2", "name": "Two", "hasReportingAccess": False},
        ]
    }
)


def test_a_missing_connection_is_one_sentence_on_how_to_make_it(call: Caller) -> None:
    with pytest.raises(SalesNavigatorConfigurationError) as raised:
        call(*GET_JOB)
    assert str(raised.value) == (
        "There is no connection 'snav_default', or Airflow could not read it just now. Create one of type"
        " snav (LinkedIn Sales Navigator) with a member access token as its password. Nothing was sent."
    )
    assert raised.value.retryable
    assert raised.value.__suppress_context__


def test_a_hook_that_was_never_used_closes_without_reading_its_connection() -> None:
    with SalesNavigatorHook("nobody_made_this"):
        pass


def test_making_a_hook_reads_no_connection() -> None:
    SalesNavigatorHook("nobody_made_this")
    SalesNavigatorAsyncHook("nobody_made_this")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"host": "api.linkedin.com/ v2"},
            "The connection's host (the API base URL) is not a plain https URL",
        ),
        ({"host": "http://api.linkedin.com/v2"}, "uses plain http to api.linkedin.com"),
        ({"token_url": "http://example.com/token"}, "The connection's token_url uses plain http"),
        ({"http_timeout": "soon"}, "The connection's http_timeout='soon' is not a number of seconds"),
        ({"password": "two words"}, "The connection's password is not a token"),
        ({"download_hosts": ["*.example.com"]}, "The connection's download_hosts holds '*.example.com'"),
    ],
    ids=["blank", "http", "http token_url", "timeout", "password", "download_hosts"],
)
def test_a_wrong_field_is_named_and_nothing_is_sent(
    server: ScriptedServer,
    connect: Callable[..., None],
    call: Caller,
    fields: dict[str, object],
    message: str,
) -> None:
    connect(**{"host": f"{server.origin}/v2", **fields})  # type: ignore[arg-type]
    with pytest.raises(SalesNavigatorConfigurationError) as raised:
        call(*GET_JOB)
    assert message in str(raised.value)
    assert "two words" not in str(raised.value)
    assert server.requests == []


@pytest.mark.parametrize("extra", ["null", "[1]", '"text"'])
def test_an_extra_that_is_no_object_is_one_clear_error(
    call: Caller, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    connection = {"conn_type": "snav", "password": "token", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(connection))
    with pytest.raises(SalesNavigatorConfigurationError, match="extra is not a JSON object"):
        call(*GET_JOB)


def test_the_test_button_says_what_the_member_token_sees(
    server: ScriptedServer, connect: Callable[..., None]
) -> None:
    connect(f"{server.origin}/v2")
    server.script(CONTRACTS)
    assert SalesNavigatorHook().test_connection() == (
        True,
        "The member token sees 2 contracts, 1 with reporting access.",
    )


def test_the_test_button_tries_both_token_families(
    server: ScriptedServer, connect: Callable[..., None]
) -> None:
    connect(f"{server.origin}/v2", **application(server))

    def choose(received: Received) -> Reply:
        if received.method == "GET":
            return CONTRACTS
        return restli(
            {"error": "invalid_client_id", "error_description": "Client authentication failed"}, 401
        )

    server.choose(choose)
    works, said = SalesNavigatorHook().test_connection()
    assert not works
    assert said.startswith("The member token sees 2 contracts, 1 with reporting access. Could not get an")
    assert server.targets == ["GET /v2/salesContracts?q=contractsByMember", "POST /token"]


def test_the_test_button_needs_no_member_token_where_there_is_an_application(
    server: ScriptedServer, connect: Callable[..., None]
) -> None:
    connect(f"{server.origin}/v2", password=None, **application(server))
    server.script(restli({"access_token": "AQ-minted", "expires_in": "1800"}))
    assert SalesNavigatorHook().test_connection() == (
        True,
        "The OAuth client id and secret mint application tokens.",
    )


def refused(status: int, message: str) -> Reply:
    return restli({"message": message, "status": status}, status)


@pytest.mark.parametrize(
    ("fields", "reply", "sentence"),
    [
        ({}, refused(401, "The token has expired"), "LinkedIn no longer accepts the member access token"),
        ({}, refused(403, "Not enough permissions"), "needs the scope r_sales_nav_analytics."),
        ({}, answer(403, b"<html>"), "This 403 is not an answer of Sales Navigator"),
        ({"password": None}, answer(200), "The connection has neither a member token nor an OAuth client id"),
        (
            {"host": "ftp://x"},
            answer(200),
            "The connection's host (the API base URL) is not a plain https URL",
        ),
    ],
    ids=["expired", "forbidden", "gateway", "empty", "wrong host"],
)
def test_the_test_button_says_what_is_wrong_in_a_sentence(
    server: ScriptedServer,
    connect: Callable[..., None],
    fields: dict[str, object],
    reply: Reply,
    sentence: str,
) -> None:
    connect(**{"host": f"{server.origin}/v2", **fields})  # type: ignore[arg-type]
    server.script(reply)
    works, said = SalesNavigatorHook().test_connection()
    assert not works
    assert sentence in said
    assert TOKEN not in said


def test_the_test_button_says_that_there_is_no_connection() -> None:
    works, said = SalesNavigatorHook("nobody_made_this").test_connection()
    assert not works
    assert said.startswith("There is no connection 'nobody_made_this',")


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("activity", "urn:li:contract:1", 1_700_000_000_000, 1_700_000_300_000), SalesNavigatorWindowError),
        (("activity", "urn:li:contract:1", "2015-01-01", "2015-01-02"), SalesNavigatorWindowError),
        (("everything", "urn:li:contract:1", "2026-01-01", "2026-01-02"), SalesNavigatorConfigurationError),
        (("activity", "urn:li:contract:1", "yesterday", "2026-01-02"), SalesNavigatorConfigurationError),
        (("activity", "a contract", "2026-01-01", "2026-01-02"), SalesNavigatorConfigurationError),
    ],
    ids=["five minutes", "too old", "type", "time", "contract"],
)
def test_a_wrong_argument_is_an_error_and_nothing_is_sent(
    server: ScriptedServer,
    connect: Callable[..., None],
    call: Caller,
    arguments: tuple[object, ...],
    kind: type[Exception],
) -> None:
    connect(f"{server.origin}/v2")
    with pytest.raises(kind):
        call("create_analytics_export", *arguments)
    assert server.requests == []


def test_the_two_hooks_offer_the_same_calls() -> None:
    def calls(hook: type) -> set[str]:
        return {name for name in vars(hook) if not name.startswith("_")}

    # Files, many keys, the connection's form and its Test button are for workers.
    for_workers = calls(SalesNavigatorHook) - calls(SalesNavigatorAsyncHook)
    assert for_workers == {
        "batch_get_profile_associations",
        "close",
        "download",
        "get_conn",
        "get_profile_association",
        "get_ui_field_behaviour",
        "get_sales_access_token",
        "get_token",
        "iter_profile_associations",
        "settings",
        "test_connection",
        "token_status",
    }
    assert calls(SalesNavigatorAsyncHook) <= calls(SalesNavigatorHook)


def test_the_port_is_where_the_token_goes(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, call: Caller
) -> None:
    """In the form of a URI the schema stands where a path would."""
    host, _, port = server.origin.removeprefix("http://").partition(":")
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", f"snav://:{TOKEN}@{host}:{port}/http")
    server.script(CONTRACTS)
    assert len(call("list_contracts")) == 2
    [request] = server.requests
    assert (request.bearer, request.headers["host"]) == (TOKEN, f"{host}:{port}")


GATEWAY = {"X-Gateway-Key": "a-gateway-key", "LinkedIn-Version": "202609", "User-Agent": "ours/1"}


def test_the_connections_headers_go_with_every_call_to_the_api_base_and_not_to_the_token_endpoint(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    with ScriptedServer() as linkedin:
        linkedin.script(restli({"access_token": "AQ-minted", "expires_in": 1800}))
        connect(f"{server.origin}/v2", password=None, headers=GATEWAY, **application(linkedin))
        server.script(restli({"jobId": 7, "status": "PROCESSING"}))
        call("get_crm_validation_export", 7, "urn:li:crmInstance:(DYNAMICS,362a3584)")
        [asked], [minted] = server.requests, linkedin.requests
    assert {name: asked.headers[name.lower()] for name in GATEWAY} == GATEWAY
    assert asked.bearer == "AQ-minted"
    assert asked.headers["x-restli-protocol-version"] == "2.0.0"
    assert not {"x-gateway-key", "linkedin-version"} & set(minted.headers)
    assert redact("a-gateway-key 202609") == "*** 202609"


def test_the_connections_headers_do_not_go_to_a_download_host(
    server: ScriptedServer, connect: Callable[..., None]
) -> None:
    with ScriptedServer() as files:
        hosts = [files.origin.removeprefix("http://")]
        connect(f"{server.origin}/v2", headers=GATEWAY, download_hosts=hosts)
        for there, sent in ((server, True), (files, False)):
            there.script(answer(200, b"a,b\n1,2\n"))
            with SalesNavigatorHook() as hook, hook.download(f"{there.origin}/ambry/?x=y") as file:
                assert b"".join(file) == b"a,b\n1,2\n"
            assert ("x-gateway-key" in there.requests[-1].headers) is sent
