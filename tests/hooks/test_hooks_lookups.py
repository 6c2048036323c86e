"""One look-up of a connection serves all triggers that start together, and never for long."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from scripted_server import ScriptedServer, restli

from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.errors import (
    SalesNavigatorAuthenticationError,
    SalesNavigatorConfigurationError,
)
from airflow_provider_snav.hooks import connection_cache
from airflow_provider_snav.hooks.connection_cache import forget, look_up
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook

GET_JOB = (7, "urn:li:contract:123456")


class Connection:
    """What looking up takes: a moment, and each time it is told."""

    def __init__(self) -> None:
        self.reads = 0
        self.broken = False

    async def __call__(self) -> ConnectionSettings:
        self.reads += 1
        await asyncio.sleep(0)
        if self.broken:
            raise SalesNavigatorConfigurationError("There is no connection.")
        return ConnectionSettings()


@pytest.fixture
def read() -> Connection:
    return Connection()


def in_one_loop(*steps: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
    async def run() -> list[Any]:
        return [await step() for step in steps]

    return asyncio.run(run())


def test_all_who_ask_at_once_and_soon_after_share_one_look_up(read: Connection) -> None:
    async def many() -> list[ConnectionSettings]:
        return await asyncio.gather(*(look_up("snav_default", read) for _ in range(100)))

    first, second = in_one_loop(many, many)
    assert read.reads == 1
    assert {id(settings) for settings in first + second} == {id(first[0])}


def test_another_connection_and_another_loop_are_looked_up_for_themselves(read: Connection) -> None:
    in_one_loop(lambda: look_up("snav_default", read), lambda: look_up("snav_other", read))
    in_one_loop(lambda: look_up("snav_default", read))
    assert read.reads == 3


def test_a_look_up_is_not_kept_for_long(read: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_cache, "KEPT_SECONDS", 0)
    in_one_loop(*[lambda: look_up("snav_default", read)] * 2)
    assert read.reads == 2


def test_a_look_up_that_fails_fails_for_all_who_wait_and_is_not_kept(read: Connection) -> None:
    async def both() -> list[Any]:
        return await asyncio.gather(*[look_up("snav_default", read)] * 2, return_exceptions=True)

    async def after() -> list[Any]:
        read.broken = False
        return await both()

    read.broken = True
    failed, found = in_one_loop(both, after)
    assert [type(error) for error in failed] == [SalesNavigatorConfigurationError] * 2
    assert found == [ConnectionSettings()] * 2
    assert read.reads == 2


def test_who_gives_up_waiting_does_not_cancel_it_for_the_others(read: Connection) -> None:
    async def run() -> None:
        patient, hasty = (asyncio.create_task(look_up("snav_default", read)) for _ in range(2))
        await asyncio.sleep(0)
        hasty.cancel()
        assert await patient == ConnectionSettings()
        assert hasty.cancelled()

    asyncio.run(run())
    assert read.reads == 1


def test_even_when_the_first_to_ask_gives_up(read: Connection) -> None:
    async def run() -> None:
        hasty, patient = (asyncio.create_task(look_up("snav_default", read)) for _ in range(2))
        await asyncio.sleep(0)
        hasty.cancel()
        assert await patient == ConnectionSettings()

    asyncio.run(run())
    assert read.reads == 1


def test_one_that_fails_when_all_have_given_up_fails_in_silence(read: Connection) -> None:
    complaints: list[Any] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        hasty = asyncio.create_task(look_up("snav_default", read))
        await asyncio.sleep(0)
        hasty.cancel()
        for _ in range(4):
            await asyncio.sleep(0)
        gc.collect()

    read.broken = True
    asyncio.run(run())
    assert read.reads == 1
    assert complaints == []


def test_a_loop_that_ends_meanwhile_ends_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    async def never() -> ConnectionSettings:
        return await asyncio.get_running_loop().create_future()

    async def run() -> None:
        asyncio.create_task(look_up("snav_default", never))  # noqa: RUF006 - the end of the loop is what ends it
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_what_was_refused_is_looked_up_again_once_however_many_were_refused(read: Connection) -> None:
    async def run() -> None:
        old = await look_up("snav_default", read)
        forget("snav_default", old)
        new = await look_up("snav_default", read)
        forget("snav_default", old)
        assert await look_up("snav_default", read) is new

    asyncio.run(run())
    assert read.reads == 2


def test_what_was_looked_up_does_not_keep_a_loop_alive(read: Connection) -> None:
    async def run() -> weakref.ref[asyncio.AbstractEventLoop]:
        await look_up("snav_default", read)
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(run())
    gc.collect()
    assert loop() is None


def test_a_refused_token_is_read_anew_by_the_hook_it_was_refused_to_and_by_the_next(
    server: ScriptedServer, connect: Callable[..., None]
) -> None:
    async def run() -> None:
        async with SalesNavigatorAsyncHook() as hook:
            server.script(restli({"id": 7, "status": "PROCESSING"}))
            await hook.get_analytics_export(*GET_JOB)
            connect(f"{server.origin}/v2", password="a-new-token")
            await SalesNavigatorAsyncHook().get_analytics_export(*GET_JOB)
            assert [request.bearer for request in server.requests] == ["an-old-token"] * 2
            server.script(restli({"status": 401}, 401), restli({"id": 7, "status": "PROCESSING"}))
            with pytest.raises(SalesNavigatorAuthenticationError):
                await hook.get_analytics_export(*GET_JOB)
            await hook.get_analytics_export(*GET_JOB)
            await SalesNavigatorAsyncHook().get_analytics_export(*GET_JOB)
            assert [request.bearer for request in server.requests] == ["an-old-token", *["a-new-token"] * 2]

    connect(f"{server.origin}/v2", password="an-old-token")
    asyncio.run(run())
