"""Compressed bytes undone as a stream, and seen to their end. Pure: bytes in, bytes out.

A file that LinkedIn compressed and a transfer that a proxy compressed are undone by the same code. Memory is
constant: a chunk of what came and a piece of the output are held at a time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from airflow_provider_snav.api.errors import (
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)

MAX_RATIO = 200
"""Bytes unpacked for each byte that came over the wire, at most.

Rows that each name a member or a CRM record compress about fivefold; deflate can reach 1032, and only
an archive built to fill a disk comes near that.
"""

RATIO_FREE_BYTES = 64 * 1024 * 1024
"""Bytes unpacked before :data:`MAX_RATIO` counts, so that a small and very uniform file is not suspect."""

GZIP = b"\x1f\x8b"

_PIECE_BYTES = 1024 * 1024
# gzip allows zeros behind a member; some tools add a line end.
_GZIP_PADDING = b"\0\r\n"


class ByteStream:
    """Chunks, with a way to look ahead and to put back what was not used."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = filter(None, chunks)
        self._held = b""
        self._received = 0

    @property
    def consumed(self) -> int:
        return self._received - len(self._held)

    def read(self) -> bytes:
        """Return the next bytes, however many there are; none at the end."""
        held, self._held = self._held, b""
        return held or self._receive()

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes and keep them; fewer only at the end."""
        while len(self._held) < size and (chunk := self._receive()):
            self._held = self._held + chunk if self._held else chunk
        return self._held[:size]

    def take(self, size: int) -> bytes:
        """Return exactly the next ``size`` bytes."""
        taken = self.peek(size)
        if len(taken) < size:
            raise broken("ends within an archive's header")
        self._held = self._held[size:]
        return taken

    def skip(self, padding: bytes) -> None:
        """Go on to the first byte that is not one of these."""
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
    """Hand on what is unpacked, as long as it is not absurdly more than what came.

    :param received: bytes that came over the wire so far; the bound holds for codings inside codings too.
    :raises SalesNavigatorLandingError: it is more than :data:`MAX_RATIO` times as much.
    """
    unpacked = 0
    for piece in pieces:
        unpacked += len(piece)
        if unpacked > RATIO_FREE_BYTES + MAX_RATIO * received():
            raise unusable(f"unpacks to more than {MAX_RATIO} times its own size")
        yield piece


def gunzip(stream: ByteStream) -> Iterator[bytes]:
    """Undo gzip, of one member or several, up to the end of the stream. Document: RFC 1952.

    :raises SalesNavigatorIncompleteDownloadError: the data ends early, is damaged, or is not gzip.
    """
    while True:
        yield from inflate(stream, wbits=16 + zlib.MAX_WBITS)
        stream.skip(_GZIP_PADDING)
        if not (rest := stream.peek(len(GZIP))):
            return
        if rest != GZIP:
            raise broken("goes on behind its gzip data")


def inflate(stream: ByteStream, wbits: int) -> Iterator[bytes]:
    """Undo deflate in one of zlib's containers, and put back what follows it."""
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
    """The error for compressed data that was damaged on the way."""
    return SalesNavigatorIncompleteDownloadError(
        f"The download {how}: it was cut short or damaged on the way."
    )


def unusable(how: str) -> SalesNavigatorLandingError:
    """The error for an archive that another download would not make readable."""
    return SalesNavigatorLandingError(f"The download {how}. A retry will not change that.", retryable=False)
