"""How a task ends when Airflow stops it.

Airflow 3 calls ``on_kill`` in a signal handler, in the middle of any line of the main thread, and that line
then goes on. So ``on_kill`` raises nothing: it marks the task as stopped and ends its waits and connections.
The task itself raises at the next place where it would wait, send or publish.
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
    """Whether one task was stopped, shared by all that may wait on its behalf.

    :meth:`stop` is safe in a signal handler: it takes no lock that the interrupted line may hold.
    ``threading.Event.set`` is not: it would wait for ever if it interrupted ``Event.wait``.
    """

    def __init__(self) -> None:
        self.stopped = False
        # Locked until the task is stopped: waiting for it is sleeping, and a release never waits.
        self._gate = threading.Lock()
        self._gate.acquire()
        # By file descriptor, so that those of closed connections are replaced.
        self._sockets: dict[int, weakref.ref[socket.socket]] = {}
        self._is_creating = False
        self._creating: socket.socket | None = None

    def stop(self) -> None:
        """End every wait, now and later. Raises nothing."""
        if self.stopped:
            return
        self.stopped = True
        with suppress(RuntimeError):  # a second signal may have released it in between
            self._gate.release()
        # One step of C code: other threads may open connections meanwhile.
        for reference in list(self._sockets.values()):
            self._end(reference())

    def check(self) -> None:
        """Raise if the task was stopped.

        :raises SalesNavigatorStoppedError: the task was stopped.
        """
        if self.stopped:
            raise SalesNavigatorStoppedError("Airflow stopped this task.")

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the task is stopped.

        :raises SalesNavigatorStoppedError: the task was stopped.
        """
        end = time.monotonic() + seconds
        while not self.stopped and (left := end - time.monotonic()) > 0:
            # In short naps: Python may run a signal handler only after the main thread wakes.
            if self._gate.acquire(timeout=min(left, _LONGEST_NAP_SECONDS)):
                self._gate.release()
        self.check()

    def watch(self, connection: socket.socket) -> None:
        """Let a stop end this connection, from here on until it is closed."""
        self._sockets[connection.fileno()] = weakref.ref(connection)
        if self._is_creating:
            self._creating = connection
        if self.stopped:
            self._end(connection)

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Leave the connection of this request some time after a stop: its answer holds a job's id.

        Without the id a retry has to submit the export once more.
        """
        self._is_creating = True
        try:
            yield
        finally:
            self._is_creating, self._creating = False, None

    @contextmanager
    def stopped_by_interrupt(self) -> Iterator[None]:
        """Stop the other threads of a task when its own is interrupted, as ``execution_timeout`` does."""
        try:
            yield
        except BaseException as interrupt:  # a time-out, a kill: nothing else may go on in this task
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
            # Not the method of an SSL socket, which would take the TLS layer from under a reader.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Stoppable:
    """What makes an operator end soon after Airflow stops it."""

    # Made where it is needed: an operator with a lock in it could not be copied.
    @cached_property
    def _stopping(self) -> Stopping:
        return Stopping()

    def on_kill(self) -> None:
        """End what this task waits for; it then fails with an error that says what became of the jobs."""
        self._stopping.stop()
