"""Unpack a download as a stream if it is zip or gzip. Other downloads stay as they are.

LinkedIn documents a "CSV stream" in one place and a "CSV zip" in another, so the first bytes decide. Memory
is constant: it holds one chunk of the download and one piece of the output.
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

# A member's header: flags, method, CRC-32, packed size, unpacked size, lengths of the name and the extra.
_HEADER = struct.Struct("<6x2H4x3L2H")
_ENCRYPTED, _SIZES_FOLLOW = 0x0001, 0x0008
_STORED, _DEFLATED = 0, 8
_ZIP64, _SIZE_IS_IN_ZIP64 = 0x0001, 0xFFFFFFFF
_END_RECORD = struct.Struct("<20xH")
# The directory and the end record. A name, an extra and a comment have up to 64 KiB each.
_MAX_TAIL_BYTES = 16 * 64 * 1024
_WRONG_CHECKSUM = "does not match the checksum in its zip archive"


class Source(Protocol):
    """An open download, such as :class:`airflow_provider_snav.hooks.requests_transport.Download`."""

    @property
    def received(self) -> int:
        """The number of bytes received from the network so far."""
        ...

    @property
    def vouched(self) -> bool:
        """True if the transfer proves where the file ends."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


class Unpacked:
    """The content of a download: of the only file in a zip, of a gzip, or the bytes as received.

    The first iteration starts to read. Chunks that are not packed are passed on without a copy. After the
    iteration, the download has been read to its end, and the checksum of an archive has been verified.

    :param source: the download.
    :ivar vouched: after the iteration, True if an archive or the transfer proves where the file ends.
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
    """Yield the content of the only file. Skip folders and the files that macOS adds."""
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
    """One entry of a zip archive, from the header before its data."""

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
        """Yield the unpacked content, then verify its checksum."""
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
    """Return the packed size from the ZIP64 extra field, which holds it if the header cannot."""
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
    """Yield data of unknown length. It ends before a descriptor that matches the data read so far."""
    crc = size = 0
    while len(stream.peek(len(_DESCRIPTOR))) == len(_DESCRIPTOR):
        if _descriptor(stream, crc, size, size):
            return
        chunk = stream.read()
        # The last bytes of the chunk may be the start of a signature.
        end = chunk.find(_DESCRIPTOR, 1)
        end = max(len(chunk) - len(_DESCRIPTOR) + 1, 1) if end < 0 else end
        stream.put_back(chunk[end:])
        crc, size = zlib.crc32(chunk[:end], crc), size + end
        yield chunk[:end]
    raise broken("ends in the middle of its zip archive")


def _descriptor(stream: ByteStream, crc: int, packed_size: int, size: int) -> bytes:
    """Return the next bytes if they are a descriptor with these values; otherwise no bytes.

    A descriptor may lack the signature, and its sizes may have 4 or 8 bytes. The stream does not say which.
    The longest form is tried first, because the short record of an empty file is the start of its long one.
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
