"""The aiohttp session: one a loop, shared by all hooks, closed with its last user, never left behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hook_callers import TOKEN
from scripted_server import ScriptedServer, answer, hang_up, restli, silence

from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorError
from airflow_provider_snav.hooks.aiohttp_transport import AiohttpTransport
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook

GET_JOB = (7, "urn:li:contract:123456")
KEEP_ALIVE = {"Connection": "keep-alive"}


def run_and_clean_up(work: Coroutine[Any, Any, object]) -> list[str]:
    """Run it and return what Python complains about afterwards."""
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        asyncio.run(work)
        gc.collect()
    return [str(complaint.message) for complaint in complaints]


@pytest.fixture
def ready(server: ScriptedServer, connect: Callable[..., None]) -> ScriptedServer:
    connect(f"{server.origin}/v2")
    server.script(restli({"id": 7, "status": "PROCESSING"}))
    return server


def test_a_hook_works_without_async_with_and_leaves_nothing_open(ready: ScriptedServer) -> None:
    async def work() -> None:
        hook = SalesNavigatorAsyncHook()
        await hook.get_analytics_export(*GET_JOB)
        await hook.get_analytics_export(*GET_JOB)

    assert run_and_clean_up(work()) == []
    assert len(ready.requests) == 2


def test_a_hook_works_again_after_async_with(ready: ScriptedServer) -> None:
    async def work() -> None:
        async with SalesNavigatorAsyncHook() as hook:
            await hook.get_analytics_export(*GET_JOB)
        await hook.get_analytics_export(*GET_JOB)

    assert run_and_clean_up(work()) == []


def test_a_hook_works_in_one_loop_after_another(ready: ScriptedServer) -> None:
    hook = SalesNavigatorAsyncHook()

    async def work() -> None:
        await hook.get_analytics_export(*GET_JOB)

    assert run_and_clean_up(work()) == []
    assert run_and_clean_up(work()) == []


@pytest.mark.parametrize("reply", [answer(403), hang_up], ids=["403", "no answer"])
def test_an_error_leaves_nothing_open(ready: ScriptedServer, reply: Any) -> None:
    ready.script(reply)

    async def work() -> None:
        async with SalesNavigatorAsyncHook() as hook:
            with pytest.raises(SalesNavigatorError):
                await hook.get_analytics_export(*GET_JOB)

    assert run_and_clean_up(work()) == []


def test_a_cancelled_call_is_cancelled_and_leaves_nothing_open(ready: ScriptedServer) -> None:
    ready.script(silence)

    async def work() -> None:
        call = asyncio.create_task(SalesNavigatorAsyncHook().get_analytics_export(*GET_JOB))
        await asyncio.to_thread(ready.asked.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert run_and_clean_up(work()) == []


def test_a_missing_connection_leaves_nothing_open() -> None:
    async def work() -> None:
        with pytest.raises(SalesNavigatorConfigurationError):
            async with SalesNavigatorAsyncHook("nobody_made_this"):
                pass

    assert run_and_clean_up(work()) == []


def test_all_users_of_a_loop_share_one_session_and_the_last_closes_it() -> None:
    async def work() -> None:
        one, other = AiohttpTransport(ConnectionSettings()), AiohttpTransport(ConnectionSettings())
        async with one:
            async with other:
                session = one._shared.session
                assert other._shared.session is session
            assert not session.closed
        assert session.closed
        async with one:
            assert one._shared.session is not session

    assert run_and_clean_up(work()) == []


def test_two_loops_never_share_a_session() -> None:
    async def session() -> Any:
        async with AiohttpTransport(ConnectionSettings()) as transport:
            return transport._shared.session

    async def work() -> None:
        async with AiohttpTransport(ConnectionSettings()) as transport:
            assert await asyncio.to_thread(asyncio.run, session()) is not transport._shared.session

    assert run_and_clean_up(work()) == []


def test_the_session_holds_no_token_and_no_cookie(ready: ScriptedServer) -> None:
    ready.script(restli({"id": 7, "status": "PROCESSING"}, headers={"Set-Cookie": "li_at=1; Path=/"}))

    async def work() -> None:
        async with SalesNavigatorAsyncHook() as hook, AiohttpTransport(ConnectionSettings()) as transport:
            await hook.get_analytics_export(*GET_JOB)
            assert "Authorization" not in transport._shared.session.headers
            assert list(transport._shared.session.cookie_jar) == []

    assert run_and_clean_up(work()) == []
    with SalesNavigatorHook() as hook:
        hook.get_analytics_export(*GET_JOB)
        assert "Authorization" not in hook.get_conn().headers
        assert TOKEN not in repr(vars(hook.get_conn()))
