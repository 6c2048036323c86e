"""Hashing and writing one file beside the thread that receives and counts it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from airflow_provider_snav.storage.staging import Stage

# Each hand-over between two threads costs as much as hashing some 100 KiB.
_PIECE_BYTES: Final = 1024 * 1024
_MOST_AHEAD: Final = 2


class HashingWriter:
    """Writes to a stage and takes the SHA-256 of what it wrote, on a thread of its own.

    Hashing and writing let other threads run, and counting CSV records does not: together they take little
    longer than counting alone. Memory holds :data:`_MOST_AHEAD` pieces of a MiB more.

    :ivar bytes: how many were written; final after :meth:`finish`.
    """

    def __init__(self, stage: Stage) -> None:
        self.bytes = 0
        self._stage = stage
        self._digest = sha256()
        self._piece: list[bytes] = []
        self._length = 0
        self._pending: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snav-writing")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The stage may be discarded once nobody writes to it any more.
        self._thread.shutdown(cancel_futures=True)

    def write(self, data: bytes) -> None:
        """Append ``data``.

        :raises SalesNavigatorDestinationError: the storage refused earlier bytes.
        """
        self._piece.append(data)
        self._length += len(data)
        if self._length >= _PIECE_BYTES:
            self._hand_over()

    def finish(self) -> str:
        """Write the rest.

        :returns: the SHA-256 of everything, in hexadecimal digits.
        :raises SalesNavigatorDestinationError: the storage refused.
        """
        self._hand_over()
        while self._pending:
            self._pending.popleft().result()
        return self._digest.hexdigest()

    def _hand_over(self) -> None:
        if len(self._pending) == _MOST_AHEAD:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._put, self._piece))
        self._piece, self._length = [], 0

    def _put(self, piece: Iterable[bytes]) -> None:
        data = b"".join(piece)
        self._digest.update(data)
        self._stage.write(data)
        self.bytes += len(data)
