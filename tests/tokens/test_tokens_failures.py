"""What LinkedIn may answer to a token: one clear error each, retried where that helps, in both families."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from task_runs import context_of

from airflow_provider_snav.api.errors import (
    SalesNavigatorAuthenticationError,
    SalesNavigatorCredentialError,
    SalesNavigatorError,
    SalesNavigatorPermissionError,
    SalesNavigatorRateLimitError,
)
from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorListContractsOperator,
    SalesNavigatorProfileAssociationsOperator,
)
from airflow_provider_snav.sandbox.faults import CallKind, Fault, http_error, throttled
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.tokens import Scope

TRIES = 3
FRESH_WAITS = 2
POLICY = RetryPolicy(tries=TRIES, first=0.001, longest_wait=5.0, fresh_token_waits=(0.001,) * FRESH_WAITS)
CRM = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
KEY = {"instance_id": "instance.crm.dynamics.com", "partner": "MS", "record_id": "1"}

Connect = Callable[..., None]


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for hook in (SalesNavigatorHook, SalesNavigatorAsyncHook):
        monkeypatch.setattr(hook, "retry_policy", POLICY)
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture
def connect(snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Let the connection carry these credentials, and change fields of it."""

    def connect(
        *, access_token: str | bool = True, client: bool = True, refresh: bool = False, **extra: str
    ) -> None:
        fields = json.loads(
            snav_sandbox.connection_json(
                access_token=bool(access_token), client_credentials=client, refresh_token=refresh
            )
        )
        if isinstance(access_token, str):
            fields["password"] = access_token
        fields["extra"] |= extra
        monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(fields))

    return connect


def over_requests(method: str, *arguments: Any) -> Any:
    with SalesNavigatorHook() as hook:
        return getattr(hook, method)(*arguments)


def over_aiohttp(method: str, *arguments: Any) -> Any:
    async def call() -> Any:
        async with SalesNavigatorAsyncHook() as hook:
            return await getattr(hook, method)(*arguments)

    return asyncio.run(call())


@pytest.fixture(params=[over_requests, over_aiohttp])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call a method of one of the two hooks."""
    way: Callable[..., Any] = request.param
    return way


@dataclass(frozen=True)
class Family:
    """One of LinkedIn's two token families, and a call that needs it."""

    kind: CallKind
    call: tuple[Any, ...]
    renewable: str
    missing: str
    scope: str


MEMBER = Family(
    CallKind.CONTRACTS,
    ("list_contracts",),
    "Put a new one into the connection's password, or give the connection a refresh_token",
    r"a member access token as its password, or refresh_token, login \(OAuth client id\) and client_secret",
    "r_sales_nav_analytics",
)
APPLICATION = Family(
    CallKind.CREATE,
    ("create_crm_validation_export", CRM, "2026-11-01"),
    "Check login (OAuth client id) and client_secret of the connection",
    r"login \(OAuth client id\) and client_secret",
    "r_sales_nav_validation",
)
FAMILIES = [pytest.param(MEMBER, id="member"), pytest.param(APPLICATION, id="application")]


@dataclass(frozen=True)
class Refusal:
    """What LinkedIn answers to every call of a kind, and what is to come of it.

    :param calls: requests of the kind; with a connection that can renew its token.
    :param mints: requests to the token endpoint, beside the application's first.
    """

    name: str
    fault: Fault
    error: type[SalesNavigatorError]
    says: tuple[str, ...]
    calls: int
    mints: int = 0
    retryable: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)


REFUSALS = [
    Refusal(
        "throttled, without Retry-After",
        throttled(),
        SalesNavigatorRateLimitError,
        ("HTTP 429", "throttle limit"),
        calls=TRIES,
        retryable=True,
        attributes={"daily": False, "retry_after": None},
    ),
    Refusal(
        "throttled, with a Retry-After of no time",
        throttled(retry_after=0),
        SalesNavigatorRateLimitError,
        ("HTTP 429",),
        calls=TRIES,
        retryable=True,
        attributes={"daily": False, "retry_after": 0.0},
    ),
    Refusal(
        "throttled, for longer than is waited here",
        throttled(retry_after=900),
        SalesNavigatorRateLimitError,
        ("HTTP 429", "Its Retry-After is 900 seconds."),
        calls=1,
        retryable=True,
        attributes={"daily": False, "retry_after": 900.0},
    ),
    Refusal(
        "throttled for the day",
        throttled(daily=True),
        SalesNavigatorRateLimitError,
        ("HTTP 429", "serviceErrorCode 101", "The daily budget resets at", "T00:00Z"),
        calls=1,
        retryable=True,
        attributes={"daily": True, "code": "TOO_MANY_REQUESTS"},
    ),
    Refusal(
        "expired",
        http_error(401, "The token used in the request has expired", service_error_code=65602),
        SalesNavigatorAuthenticationError,
        ("HTTP 401, serviceErrorCode 65602", "has expired"),
        calls=2,
        mints=1,
        attributes={"service_error_code": 65602},
    ),
    Refusal(
        "invalid",
        http_error(401, "Invalid access token", service_error_code=65600),
        SalesNavigatorAuthenticationError,
        ("HTTP 401, serviceErrorCode 65600", "Invalid access token"),
        calls=2,
        mints=1,
    ),
    Refusal(
        "missing scope",
        http_error(403, "Not enough permissions to access", service_error_code=100),
        SalesNavigatorPermissionError,
        ("HTTP 403, serviceErrorCode 100", "Not enough permissions"),
        calls=1,
        attributes={"service_error_code": 100},
    ),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_each_refusal_is_one_clear_error_after_the_right_number_of_requests(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any], family: Family, refusal: Refusal
) -> None:
    connect(refresh=True)
    snav_sandbox.fault(family.kind, refusal.fault, times=None)
    with pytest.raises(refusal.error) as raised:
        ask(*family.call)
    error = raised.value
    message = str(error)
    for part in refusal.says:
        assert part in message
    assert error.retryable is refusal.retryable
    assert {name: getattr(error, name) for name in refusal.attributes} == refusal.attributes
    if refusal.error is SalesNavigatorAuthenticationError:
        assert family.renewable in message
    if refusal.error is SalesNavigatorPermissionError:
        assert family.scope in message
    assert "x-li-uuid=" in message
    first_mint = 1 if family is APPLICATION else 0
    assert counts(snav_sandbox) == {family.kind: refusal.calls, CallKind.TOKEN: refusal.mints + first_mint}
    for secret in secrets_of(snav_sandbox):
        assert secret not in f"{message} {error!r} {vars(error)}"


def counts(sandbox: Sandbox) -> dict[CallKind, int]:
    kinds = [request.kind for request in sandbox.requests]
    return {kind: kinds.count(kind) for kind in {*kinds, CallKind.TOKEN}}


def bearers(sandbox: Sandbox) -> list[str]:
    """The tokens that API calls sent, in order."""
    sent = [request for request in sandbox.requests if request.kind is not CallKind.TOKEN]
    return [request.headers["authorization"][0].removeprefix("Bearer ") for request in sent]


def secrets_of(sandbox: Sandbox) -> set[str]:
    return {sandbox.client_secret, sandbox.refresh_token, sandbox.access_token, *bearers(sandbox)}


def test_throttling_that_passes_is_waited_for(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    snav_sandbox.fault("contracts", throttled())
    snav_sandbox.fault("contracts", throttled(retry_after=0))
    assert len(ask("list_contracts")) == 3
    assert [request.status for request in snav_sandbox.requests] == [429, 429, 200]


def test_a_member_token_that_expired_is_refreshed_and_the_call_repeated(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(refresh=True)
    snav_sandbox.advance(dt.timedelta(days=61))
    assert len(ask("list_contracts")) == 3
    old, new = bearers(snav_sandbox)
    assert old == snav_sandbox.access_token != new
    # From then on the new one is used at once.
    ask("list_contracts")
    assert bearers(snav_sandbox) == [old, new, new]
    assert counts(snav_sandbox)[CallKind.TOKEN] == 1


def test_a_member_token_that_was_revoked_is_refreshed(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(refresh=True)
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    assert len(ask("list_contracts")) == 3
    assert [request.status for request in snav_sandbox.requests] == [401, 200, 200]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda sandbox: sandbox.revoke_token(sandbox.access_token), "65601"),
        (lambda sandbox: sandbox.advance(dt.timedelta(days=61)), "65602"),
    ],
    ids=["revoked", "expired"],
)
def test_a_dead_member_token_that_nothing_renews_is_sent_once(
    snav_sandbox: Sandbox,
    connect: Connect,
    ask: Callable[..., Any],
    spoil: Callable[[Sandbox], None],
    code: str,
) -> None:
    connect()
    spoil(snav_sandbox)
    with pytest.raises(SalesNavigatorAuthenticationError, match=f"serviceErrorCode {code}.*refresh_token"):
        ask("list_contracts")
    assert counts(snav_sandbox) == {CallKind.CONTRACTS: 1, CallKind.TOKEN: 0, CallKind.INTROSPECTION: 1}


@pytest.mark.parametrize("ending", ["expired", "revoked"])
def test_an_application_token_that_died_is_minted_anew(
    snav_sandbox: Sandbox, ask: Callable[..., Any], ending: str
) -> None:
    ask(*APPLICATION.call)
    if ending == "expired":
        snav_sandbox.advance(dt.timedelta(minutes=31))
    else:
        snav_sandbox.revoke_token(bearers(snav_sandbox)[0])
    ask(*APPLICATION.call)
    assert len(snav_sandbox.created_jobs) == 2
    assert counts(snav_sandbox)[CallKind.TOKEN] == 2


REVOKED = http_error(401, "The token has been revoked by the user", service_error_code=65601)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("times", range(1, FRESH_WAITS + 1))
def test_a_token_just_minted_that_linkedin_does_not_know_yet_is_waited_for(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any], family: Family, times: int
) -> None:
    connect(access_token=False, refresh=True)
    snav_sandbox.fault(family.kind, REVOKED, times=times)
    ask(*family.call)
    assert counts(snav_sandbox) == {family.kind: times + 1, CallKind.TOKEN: 1}
    assert len(set(bearers(snav_sandbox))) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_just_minted_that_stays_unknown_is_minted_once_more_and_then_an_error(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any], family: Family
) -> None:
    connect(access_token=False, refresh=True)
    snav_sandbox.fault(family.kind, REVOKED, times=None)
    with pytest.raises(SalesNavigatorAuthenticationError, match="65601") as raised:
        ask(*family.call)
    assert not raised.value.retryable
    assert counts(snav_sandbox) == {family.kind: 1 + FRESH_WAITS + 1, CallKind.TOKEN: 2}


def test_a_token_of_the_connection_that_was_revoked_is_not_waited_for(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(client=False)
    snav_sandbox.fault("contracts", REVOKED, times=None)
    with pytest.raises(SalesNavigatorAuthenticationError, match="65601"):
        ask("list_contracts")
    assert counts(snav_sandbox)[CallKind.CONTRACTS] == 1


def test_a_member_token_on_a_call_for_applications_is_refused_once_and_the_scope_named(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(client=False)
    with pytest.raises(SalesNavigatorPermissionError, match="application needs the scope r_sales_nav_valid"):
        ask(*APPLICATION.call)
    assert counts(snav_sandbox) == {CallKind.CREATE: 1, CallKind.TOKEN: 0}


def test_an_application_token_on_a_call_for_members_is_refused_once_and_the_scope_named(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(access_token=snav_sandbox.issue_token(Scope.VALIDATION, Scope.PROFILES), client=False)
    with pytest.raises(SalesNavigatorPermissionError, match="needs the scope r_sales_nav_analytics"):
        ask("list_contracts")
    assert counts(snav_sandbox) == {CallKind.CONTRACTS: 1, CallKind.TOKEN: 0}


@pytest.mark.parametrize(
    ("granted", "call", "needed"),
    [
        (Scope.DISPLAY, lambda hook: hook.list_contracts(), "r_sales_nav_analytics"),
        (Scope.ANALYTICS, lambda hook: hook.get_sales_access_token(), "r_sales_nav_display"),
        (Scope.PROFILES, lambda hook: hook.create_crm_validation_export(CRM), "r_sales_nav_validation"),
        (Scope.VALIDATION, lambda hook: hook.get_profile_association(**KEY), "r_sales_nav_profiles"),
        (Scope.VALIDATION, lambda hook: hook.batch_get_profile_associations([KEY]), "r_sales_nav_profiles"),
    ],
    ids=["contracts", "sales token", "crm", "association", "associations"],
)
def test_a_scope_that_is_missing_is_named(
    snav_sandbox: Sandbox,
    connect: Connect,
    granted: Scope,
    call: Callable[[SalesNavigatorHook], Any],
    needed: str,
) -> None:
    connect(access_token=snav_sandbox.issue_token(granted), client=False)
    with SalesNavigatorHook() as hook, pytest.raises(SalesNavigatorPermissionError, match=needed) as raised:
        call(hook)
    assert not raised.value.retryable
    assert len(snav_sandbox.requests) == 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("client", ["id only", "secret only", "neither"])
def test_a_missing_credential_is_named_before_anything_is_sent(
    snav_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[..., Any],
    family: Family,
    client: str,
) -> None:
    fields: dict[str, Any] = {"conn_type": "snav", "host": snav_sandbox.base_url, "extra": {}}
    if client == "id only":
        fields["login"] = snav_sandbox.client_id
    if client == "secret only":
        fields["extra"] = {"client_secret": snav_sandbox.client_secret}
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(fields))
    with pytest.raises(SalesNavigatorCredentialError, match=f"{family.missing}. Nothing was sent") as raised:
        ask(*family.call)
    assert not raised.value.retryable
    assert snav_sandbox.requests == []


def test_client_credentials_alone_do_not_serve_a_member(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(access_token=False)
    with pytest.raises(SalesNavigatorCredentialError, match=MEMBER.missing):
        ask("list_contracts")
    assert snav_sandbox.requests == []


def test_a_dead_refresh_token_asks_for_a_new_consent_and_is_tried_once(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(access_token=False, refresh=True, refresh_token="AQ-long-dead")
    with pytest.raises(SalesNavigatorAuthenticationError, match="The member must consent again") as raised:
        ask("list_contracts")
    assert not raised.value.retryable
    assert "invalid, expired or revoked" in str(raised.value)
    assert "AQ-long-dead" not in f"{raised.value!r} {vars(raised.value)}"
    assert counts(snav_sandbox) == {CallKind.TOKEN: 1}


def test_a_dead_refresh_token_behind_a_dead_access_token_is_what_is_told(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(refresh=True, refresh_token="AQ-long-dead")
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    with pytest.raises(SalesNavigatorAuthenticationError, match="The member must consent again"):
        ask("list_contracts")
    assert counts(snav_sandbox) == {CallKind.CONTRACTS: 1, CallKind.TOKEN: 1}


def test_a_wrong_client_secret_is_named_and_tried_once(
    snav_sandbox: Sandbox, connect: Connect, ask: Callable[..., Any]
) -> None:
    connect(client_secret="not-the-secret")
    with pytest.raises(
        SalesNavigatorAuthenticationError, match=r"Check login .* and client_secret"
    ) as raised:
        ask(*APPLICATION.call)
    assert not raised.value.retryable
    assert "not-the-secret" not in f"{raised.value!r} {vars(raised.value)}"
    assert counts(snav_sandbox) == {CallKind.TOKEN: 1}


@pytest.mark.parametrize("fault", [throttled(), http_error(503)], ids=["throttled", "failing"])
def test_a_token_endpoint_that_fails_for_the_moment_is_asked_again(
    snav_sandbox: Sandbox, ask: Callable[..., Any], fault: Fault
) -> None:
    snav_sandbox.fault("token", fault, times=TRIES - 1)
    ask(*APPLICATION.call)
    assert counts(snav_sandbox) == {CallKind.TOKEN: TRIES, CallKind.CREATE: 1}


OPERATORS: list[Callable[[], Any]] = [
    lambda: SalesNavigatorListContractsOperator(task_id="contracts"),
    lambda: SalesNavigatorProfileAssociationsOperator(task_id="enrich", keys=[KEY]),
]


@pytest.mark.parametrize("make", OPERATORS, ids=["contracts", "associations"])
@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        (throttled(retry_after=900), "SalesNavigatorRateLimitError"),
        (throttled(daily=True), "SalesNavigatorRateLimitError"),
        (http_error(503), "SalesNavigatorServerError"),
        (http_error(401, service_error_code=65602), "AirflowFailException"),
        (http_error(403, service_error_code=100), "AirflowFailException"),
        (http_error(400), "AirflowFailException"),
    ],
    ids=["throttled", "throttled for the day", "failing", "expired", "forbidden", "refused"],
)
def test_airflow_retries_what_a_retry_can_mend(
    snav_sandbox: Sandbox, make: Callable[[], Any], fault: Fault, ends: str
) -> None:
    for kind in (CallKind.CONTRACTS, CallKind.ASSOCIATIONS):
        snav_sandbox.fault(kind, fault, times=None)
    task = make()
    with pytest.raises(Exception, match="Could not") as raised:
        task.execute(context_of(task))
    assert type(raised.value).__name__ == ends


def test_a_token_endpoint_that_is_not_there_is_not_taken_for_no_match(
    connect: Connect, snav_sandbox: Sandbox
) -> None:
    connect()
    snav_sandbox.fault("token", http_error(404), times=None)
    with pytest.raises(SalesNavigatorAuthenticationError, match="get an application token"):
        SalesNavigatorHook().get_profile_association(**KEY)
