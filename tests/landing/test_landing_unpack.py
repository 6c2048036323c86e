"""A download is unpacked by what it is, checked to its last byte, and never trusted with the disk."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api.errors import (
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)
from airflow_provider_snav.landing.unpack import Unpacked

MIB = 1024 * 1024


@dataclass
class Wire:
    """A download of these chunks."""

    chunks: Iterable[bytes]
    vouched: bool = False
    received: int = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.received += len(chunk)
            yield chunk


def unpack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return iter(Unpacked(Wire(chunks)))


CSV = b"member,logins\r\n" + b"".join(b"urn:li:member:%d,%d\r\n" % (n, n * n % 89) for n in range(9_000))


class Pipe(io.BytesIO):
    """Cannot seek, so a zip written to it carries its sizes behind the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


def zipped(*files: bytes, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"export-{number}.csv", content)
        archive.comment = comment
    return target.getvalue()


def zipped_to_a_pipe(content: bytes, *, zip64: bool = False, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = Pipe()
    with (
        zipfile.ZipFile(target, "w", method) as archive,
        archive.open("export.csv", "w", force_zip64=zip64) as member,
    ):
        member.write(content)
    return target.getvalue()


def beside(**others: bytes) -> bytes:
    """The file in a zip as macOS and Windows make one, with folders and what the Finder adds."""
    target = Pipe()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("reports")
        for name, content in {"reports/export.csv": CSV, **others}.items():
            archive.writestr(name, content)
        archive.writestr("__MACOSX/reports/._export.csv", bytes(4096))
    return target.getvalue()


def stored_zip64() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, archive.open("e.csv", "w", force_zip64=True) as member:
        member.write(CSV)
    return target.getvalue()


def zipped_folder() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.mkdir("reports")
    return target.getvalue()


def without_descriptor_signature(archive: bytes) -> bytes:
    return archive.replace(b"PK\x07\x08", b"")


FIRST_MEMBER = gzip.compress(CSV[:500], mtime=0)
ARCHIVES = {
    "zip": zipped(CSV),
    "zip, stored": zipped(CSV, method=zipfile.ZIP_STORED),
    "zip, with a comment": zipped(CSV, comment=b"a report PK\x05\x07"),
    "zip, stored, zip64": stored_zip64(),
    "zip, stored, sizes behind": zipped_to_a_pipe(CSV, method=zipfile.ZIP_STORED),
    "zip, stored, long sizes behind": zipped_to_a_pipe(CSV, method=zipfile.ZIP_STORED, zip64=True),
    "zip, folders and what macOS adds": beside(),
    "zip, sizes behind": zipped_to_a_pipe(CSV),
    "zip, long sizes behind": zipped_to_a_pipe(CSV, zip64=True),
    "zip, sizes behind without signature": without_descriptor_signature(zipped_to_a_pipe(CSV)),
    "zip, long sizes behind without signature": without_descriptor_signature(
        zipped_to_a_pipe(CSV, zip64=True)
    ),
    "gzip": gzip.compress(CSV),
    "gzip, two members": FIRST_MEMBER + gzip.compress(CSV[500:]),
    "gzip, padded": gzip.compress(CSV) + bytes(512),
    "gzip, a line end behind": gzip.compress(CSV) + b"\r\n",
    "gzip, two members, zeros between": FIRST_MEMBER + bytes(7) + gzip.compress(CSV[500:]),
}
every_archive = pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES.keys())
EMPTY = {
    "zip": zipped(b""),
    "zip, stored": zipped(b"", method=zipfile.ZIP_STORED),
    "zip, sizes behind": zipped_to_a_pipe(b""),
    "zip, long sizes behind": zipped_to_a_pipe(b"", zip64=True),
    "zip, long sizes behind without signature": without_descriptor_signature(
        zipped_to_a_pipe(b"", zip64=True)
    ),
    "gzip": gzip.compress(b""),
    "plain": b"",
}


def in_chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@every_archive
@pytest.mark.parametrize("size", [1, 7, 1000, 10 * MIB])
def test_an_archive_unpacks_to_its_file_whatever_the_size_of_the_chunks(archive: bytes, size: int) -> None:
    assert b"".join(unpack(in_chunks(archive, size))) == CSV


@pytest.mark.parametrize("archive", EMPTY.values(), ids=EMPTY.keys())
def test_an_empty_file_unpacks_to_nothing(archive: bytes) -> None:
    assert b"".join(unpack([archive])) == b""


@given(data=st.binary(max_size=40).filter(lambda data: data[:2] not in {b"PK", b"\x1f\x8b"}))
def test_what_is_no_archive_comes_as_it_is(data: bytes) -> None:
    assert b"".join(unpack(in_chunks(data, 3))) == data


def test_plain_chunks_are_handed_on_not_copied() -> None:
    chunks = [b"member,logins\r\n", b"1,2\r\n", b"3,4\r\n"]
    assert all(given is got for given, got in zip(chunks, unpack(chunks), strict=True))


def test_a_download_is_read_no_faster_than_its_content_is_asked_for() -> None:
    read = 0

    def download() -> Iterator[bytes]:
        nonlocal read
        for _ in range(3):
            read += 1
            yield CSV

    content = unpack(download())
    assert read == 0
    next(content)
    assert read == 1


@every_archive
def test_an_archive_that_is_cut_anywhere_is_incomplete(archive: bytes) -> None:
    whole = archive.rstrip(b"\0\r\n") if archive.startswith(b"\x1f\x8b") else archive
    for length in [*range(4, 200), *range(200, len(whole), 997), *range(len(whole) - 100, len(whole))]:
        if whole[:length].rstrip(b"\0") == FIRST_MEMBER.rstrip(b"\0"):
            continue  # a whole gzip by itself: here only Content-Length can tell
        with pytest.raises(SalesNavigatorIncompleteDownloadError):
            b"".join(unpack([whole[:length]]))


@every_archive
def test_a_byte_that_changed_on_the_way_is_noticed(archive: bytes) -> None:
    middle = len(archive.rstrip(b"\0\r\n")) // 2
    damaged = archive[:middle] + bytes([archive[middle] ^ 1]) + archive[middle + 1 :]
    with pytest.raises(SalesNavigatorIncompleteDownloadError):
        b"".join(unpack([damaged]))


def test_a_gzip_with_something_else_behind_it_is_refused() -> None:
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match="more bytes after its gzip data"):
        b"".join(unpack([gzip.compress(CSV), b"<html>"]))


@pytest.mark.parametrize(
    ("archive", "complaint"),
    [
        (zipped(CSV, CSV), "more than one file"),
        (zipped(), "no file"),
        (zipped(CSV, method=zipfile.ZIP_LZMA), "method 14"),
        (beside(**{"reports/other.csv": CSV}), r"one file \('reports/export.csv' and 'reports/other.csv'\)"),
        (zipped_folder(), "no file"),
        (zipped(CSV)[:6] + b"\x01" + zipped(CSV)[7:], "encrypted"),
    ],
)
def test_a_zip_that_is_not_one_readable_file_is_refused_with_the_reason(
    archive: bytes, complaint: str
) -> None:
    with pytest.raises(SalesNavigatorLandingError, match=complaint) as refusal:
        b"".join(unpack([archive]))
    assert not refusal.value.retryable


@pytest.mark.parametrize("pack", [gzip.compress, zipped], ids=["gzip", "zip"])
def test_a_decompression_bomb_is_stopped_in_constant_memory(pack: object) -> None:
    bomb = pack(bytes(128 * MIB))  # type: ignore[operator]
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        with pytest.raises(SalesNavigatorLandingError, match="200 times"):
            for _ in unpack([bomb]):
                pass
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_a_very_uniform_export_is_no_bomb() -> None:
    rows = b"0,0,0,0,0,0,0\r\n" * (2 * MIB)
    assert sum(map(len, unpack([gzip.compress(rows, 9)]))) == len(rows)


@pytest.mark.parametrize("vouched", [False, True])
def test_an_archive_vouches_for_its_file_and_else_the_transfer_does(vouched: bool) -> None:
    for archive in (*ARCHIVES.values(), CSV):
        content = Unpacked(Wire([archive], vouched=vouched))
        assert b"".join(content) == CSV
        assert content.vouched == (vouched or archive != CSV)


def test_data_that_looks_like_a_descriptor_does_not_end_a_stored_file() -> None:
    content = b"a,b\n" + b"PK\x07\x08" * 1000 + b"PK\x03\x04,PK\x01\x02\n"
    archive = zipped_to_a_pipe(content, method=zipfile.ZIP_STORED)
    for size in (1, 7, MIB):
        assert b"".join(unpack(in_chunks(archive, size))) == content


def test_the_bound_of_unpacked_bytes_is_by_what_came_over_the_wire() -> None:
    wire = Wire([gzip.compress(bytes(128 * MIB))])
    wire.received = MIB
    assert sum(map(len, Unpacked(wire))) == 128 * MIB
