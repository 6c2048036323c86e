"""The progress of a landing, for the task's log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Logs the progress of a landing at intervals. All threads of the landing share it.

    :param files: the number of files to land.
    :param log: the logger of the task. Its attribute ``seconds_between_lines`` changes the interval of 10
        seconds; the command line uses that.
    :param clock: returns the time in seconds.
    """

    def __init__(self, files: int, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._log = log
        self._lock = threading.Lock()
        self._done: set[str] = set()
        self._bytes: dict[str, int] = {}
        self._clock = clock
        self._began = self._told = clock()
        self._pause: float = getattr(log, "seconds_between_lines", _SECONDS_BETWEEN_LINES)

    def done(self, name: str) -> None:
        """Record that the download of a file is complete."""
        with self._lock:
            self._done.add(name)

    def reached(self, name: str, size: int) -> None:
        """Record how much of a file has been downloaded. Log the progress if the interval has passed.

        :param name: of the file.
        :param size: the bytes of its CSV so far. A new download of the file starts again at 0.
        """
        with self._lock:
            self._bytes[name] = size
            now = self._clock()
            if now - self._told >= self._pause:
                self._told = now
                mib = sum(self._bytes.values()) / 2**20
                self._log.info(
                    "Downloaded %s of %s files so far, %.1f MiB, %.1f MiB/s",
                    len(self._done),
                    self._files,
                    mib,
                    mib / (now - self._began),
                )
