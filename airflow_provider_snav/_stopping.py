"""Ends a task when Airflow stops it.

Airflow 3 calls ``on_kill`` in a signal handler, which can interrupt any line of the main thread; that line
then continues. So ``on_kill`` raises nothing. It marks the task as stopped, and ends its waits and
connections. The task itself raises before its next wait, request or publication.
"""

from __future__ import annotations

import select
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Final

from airflow_provider_snav.api.errors import SalesNavigatorStoppedError

# A cleared task is killed five seconds after its SIGTERM.
_PATIENCE_SECONDS: Final = 3.0

_LONGEST_NAP_SECONDS: Final = 0.5


class Stopping:
    """Records whether one task was stopped. All threads and connections of the task share it.

    :meth:`stop` is safe in a signal handler, because it takes no lock that the interrupted line may hold.
    ``threading.Event.set`` is not safe: it would block for ever if it interrupted ``Event.wait``.
    """

    def __init__(self) -> None:
        self.stopped = False
        # Locked until the task is stopped. A sleep waits for this lock, and a release never blocks.
        self._gate = threading.Lock()
        self._gate.acquire()
        # The key is the file descriptor, so that new connections replace closed ones.
        self._sockets: dict[int, weakref.ref[socket.socket]] = {}
        self._is_creating = False
        self._creating: socket.socket | None = None

    def stop(self) -> None:
        """End every wait, now and later. Raise nothing."""
        if self.stopped:
            return
        self.stopped = True
        with suppress(RuntimeError):  # a second signal may have released it in between
            self._gate.release()
        if self._is_creating and self._creating is None:
            # The creation is being sent, perhaps on a connection that was used before. watch() will end it.
            return
        # list() runs in one step, while other threads may add connections.
        for reference in list(self._sockets.values()):
            self._end(reference())

    def check(self) -> None:
        """Raise if the task was stopped.

        :raises SalesNavigatorStoppedError: the task was stopped.
        """
        if self.stopped:
            raise SalesNavigatorStoppedError("Airflow stopped this task.")

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds, or until the task is stopped.

        :raises SalesNavigatorStoppedError: the task was stopped.
        """
        end = time.monotonic() + seconds
        while not self.stopped and (left := end - time.monotonic()) > 0:
            # Wait in short steps, because Python may run a signal handler only after the wait.
            if self._gate.acquire(timeout=min(left, _LONGEST_NAP_SECONDS)):
                self._gate.release()
        self.check()

    def watch(self, connection: socket.socket) -> None:
        """Register a connection, which a stop then ends."""
        self._sockets[connection.fileno()] = weakref.ref(connection)
        if self._is_creating:
            self._creating = connection
        if self.stopped:
            self._end(connection)

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Give this request some seconds after a stop, because its answer holds the id of a new job.

        Without the id a retry would submit the export again.
        """
        self._is_creating = True
        try:
            yield
        finally:
            self._is_creating, self._creating = False, None

    @contextmanager
    def stopped_by_interrupt(self) -> Iterator[None]:
        """Stop the other threads of a task if its main thread is interrupted, as by ``execution_timeout``."""
        try:
            yield
        except BaseException as interrupt:  # a timeout or a kill must stop all threads of this task
            if not isinstance(interrupt, Exception):
                self.stop()
            raise

    def _end(self, connection: socket.socket | None) -> None:
        if connection is None:
            return
        with suppress(OSError, ValueError, TypeError):
            if connection is self._creating:
                answer = select.poll()
                answer.register(connection, select.POLLIN)
                if answer.poll(_PATIENCE_SECONDS * 1000):
                    return
            # Not the method of an SSL socket, which removes the TLS layer while another thread reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Stoppable:
    """Makes an operator end soon after Airflow stops it."""

    # Created when needed, because an operator with a lock could not be copied.
    @cached_property
    def _stopping(self) -> Stopping:
        return Stopping()

    def on_kill(self) -> None:
        """End the waits of this task. It then fails with an error that says what became of the jobs."""
        self._stopping.stop()
