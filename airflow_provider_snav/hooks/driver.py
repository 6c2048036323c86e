"""The worker's loop over the steps of one call; the triggerer's is in its hook."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.refusals import doubted
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
    reply: Reply = None
    while True:
        step = resume(steps, reply)
        match step:
            case Request():
                stopping.check()
                reply = transport.send(step)
            case NeedToken(credential, refused):
                reply = get_token(credential, refused)
            case Sleep(seconds, reason, jobs):
                log.info("Waiting %.1f s: %s", seconds, reason)
                try:
                    stopping.sleep(seconds)
                    if after_wait:
                        after_wait()
                except SalesNavigatorError as error:
                    doubted(error, jobs)
                    raise
                reply = None
            case Finished():
                return step.value
