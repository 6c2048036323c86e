"""Downloads as they should have been: zip and gzip unpacked as a stream, everything else as it came.

LinkedIn's documents speak of a "CSV stream" in one place and of a "CSV zip" in another, so the first
bytes decide. Memory is constant: a chunk of the download and a piece of the output are held at a time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from airflow_provider_snav.api.errors import (
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)

MAX_RATIO = 200
"""Bytes unpacked for each byte downloaded, at most.

Rows that each name a member or a CRM record compress about fivefold; deflate can reach 1032, and only
an archive built to fill a disk comes near that.
"""

RATIO_FREE_BYTES = 64 * 1024 * 1024
"""Bytes unpacked before :data:`MAX_RATIO` counts, so that a small and very uniform file is not suspect."""

_PIECE_BYTES = 1024 * 1024

_GZIP = b"\x1f\x8b"
_ZIP_MEMBER = b"PK\x03\x04"
_ZIP_DESCRIPTOR = b"PK\x07\x08"
_ZIP_DIRECTORY = b"PK\x01\x02"
_ZIP_END = b"PK\x05\x06"

# No column has such a name.
_NO_CSV = (b"<", b"{", b"[")
_BLANK = b"\xef\xbb\xbf \t\r\n"
_LOOK_BYTES = 64

# Of a member's header: flags, method, CRC-32, packed size, (unpacked size,) lengths of name and extra.
_MEMBER_HEADER = struct.Struct("<6x2H4x2L4x2H")
_ENCRYPTED, _SIZES_FOLLOW = 0x0001, 0x0008
_STORED, _DEFLATED = 0, 8
_SIZE_IS_ELSEWHERE = 0xFFFFFFFF
_END_RECORD = struct.Struct("<20xH")
# Up to 64 KiB each: a directory entry's name, extra and comment, and the archive's own comment.
_MAX_ZIP_TAIL_BYTES = 5 * 64 * 1024
_WRONG_CHECKSUM = "does not match the checksum in its zip archive"


def unpack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a download: of the one file in a zip, of a gzip, or the bytes as they came.

    Nothing is read before the first item is asked for. Plain chunks are handed on, not copied.
    When the iterator ends, the download has been read to its end and an archive's checksum has been verified.

    :param chunks: the download, in pieces of any size.
    :raises SalesNavigatorIncompleteDownloadError: the archive ends early or is damaged; or a web page or JSON
        came in place of a file, as from a login page at the end of a redirect.
    :raises SalesNavigatorLandingError: the archive holds several files or none, is encrypted or packed by
        a method other than deflate, or unpacks to more than :data:`MAX_RATIO` times its own size.
    """
    beginning = b""
    for piece in _content(_Download(chunks)):
        if not beginning:
            beginning = piece[:_LOOK_BYTES].lstrip(_BLANK)
            if beginning.startswith(_NO_CSV):
                raise SalesNavigatorIncompleteDownloadError(
                    "The download is a web page or JSON, not a CSV file."
                )
        yield piece


def _content(download: _Download) -> Iterator[bytes]:
    magic = download.peek(len(_ZIP_MEMBER))
    if magic.startswith(_GZIP):
        yield from _within_ratio(_gunzip(download), download)
    elif magic == _ZIP_MEMBER:
        yield from _within_ratio(_unzip(download), download)
    elif magic == _ZIP_END:
        raise _unusable("is a zip archive with no file in it")
    else:
        while chunk := download.read():
            yield chunk


class _Download:
    """Chunks, with a way to look ahead and to put back what was not used."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = filter(None, chunks)
        self._held = b""
        self.received = 0

    @property
    def consumed(self) -> int:
        return self.received - len(self._held)

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
            raise _broken("ends within an archive's header")
        self._held = self._held[size:]
        return taken

    def put_back(self, unused: bytes) -> None:
        self._held = unused + self._held

    def _receive(self) -> bytes:
        chunk = next(self._chunks, b"")
        self.received += len(chunk)
        return chunk


def _within_ratio(pieces: Iterator[bytes], download: _Download) -> Iterator[bytes]:
    unpacked = 0
    for piece in pieces:
        unpacked += len(piece)
        if unpacked > RATIO_FREE_BYTES + MAX_RATIO * download.received:
            raise _unusable(f"unpacks to more than {MAX_RATIO} times its own size")
        yield piece


def _gunzip(download: _Download) -> Iterator[bytes]:
    while download.peek(len(_GZIP)) == _GZIP:
        yield from _inflate(download, wbits=16 + zlib.MAX_WBITS)
    # gzip allows zeros behind the last member.
    while rest := download.read():
        if rest.strip(b"\0"):
            raise _broken("goes on behind its gzip data")


def _unzip(download: _Download) -> Iterator[bytes]:
    flags, method, crc, packed_size, name_length, extra_length = _MEMBER_HEADER.unpack(
        download.take(_MEMBER_HEADER.size)
    )
    download.take(name_length + extra_length)
    if flags & _ENCRYPTED:
        raise _unusable("is an encrypted zip archive")
    if method == _DEFLATED:
        content = _inflate(download, wbits=-zlib.MAX_WBITS)
    elif method == _STORED and not flags & _SIZES_FOLLOW and packed_size != _SIZE_IS_ELSEWHERE:
        content = _stored(download, packed_size)
    else:
        raise _unusable(f"is a zip archive of a kind (method {method}) that cannot be read as a stream")

    start = download.consumed
    actual_crc = actual_size = 0
    for piece in content:
        actual_crc = zlib.crc32(piece, actual_crc)
        actual_size += len(piece)
        yield piece
    if flags & _SIZES_FOLLOW:
        _take_descriptor(download, actual_crc, download.consumed - start, actual_size)
    elif actual_crc != crc:
        raise _broken(_WRONG_CHECKSUM)
    _check_end_of_zip(download)


def _inflate(download: _Download, wbits: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits)
    while not stream.eof:
        packed = stream.unconsumed_tail or download.read()
        try:
            piece = stream.decompress(packed, _PIECE_BYTES)
        except zlib.error as error:
            raise _broken(f"cannot be decompressed ({error})") from error
        if piece:
            yield piece
        elif not packed:
            raise _broken("ends in the middle of its compressed data")
    download.put_back(stream.unused_data)


def _stored(download: _Download, size: int) -> Iterator[bytes]:
    while size:
        chunk = download.read()
        if not chunk:
            raise _broken("ends in the middle of its zip archive")
        piece = chunk[:size]
        download.put_back(chunk[size:])
        size -= len(piece)
        yield piece


def _take_descriptor(download: _Download, crc: int, packed_size: int, size: int) -> None:
    # Writers may leave the signature out and may write sizes of 4 or of 8 bytes, and nothing in a stream
    # says which. Longest first: an empty file's short record is the beginning of its long one.
    short = struct.pack("<3L", crc, packed_size % 2**32, size % 2**32)
    long = struct.pack("<L2Q", crc, packed_size, size)
    for descriptor in (_ZIP_DESCRIPTOR + long, long, _ZIP_DESCRIPTOR + short, short):
        if download.peek(len(descriptor)) == descriptor:
            download.take(len(descriptor))
            return
    raise _broken(_WRONG_CHECKSUM)


def _check_end_of_zip(download: _Download) -> None:
    tail = download.peek(_MAX_ZIP_TAIL_BYTES)
    if tail.startswith(_ZIP_MEMBER):
        raise _unusable("is a zip archive of more than one file")
    end = tail.rfind(_ZIP_END)
    comment_at = end + _END_RECORD.size
    found = tail.startswith(_ZIP_DIRECTORY) and end > 0 and comment_at <= len(tail) < _MAX_ZIP_TAIL_BYTES
    if not found or comment_at + _END_RECORD.unpack_from(tail, end)[0] > len(tail):
        raise _broken("ends before its zip archive does")


def _broken(how: str) -> SalesNavigatorIncompleteDownloadError:
    return SalesNavigatorIncompleteDownloadError(
        f"The download {how}: it was cut short or damaged on the way."
    )


def _unusable(how: str) -> SalesNavigatorLandingError:
    return SalesNavigatorLandingError(f"The download {how}. A retry will not change that.", retryable=False)
