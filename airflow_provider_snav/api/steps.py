"""How a driver talks to a generator that decides but does no I/O."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """The generator is done; ``value`` is its result."""

    value: T


def resume(steps: Generator[S, Any, T], reply: object) -> S | Finished[T]:
    """Get the next step.

    :param reply: what came of the last step; None before the first. An error is raised in the generator.
    """
    try:
        return steps.throw(reply) if isinstance(reply, Exception) else steps.send(reply)
    except StopIteration as end:
        return Finished(end.value)
