"""Tokens the hooks mint: one a process and credential, whoever asks, however many at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
from airflow.sdk.log import redact
from hook_callers import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN, TRIES, Caller, application
from scripted_server import Received, Reply, ScriptedServer, answer, restli

from airflow_provider_snav.api.errors import (
    SalesNavigatorAuthenticationError,
    SalesNavigatorCredentialError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.api.messages import Call, Credential
from airflow_provider_snav.hooks import token_cache
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook

THREADS = 20
COROUTINES = 50
CRM: Call[int] = Call(
    "ask for something of the CRM", "GET", "/crm", lambda response: response.status, Credential.APPLICATION
)
CONTRACTS: Call[int] = Call(
    "ask for something of the member", "GET", "/me", lambda response: response.status, Credential.MEMBER
)


class TokenServer:
    """A token endpoint that numbers its tokens, and an API that takes those it was not told to refuse."""

    def __init__(self, server: ScriptedServer) -> None:
        self.refused: set[str] = set()
        self.minted = 0
        self.lifetime = 1800
        self.rotates = False
        self.first_asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._second_asked = threading.Event()
        self._server = server
        self._crowd = False
        server.choose(self._choose)

    def expect_a_crowd(self) -> None:
        """Take so long over the next token that everybody who asks for one asks meanwhile."""
        self._crowd = True

    @property
    def forms(self) -> list[dict[str, str]]:
        return [
            dict(parse_qsl(each.body.decode())) for each in self._server.requests if each.method == "POST"
        ]

    def _choose(self, received: Received) -> Reply:
        if received.method == "GET":
            ok = received.bearer is not None and received.bearer not in self.refused
            return answer(200) if ok else restli({"message": "expired", "serviceErrorCode": 65602}, 401)
        self.minted += 1
        (self._second_asked if self.minted > 1 else self.first_asked).set()
        body = {"access_token": f"AQ-minted-{self.minted}", "expires_in": str(self.lifetime)}
        token = restli(body | ({"refresh_token": f"AQ-refresh-{self.minted}"} if self.rotates else {}))

        def reply(connection: object) -> None:
            assert self.may_answer.wait(10)
            if self._crowd:
                # With one mint for all this takes its time; with more than one it ends at once, and fails.
                self._second_asked.wait(0.3)
            token(connection)  # type: ignore[arg-type]

        return reply


@pytest.fixture
def issuer(server: ScriptedServer, connect: Callable[..., None]) -> TokenServer:
    connect(f"{server.origin}/v2", password=None, refresh_token=REFRESH_TOKEN, **application(server))
    return TokenServer(server)


def in_threads(work: Callable[[], object]) -> list[object]:
    barrier = threading.Barrier(THREADS)

    def run(_: int) -> object:
        barrier.wait(10)
        return work()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def ask_for_crm() -> int:
    with SalesNavigatorHook() as hook:
        return hook.run(CRM)


async def ask_for_crm_async() -> int:
    return await SalesNavigatorAsyncHook().run(CRM)


def test_twenty_threads_at_once_mint_one_token(issuer: TokenServer) -> None:
    issuer.expect_a_crowd()
    assert in_threads(ask_for_crm) == [200] * THREADS
    assert issuer.minted == 1


def test_fifty_coroutines_at_once_mint_one_token(issuer: TokenServer) -> None:
    issuer.expect_a_crowd()

    async def ask() -> list[int]:
        return await asyncio.gather(*(ask_for_crm_async() for _ in range(COROUTINES)))

    assert asyncio.run(ask()) == [200] * COROUTINES
    assert issuer.minted == 1


def test_twenty_threads_whose_token_is_refused_mint_one_new_token(issuer: TokenServer) -> None:
    ask_for_crm()
    issuer.refused.add("AQ-minted-1")
    assert in_threads(ask_for_crm) == [200] * THREADS
    assert issuer.minted == 2


def test_fifty_coroutines_whose_token_is_refused_mint_one_new_token(issuer: TokenServer) -> None:
    async def ask() -> list[int]:
        await ask_for_crm_async()
        issuer.refused.add("AQ-minted-1")
        return await asyncio.gather(*(ask_for_crm_async() for _ in range(COROUTINES)))

    assert asyncio.run(ask()) == [200] * COROUTINES
    assert issuer.minted == 2


def test_one_who_gives_up_does_not_end_the_mint_for_the_others(issuer: TokenServer) -> None:
    issuer.may_answer.clear()

    async def ask() -> int:
        impatient = asyncio.create_task(ask_for_crm_async())
        await asyncio.to_thread(issuer.first_asked.wait, 10)
        patient = asyncio.create_task(ask_for_crm_async())
        # Let it come as far as waiting for the token.
        for _ in range(10):
            await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        issuer.may_answer.set()
        return await patient

    assert asyncio.run(ask()) == 200
    assert issuer.minted == 1


def test_when_all_give_up_the_mint_still_serves_the_next(issuer: TokenServer) -> None:
    issuer.may_answer.clear()

    async def ask() -> int:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask_for_crm_async(), 0.05)
        issuer.may_answer.set()
        return await ask_for_crm_async()

    assert asyncio.run(ask()) == 200
    assert issuer.minted == 1


def test_threads_and_coroutines_share_what_was_minted(issuer: TokenServer) -> None:
    ask_for_crm()
    asyncio.run(ask_for_crm_async())
    assert issuer.minted == 1


def test_a_token_is_used_until_a_minute_before_it_expires(
    issuer: TokenServer, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=1000.0)
    monkeypatch.setattr(token_cache, "time", clock)
    call("run", CRM)
    clock.now += issuer.lifetime - 61
    call("run", CRM)
    assert issuer.minted == 1
    clock.now += 1
    call("run", CRM)
    assert issuer.minted == 2


def test_the_two_families_are_minted_apart(issuer: TokenServer, call: Caller) -> None:
    call("run", CRM)
    call("run", CONTRACTS)
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert issuer.forms == [
        {"grant_type": "client_credentials", **client},
        {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, **client},
    ]


def test_a_refused_token_is_renewed_once_and_no_more(
    issuer: TokenServer, call: Caller, told: Callable[..., str]
) -> None:
    issuer.refused |= {"AQ-minted-1", "AQ-minted-2", "AQ-minted-3"}
    with pytest.raises(
        SalesNavigatorAuthenticationError, match=r"LinkedIn refused the application token"
    ) as raised:
        call("run", CRM)
    assert issuer.minted == 2
    assert "AQ-minted" not in told(raised.value)


def test_a_new_refresh_token_serves_the_next_refresh(issuer: TokenServer, call: Caller) -> None:
    issuer.rotates = True
    call("run", CONTRACTS)
    issuer.refused.add("AQ-minted-1")
    call("run", CONTRACTS)
    issuer.refused.add("AQ-minted-2")
    call("run", CONTRACTS)
    assert [form["refresh_token"] for form in issuer.forms] == [REFRESH_TOKEN, "AQ-refresh-1", "AQ-refresh-2"]


def test_a_new_member_token_in_the_connection_is_used_at_once(
    issuer: TokenServer, server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    call("run", CONTRACTS)
    assert issuer.minted == 1
    connect(f"{server.origin}/v2", password="AQ-new", refresh_token=REFRESH_TOKEN, **application(server))
    call("run", CONTRACTS)
    assert issuer.minted == 1
    assert server.requests[-1].bearer == "AQ-new"


def test_a_mint_that_failed_is_tried_anew_by_the_next_call(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2", **application(server))
    server.script(answer(503))
    with pytest.raises(SalesNavigatorServerError, match=r"^Could not get an application token from LinkedIn"):
        call("run", CRM)
    assert server.targets == ["POST /token"] * TRIES
    server.script(restli({"access_token": "AQ-minted", "expires_in": 1800}), answer(200))
    assert call("run", CRM) == 200


def test_wrong_client_credentials_are_named_and_not_shown(
    server: ScriptedServer, connect: Callable[..., None], call: Caller, told: Callable[..., str]
) -> None:
    connect(f"{server.origin}/v2", **application(server))
    said = f"Client authentication failed for {CLIENT_SECRET}"
    server.script(restli({"error": "invalid_client_id", "error_description": said}, 401))
    with pytest.raises(
        SalesNavigatorAuthenticationError, match=r"Check login .* and client_secret"
    ) as raised:
        call("run", CRM)
    assert server.targets == ["POST /token"]
    assert CLIENT_SECRET not in told(raised.value)


@pytest.mark.parametrize("token", ["AQ-bad\nX-Header: 1", "AQ-bad token", "AQ-bad-\u00e9", "", 5, None])
def test_a_token_that_cannot_stand_in_a_header_is_not_used_and_not_shown(
    server: ScriptedServer,
    connect: Callable[..., None],
    call: Caller,
    told: Callable[..., str],
    token: object,
) -> None:
    connect(f"{server.origin}/v2", **application(server))
    server.script(restli({"access_token": token, "expires_in": 1800}))
    with pytest.raises(SalesNavigatorServerError, match=r"a body that cannot be read") as raised:
        call("run", CRM)
    assert server.targets == ["POST /token"] * TRIES
    assert "AQ-bad" not in told(raised.value)


def test_without_client_credentials_the_access_token_serves_every_call(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2")
    server.script(answer(200))
    call("run", CRM)
    call("run", CONTRACTS)
    assert [received.bearer for received in server.requests] == [TOKEN, TOKEN]


def test_a_connection_without_what_the_call_needs_sends_nothing(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2", password=None, login=CLIENT_ID)
    with pytest.raises(SalesNavigatorCredentialError, match=r"login \(OAuth client id\) and client_secret"):
        call("run", CRM)
    assert server.requests == []


def test_forgotten_tokens_are_minted_again(issuer: TokenServer, call: Caller) -> None:
    call("run", CRM)
    token_cache.forget_tokens()
    call("run", CRM)
    assert issuer.minted == 2


@pytest.mark.parametrize("secret", ["AQ-minted-1", CLIENT_SECRET, REFRESH_TOKEN])
def test_what_was_minted_and_what_the_connection_holds_is_masked_in_airflows_logs(
    issuer: TokenServer, call: Caller, secret: str
) -> None:
    assert secret in redact(f"a line with {secret}")
    call("run", CRM)
    assert redact(f"a line with {secret}") == "a line with ***"
