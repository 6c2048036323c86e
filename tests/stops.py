"""Stop a task as Airflow does: by a signal, at the moment a test chooses."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta


class Silence(timedelta):
    """Five minutes, and whether they have begun: the call has arrived and is not answered."""

    has_begun = False

    def total_seconds(self) -> float:
        self.has_begun = True
        return super().total_seconds()


class Interrupted(BaseException):
    """What Airflow raises in the main thread when ``execution_timeout`` is over."""


@contextmanager
def on_signal(handler: Callable[[], None]) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda *_: handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def stop_once(condition: Callable[[], object]) -> None:
    """Send this process the signal when the condition is true."""

    def wait() -> None:
        while not condition():
            time.sleep(0.01)
        # The request has arrived; its sender needs a moment to wait for the answer.
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=wait, daemon=True).start()
