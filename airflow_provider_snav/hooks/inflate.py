"""Decompresses a stream and verifies its end. Pure: bytes in, bytes out.

The same code serves files that LinkedIn compressed and transfers that a proxy compressed. Memory is constant:
one chunk of the input and one piece of the output.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from airflow_provider_snav.api.errors import (
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)

MAX_RATIO = 200
"""The most unpacked bytes for each byte received.

Rows that name a member or a CRM record shrink to about a fifth. Deflate can reach a ratio of 1032, but only
with an archive that was built to fill a disk.
"""

RATIO_FREE_BYTES = 64 * 1024 * 1024
"""Unpacked bytes before :data:`MAX_RATIO` applies, so that a small, uniform file is not refused."""

GZIP = b"\x1f\x8b"

_PIECE_BYTES = 1024 * 1024
# The gzip format allows zeros after a member. Some tools add a line end.
_GZIP_PADDING = b"\0\r\n"


class ByteStream:
    """Chunks of bytes. A reader can look ahead and put back unused bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = filter(None, chunks)
        self._held = b""
        self._received = 0

    @property
    def consumed(self) -> int:
        return self._received - len(self._held)

    def read(self) -> bytes:
        """Return the next bytes, of any number; no bytes at the end."""
        held, self._held = self._held, b""
        return held or self._receive()

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes without consuming them; fewer only at the end."""
        while len(self._held) < size and (chunk := self._receive()):
            self._held = self._held + chunk if self._held else chunk
        return self._held[:size]

    def take(self, size: int) -> bytes:
        """Return exactly the next ``size`` bytes.

        :raises SalesNavigatorIncompleteDownloadError: there are fewer.
        """
        taken = self.peek(size)
        if len(taken) < size:
            raise broken("ends within an archive's header")
        self._held = self._held[size:]
        return taken

    def skip(self, padding: bytes) -> None:
        """Skip bytes up to the first that is not in ``padding``."""
        while chunk := self.read():
            if rest := chunk.lstrip(padding):
                self.put_back(rest)
                return

    def put_back(self, unused: bytes) -> None:
        self._held = unused + self._held

    def _receive(self) -> bytes:
        chunk = next(self._chunks, b"")
        self._received += len(chunk)
        return chunk


def within_ratio(pieces: Iterable[bytes], received: Callable[[], int]) -> Iterator[bytes]:
    """Yield the unpacked pieces while their size stays within :data:`MAX_RATIO`.

    :param received: returns the number of bytes received so far. The limit also holds for nested codings.
    :raises SalesNavigatorLandingError: the unpacked bytes exceed the limit.
    """
    unpacked = 0
    for piece in pieces:
        unpacked += len(piece)
        if unpacked > RATIO_FREE_BYTES + MAX_RATIO * received():
            raise unusable(f"unpacks to more than {MAX_RATIO} times its own size")
        yield piece


def gunzip(stream: ByteStream) -> Iterator[bytes]:
    """Decompress all gzip members up to the end of the stream. Document: RFC 1952.

    :raises SalesNavigatorIncompleteDownloadError: the data ends early, is damaged, or is not gzip.
    """
    while True:
        yield from inflate(stream, wbits=16 + zlib.MAX_WBITS)
        stream.skip(_GZIP_PADDING)
        if not (rest := stream.peek(len(GZIP))):
            return
        if rest != GZIP:
            raise broken("has more bytes after its gzip data")


def inflate(stream: ByteStream, wbits: int) -> Iterator[bytes]:
    """Decompress one deflate stream, and put back the bytes after it.

    :param wbits: names the container, as zlib does.
    :raises SalesNavigatorIncompleteDownloadError: the data ends early or is damaged.
    """
    inflater = zlib.decompressobj(wbits)
    while not inflater.eof:
        packed = inflater.unconsumed_tail or stream.read()
        try:
            piece = inflater.decompress(packed, _PIECE_BYTES)
        except zlib.error as error:
            raise broken(f"cannot be decompressed ({error})") from error
        if piece:
            yield piece
        elif not packed:
            raise broken("ends in the middle of its compressed data")
    stream.put_back(inflater.unused_data)


def broken(how: str) -> SalesNavigatorIncompleteDownloadError:
    """Return the error for compressed data that was damaged in the transfer."""
    return SalesNavigatorIncompleteDownloadError(
        f"The download {how}: it was cut short or damaged in the transfer."
    )


def unusable(how: str) -> SalesNavigatorLandingError:
    """Return the error for an archive that another download would not repair."""
    return SalesNavigatorLandingError(f"The download {how}. A retry will not change that.", retryable=False)
