"""The clock of a sandbox."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

MILLISECOND = timedelta(milliseconds=1)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Clock:
    """The time in epoch milliseconds: the real time plus the time added by `advance`.

    :param seconds: returns the real time in epoch seconds.
    """

    def __init__(self, seconds: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._ahead_ms = 0

    def now(self) -> int:
        return int(self._seconds() * 1000) + self._ahead_ms

    def advance(self, by: timedelta) -> None:
        self._ahead_ms += by // MILLISECOND
