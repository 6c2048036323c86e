"""Single-flight: concurrent callers with the same key share one asyncio task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def shared(
    tasks: dict[str, asyncio.Task[T]], key: str, start: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """What the task of this key returns: the one on its way, or else a new one.

    It serves all who wait, and outlives those of them who give up. If it fails, it fails for all of them.

    :param tasks: of one event loop; those that have ended are taken out.
    """
    if key not in tasks:
        tasks[key] = asyncio.create_task(start())
        tasks[key].add_done_callback(lambda done: _end(tasks, key, done))
    return await asyncio.shield(tasks[key])


def _end(tasks: dict[str, asyncio.Task[T]], key: str, done: asyncio.Task[T]) -> None:
    del tasks[key]
    if not done.cancelled():
        # Where all who waited have given up, asyncio would complain that nobody asked.
        done.exception()
