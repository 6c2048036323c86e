"""Performs the steps of a call: on a worker, and in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_snav.api.messages import Credential, NeedToken, Reply, Request, Sleep, Step, Token

if TYPE_CHECKING:
    from airflow_provider_snav._stopping import Stopping
    from airflow_provider_snav.hooks.aiohttp_transport import AiohttpTransport
    from airflow_provider_snav.hooks.requests_transport import RequestsTransport

_WAITING = "Waiting %.1f s: %s"


def on_worker(
    transport: RequestsTransport,
    get_token: Callable[[Credential, Token | None], Token | None],
    stopping: Stopping,
    after_wait: Callable[[], None] | None,
    log: Any,
) -> Callable[[Step], Reply]:
    """Return the ``perform`` of :func:`~airflow_provider_snav.api.messages.drive`.

    It raises SalesNavigatorStoppedError if Airflow stopped the task, and then sends nothing more.

    :param after_wait: runs after each pause. It may raise an error.
    """

    def perform(step: Step) -> Reply:
        match step:
            case Request():
                stopping.check()
                return transport.send(step)
            case NeedToken(credential, refused):
                return get_token(credential, refused)
            case Sleep(seconds, reason):
                log.info(_WAITING, seconds, reason)
                stopping.sleep(seconds)
                if after_wait:
                    after_wait()
                return None

    return perform


def in_triggerer(
    transport: AiohttpTransport,
    get_token: Callable[[Credential, Token | None], Awaitable[Token | None]],
    log: Any,
) -> Callable[[Step], Awaitable[Reply]]:
    """Return the ``perform`` of :func:`~airflow_provider_snav.api.messages.adrive`."""

    async def perform(step: Step) -> Reply:
        match step:
            case Request():
                return await transport.send(step)
            case NeedToken(credential, refused):
                return await get_token(credential, refused)
            case Sleep(seconds, reason):
                log.info(_WAITING, seconds, reason)
                await asyncio.sleep(seconds)
                return None

    return perform
