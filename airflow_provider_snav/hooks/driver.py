"""The two loops over the steps of one call: the worker's and the triggerer's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.steps import Finished, resume
from airflow_provider_snav.api.wire import (
    Credential,
    NeedToken,
    Reply,
    Request,
    Sleep,
    Step,
    Token,
)

if TYPE_CHECKING:
    from airflow_provider_snav._stopping import Stopping
    from airflow_provider_snav.hooks.async_transport import AiohttpTransport
    from airflow_provider_snav.hooks.transport import RequestsTransport

T = TypeVar("T")


def drive(
    steps: Generator[Step, Reply, T],
    transport: RequestsTransport,
    get_token: Callable[[Credential, Token | None], Token],
    stopping: Stopping,
    after_wait: Callable[[], None] | None,
    log: Any,
) -> T:
    """Do what the steps name, and return their result.

    :param after_wait: is called after each pause, and may raise.
    :raises SalesNavigatorStoppedError: Airflow stopped the task; nothing is sent after that.
    """
    reply: Reply | SalesNavigatorError = None
    while True:
        step = resume(steps, reply)
        try:
            match step:
                case Request():
                    stopping.check()
                    reply = transport.send(step)
                case NeedToken(credential, refused):
                    reply = get_token(credential, refused)
                case Sleep(seconds, reason):
                    log.info("Waiting %.1f s: %s", seconds, reason)
                    stopping.sleep(seconds)
                    if after_wait:
                        after_wait()
                    reply = None
                case Finished():
                    return step.value
        except SalesNavigatorError as error:
            reply = error


async def adrive(
    steps: Generator[Step, Reply, T],
    transport: AiohttpTransport,
    get_token: Callable[[Credential, Token | None], Awaitable[Token]],
    log: Any,
) -> T:
    """See :func:`drive`; a trigger is stopped by cancelling it."""
    reply: Reply | SalesNavigatorError = None
    while True:
        step = resume(steps, reply)
        try:
            match step:
                case Request():
                    reply = await transport.send(step)
                case NeedToken(credential, refused):
                    reply = await get_token(credential, refused)
                case Sleep(seconds, reason):
                    log.info("Waiting %.1f s: %s", seconds, reason)
                    await asyncio.sleep(seconds)
                    reply = None
                case Finished():
                    return step.value
        except SalesNavigatorError as error:
            reply = error
