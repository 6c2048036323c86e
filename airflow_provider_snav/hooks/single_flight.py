"""Single-flight: concurrent callers with the same key share one asyncio task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def shared(
    tasks: dict[str, asyncio.Task[T]], key: str, start: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """Return the result of the running task with this key. Start a task if there is none.

    Cancelling one caller does not stop the task. If the task fails, all its callers get the error.

    :param tasks: the running tasks of one event loop. A task that ends is removed.
    """
    if key not in tasks:
        tasks[key] = asyncio.create_task(start())
        tasks[key].add_done_callback(lambda done: _end(tasks, key, done))
    return await asyncio.shield(tasks[key])


def _end(tasks: dict[str, asyncio.Task[T]], key: str, done: asyncio.Task[T]) -> None:
    del tasks[key]
    if not done.cancelled():
        # If all callers were cancelled, asyncio would log that nobody read the exception.
        done.exception()
