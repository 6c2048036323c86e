"""How far a landing has come, for whoever reads the task's log meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Says how far a landing has come, now and then. Shared by its threads.

    :param log: of the task. The command line's wants lines more often, see ``seconds_between_lines``.
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
        """Note that a file has come to its end."""
        with self._lock:
            self._done.add(name)

    def reached(self, name: str, size: int) -> None:
        """Note how many bytes of a file's CSV have come; say so every ten seconds.

        A download that starts over counts anew.
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
