"""Hash and write one file, optionally in a second thread while the first thread receives and counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from airflow_provider_snav.storage.staging import Stage

# To pass a piece to another thread takes as long as to hash about 100 KiB, so pieces are large.
_PIECE_BYTES: Final = 1024 * 1024
_MOST_AHEAD: Final = 2


class HashingWriter:
    """Writes to a stage and computes the SHA-256 of all bytes.

    Hashing and writing release Python's global lock, and counting CSV records does not. In two threads,
    all three take little longer than counting alone.

    :param stage: the file to write.
    :param beside: True to hash and write in a second thread, which uses up to 8 MiB more memory. Files that
        land in parallel do not need it, because one file is hashed while another is counted.
    :ivar bytes: the number of bytes written. It is final after :meth:`finish`.
    """

    def __init__(self, stage: Stage, *, beside: bool) -> None:
        self.bytes = 0
        self._stage = stage
        self._digest = sha256()
        self._piece: list[bytes] = []
        self._length = 0
        self._pending: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snav-writing") if beside else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The caller may discard the stage only after the thread has stopped writing.
        if self._thread:
            self._thread.shutdown(cancel_futures=True)

    def write(self, data: bytes) -> None:
        """Append ``data``.

        :raises SalesNavigatorDestinationError: the store refused these or earlier bytes.
        """
        if not self._thread:
            self._put([data])
            return
        self._piece.append(data)
        self._length += len(data)
        if self._length >= _PIECE_BYTES:
            self._hand_over(self._thread)

    def finish(self) -> str:
        """Write the rest.

        :returns: the SHA-256 of all bytes, in hexadecimal digits.
        :raises SalesNavigatorDestinationError: the store refused some of the bytes.
        """
        if self._thread:
            self._hand_over(self._thread)
        while self._pending:
            self._pending.popleft().result()
        return self._digest.hexdigest()

    def _hand_over(self, thread: ThreadPoolExecutor) -> None:
        if len(self._pending) == _MOST_AHEAD:
            self._pending.popleft().result()
        self._pending.append(thread.submit(self._put, self._piece))
        self._piece, self._length = [], 0

    def _put(self, piece: Iterable[bytes]) -> None:
        data = b"".join(piece)
        self._digest.update(data)
        self._stage.write(data)
        self.bytes += len(data)
