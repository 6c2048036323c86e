"""Downloads as they should have been: zip and gzip unpacked as a stream, everything else as it came.

LinkedIn's documents speak of a "CSV stream" in one place and of a "CSV zip" in another, so the first
bytes decide. Memory is constant: a chunk of the download and a piece of the output are held at a time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_snav.api.errors import clean
from airflow_provider_snav.hooks.inflate import (
    GZIP,
    ByteStream,
    broken,
    gunzip,
    inflate,
    unusable,
    within_ratio,
)

_MEMBER = b"PK\x03\x04"
_DESCRIPTOR = b"PK\x07\x08"
_DIRECTORY = b"PK\x01\x02"
_END = b"PK\x05\x06"

# Of a member's header: flags, method, CRC-32, packed size, unpacked size, lengths of name and extra.
_HEADER = struct.Struct("<6x2H4x3L2H")
_ENCRYPTED, _SIZES_FOLLOW = 0x0001, 0x0008
_STORED, _DEFLATED = 0, 8
_ZIP64, _SIZE_IS_IN_ZIP64 = 0x0001, 0xFFFFFFFF
_END_RECORD = struct.Struct("<20xH")
# Up to 64 KiB each: a directory entry's name, extra and comment, and the archive's own comment.
_MAX_TAIL_BYTES = 16 * 64 * 1024
_WRONG_CHECKSUM = "does not match the checksum in its zip archive"


class Source(Protocol):
    """A download as it comes: :class:`airflow_provider_snav.hooks.requests_transport.Download`."""

    @property
    def received(self) -> int:
        """Bytes that came over the wire so far."""
        ...

    @property
    def vouched(self) -> bool:
        """True if the transfer says where the file ends."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


class Unpacked:
    """The content of a download: of the one file in a zip, of a gzip, or the bytes as they came.

    Nothing is read before the first item is asked for. Plain chunks are handed on, not copied.
    When the iteration ends, the download was read to its end and an archive's checksum was verified.

    :ivar vouched: True, once the iteration has ended, if an archive or the transfer said where the file ends.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.vouched = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content, in pieces of any size.

        :raises SalesNavigatorIncompleteDownloadError: the archive ends early or is damaged.
        :raises SalesNavigatorLandingError: the archive holds several files or none, is encrypted or packed by
            a method other than deflate, or unpacks to far more than its own size.
        """
        stream = ByteStream(self._source)
        magic = stream.peek(len(_MEMBER))
        if magic.startswith(GZIP):
            yield from within_ratio(gunzip(stream), lambda: self._source.received)
        elif magic == _MEMBER:
            yield from _unzip(stream, lambda: self._source.received)
        elif magic == _END:
            raise unusable("is a zip archive with no file in it")
        else:
            while chunk := stream.read():
                yield chunk
        self.vouched = self._source.vouched or magic == _MEMBER or magic.startswith(GZIP)


def _unzip(stream: ByteStream, received: Callable[[], int]) -> Iterator[bytes]:
    """The content of the one file; folders and what macOS adds beside it are passed over."""
    found = ""
    while stream.peek(len(_MEMBER)) == _MEMBER:
        member = _Member.read(stream)
        content = within_ratio(member.content(stream), received)
        if member.is_no_file:
            for _ in content:
                pass
        elif found:
            raise unusable(f"is a zip archive of more than one file ({found} and {member.shown})")
        else:
            found = member.shown
            yield from content
    _check_end_of_zip(stream)
    if not found:
        raise unusable("is a zip archive with no file in it")


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry of a zip archive, as the header before its data describes it."""

    name: str
    flags: int
    method: int
    crc: int
    packed_size: int

    @classmethod
    def read(cls, stream: ByteStream) -> _Member:
        fields = _HEADER.unpack(stream.take(_HEADER.size))
        flags, method, crc, packed_size, size, name_length, extra_length = fields
        name = stream.take(name_length).decode(errors="replace").replace("\\", "/")
        extra = stream.take(extra_length)
        if packed_size == _SIZE_IS_IN_ZIP64:
            packed_size = _zip64_packed_size(extra, has_size=size == _SIZE_IS_IN_ZIP64)
        return cls(name, flags, method, crc, packed_size)

    @property
    def shown(self) -> str:
        return repr(clean(self.name)[:80])

    @property
    def is_no_file(self) -> bool:
        folder, _, last = self.name.rpartition("/")
        return not last or folder.partition("/")[0] == "__MACOSX" or last.startswith("._")

    def content(self, stream: ByteStream) -> Iterator[bytes]:
        """Yield the unpacked content and check it against its checksum."""
        start = stream.consumed
        crc = size = 0
        for piece in self._unverified(stream):
            crc = zlib.crc32(piece, crc)
            size += len(piece)
            yield piece
        if self.flags & _SIZES_FOLLOW:
            descriptor = _descriptor(stream, crc, stream.consumed - start, size)
            if not descriptor:
                raise broken(_WRONG_CHECKSUM)
            stream.take(len(descriptor))
        elif crc != self.crc:
            raise broken(_WRONG_CHECKSUM)

    def _unverified(self, stream: ByteStream) -> Iterator[bytes]:
        if self.flags & _ENCRYPTED:
            raise unusable("is an encrypted zip archive")
        if self.method == _DEFLATED:
            return inflate(stream, wbits=-zlib.MAX_WBITS)
        if self.method != _STORED:
            raise unusable(f"is a zip archive of a kind (method {self.method}) that cannot be read")
        if self.flags & _SIZES_FOLLOW and not self.packed_size:
            return _stored_up_to_descriptor(stream)
        return _stored(stream, self.packed_size)


def _zip64_packed_size(extra: bytes, *, has_size: bool) -> int:
    """The packed size of a member whose header has no room for it."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        sizes, extra = extra[4 : 4 + length], extra[4 + length :]
        position = 8 * has_size
        if kind == _ZIP64 and len(sizes) >= position + 8:
            return int.from_bytes(sizes[position : position + 8], "little")
    raise broken("lacks a size in its zip archive")


def _stored(stream: ByteStream, size: int) -> Iterator[bytes]:
    while size:
        chunk = stream.read()
        if not chunk:
            raise broken("ends in the middle of its zip archive")
        piece = chunk[:size]
        stream.put_back(chunk[size:])
        size -= len(piece)
        yield piece


def _stored_up_to_descriptor(stream: ByteStream) -> Iterator[bytes]:
    """Data of a length that only the descriptor behind it tells: it ends where one fits what came before."""
    crc = size = 0
    while len(stream.peek(len(_DESCRIPTOR))) == len(_DESCRIPTOR):
        if _descriptor(stream, crc, size, size):
            return
        chunk = stream.read()
        # At the end of the chunk, a signature may have begun.
        end = chunk.find(_DESCRIPTOR, 1)
        end = max(len(chunk) - len(_DESCRIPTOR) + 1, 1) if end < 0 else end
        stream.put_back(chunk[end:])
        crc, size = zlib.crc32(chunk[:end], crc), size + end
        yield chunk[:end]
    raise broken("ends in the middle of its zip archive")


def _descriptor(stream: ByteStream, crc: int, packed_size: int, size: int) -> bytes:
    """The record that comes next, if it says this of the data before it; else nothing.

    Writers may leave the signature out and may write sizes of 4 or of 8 bytes, and nothing in a stream says
    which. Longest first: an empty file's short record is the beginning of its long one.
    """
    short = struct.pack("<3L", crc, packed_size % 2**32, size % 2**32)
    long = struct.pack("<L2Q", crc, packed_size, size)
    records = (_DESCRIPTOR + long, long, _DESCRIPTOR + short, short)
    return next((record for record in records if stream.peek(len(record)) == record), b"")


def _check_end_of_zip(stream: ByteStream) -> None:
    tail = stream.peek(_MAX_TAIL_BYTES)
    end = tail.rfind(_END)
    comment_at = end + _END_RECORD.size
    found = tail.startswith(_DIRECTORY) and end > 0 and comment_at <= len(tail) < _MAX_TAIL_BYTES
    if not found or comment_at + _END_RECORD.unpack_from(tail, end)[0] > len(tail):
        raise broken("ends before its zip archive does")
