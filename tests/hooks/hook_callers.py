"""The two hooks behind one signature, and what the tests' connections hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from scripted_server import ScriptedServer

from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook

TOKEN = "AQ-connection-token-" + "x" * 400
CLIENT_ID = "client-id"
CLIENT_SECRET = "a-client-secret"
REFRESH_TOKEN = "AQ-refresh-token-" + "y" * 400

TRIES = 3

Caller: TypeAlias = Callable[..., Any]


def application(server: ScriptedServer) -> dict[str, str]:
    """The fields of a connection whose client id and secret mint tokens at this server."""
    return {"login": CLIENT_ID, "client_secret": CLIENT_SECRET, "token_url": f"{server.origin}/token"}


def over_requests(method: str, *arguments: Any) -> Any:
    with SalesNavigatorHook() as hook:
        return getattr(hook, method)(*arguments)


def over_aiohttp(method: str, *arguments: Any) -> Any:
    async def call() -> Any:
        return await getattr(SalesNavigatorAsyncHook(), method)(*arguments)

    return asyncio.run(call())


CALLERS = {"requests": over_requests, "aiohttp": over_aiohttp}
