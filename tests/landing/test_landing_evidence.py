"""A file is an export only if it says so: a header record, in text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pytest
import zstandard

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError
from airflow_provider_snav.landing.records import CsvProfile

CSV = b"crmId,crmRecordType,expiredAt,createdAt\n0031x,CONTACT,1541539151570,1541539151570\n"
PAGE = b"<!DOCTYPE html><html>\n<body>Sign in, please</body></html>"


def zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("export.csv", content)
    return target.getvalue()


def profile(text: bytes, size: int = 1 << 20) -> CsvProfile:
    found = CsvProfile()
    for start in range(0, len(text), size):
        found.feed(text[start : start + size])
    found.finish()
    return found


NO_EXPORT = {
    "HTML": (PAGE, "begins with a web page"),
    "HTML behind blanks": (b" \t\r\n" * 5000 + PAGE, "begins with a web page"),
    "HTML behind a mark and no-break spaces": (b"\xef\xbb\xbf\xc2\xa0\r\n" + PAGE, "begins with a web page"),
    "HTML behind a comment": (b"<!-- a gateway, cached -->\n" + PAGE, "begins with a web page"),
    "XML": (b'\n<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "begins with XML"),
    "JSON": (b'{"status":401,"message":"No"}', "begins with JSON"),
    "a JSON list": (b"\r\n[1,2]\n", "begins with JSON"),
    "a zip": (zipped(CSV), "begins with a zip archive"),
    "gzip": (gzip.compress(CSV), "begins with gzip data"),
    "bzip2": (bz2.compress(CSV), "begins with bzip2 data"),
    "xz": (lzma.compress(CSV), "begins with xz data"),
    "zstd": (zstandard.compress(CSV), "begins with zstd data"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\n", "begins with a PDF"),
    "UTF-16": (CSV.decode().encode("utf-16"), "begins with UTF-16 text"),
    "UTF-16 without a mark": (CSV.decode().encode("utf-16-le"), "begins with UTF-16 text"),
    "UTF-16, big end first": (CSV.decode().encode("utf-16-be"), "begins with UTF-16 text"),
    "UTF-32": (CSV.decode().encode("utf-32"), "begins with UTF-32 text"),
    "a NUL in the middle": (CSV + b"0032x,CON\0ACT,1,2\n", "holds NUL bytes"),
    "NULs at the end": (CSV * 100 + bytes(512), "holds NUL bytes"),
    "binary": (b"\x81\x7a\x02\x9c\x11,\n\x05", "begins with binary data"),
    "blanks": (b" \r\n\n\t", "begins with blanks"),
    "a mark": (b"\xef\xbb\xbf", "begins with blanks"),
    "a line of blanks": (b"   \n" + CSV, "no header"),
    "no names": (b",,,\n1,2,3,4\n", "no header"),
    "a sentence": (b"Service temporarily unavailable", "no header"),
    "two sentences": (b"upstream connect error\nreset reason: overflow\n", "no header"),
    "a sentence with a comma": (b"Too many requests, slow down\r\n", "no header"),
    "a sentence with a comma and one more line": (
        b"Sorry, we are down.\nReference 7, try again\n",
        "no header",
    ),
    "a sentence in quotes": (b'"Bad gateway"\n', "no header"),
    "a word": (b"Unauthorized\n", "no header"),
    "a word and a sentence": (b"Forbidden\nYou do not have access, sorry\n", "no header"),
    "a word of JSON": (b"null", "no header"),
    "a stack trace": (b"java.lang.NullPointerException\n\tat com.example.Main\n", "no header"),
}


@pytest.mark.parametrize(("text", "complaint"), NO_EXPORT.values(), ids=NO_EXPORT.keys())
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_file_of_another_kind_is_refused_by_its_kind(text: bytes, complaint: str, size: int) -> None:
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match=complaint) as refusal:
        profile(text, size)
    assert refusal.value.retryable
    assert str(refusal.value).startswith("This is not an export: it ")
    assert "Sign in" not in str(refusal.value)


@pytest.mark.parametrize(
    "header",
    [
        "activityId,activityType,createdAt,seatId,memberIdentityKey",
        "Seat ID,Seat Holder Name,Social Selling Index (SSI),Status?",
        '"Seat, ID","E-mail"',
        "größe,名前",
        "a,a,",
        "a;b;c",
        "a\tb",
        "Name, Status",
        "Name, Seat No",
        "0031x,CONTACT,1541539151570,1541539151570",
        "crmId",
        "id",
    ],
)
def test_unknown_columns_are_columns_all_the_same(header: str) -> None:
    found = profile(f"{header}\n1,2,3\n".encode())
    assert found.rows == 1
    assert all(name in header for name in found.columns)
