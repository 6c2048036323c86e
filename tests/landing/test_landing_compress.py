"""What is compressed comes back, and is the same bytes on every run."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable

import pytest
import zstandard

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.landing.compress import CompressionKind, compressor
from airflow_provider_snav.landing.formats import SUFFIXES

CHUNKS = [f"urn:li:member:{number},{number % 7}\r\n".encode() for number in range(20_000)]


def compressed(kind: CompressionKind | None) -> bytes:
    stream = compressor(kind)
    return b"".join([*map(stream.compress, CHUNKS), stream.flush()])


@pytest.mark.parametrize(
    ("kind", "suffix", "read"),
    [
        (None, "", bytes),
        ("gzip", ".gz", gzip.decompress),
        ("zstd", ".zst", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
def test_the_file_reads_back_and_its_name_says_how(
    kind: CompressionKind | None, suffix: str, read: Callable[[bytes], bytes]
) -> None:
    assert read(compressed(kind)) == b"".join(CHUNKS)
    assert SUFFIXES["csv", kind] == f".csv{suffix}"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_the_same_content_compresses_to_the_same_and_fewer_bytes(kind: CompressionKind) -> None:
    assert compressed(kind) == compressed(kind)
    assert len(compressed(kind)) < len(b"".join(CHUNKS)) / 2


def test_a_gzip_carries_neither_a_time_nor_a_name() -> None:
    flags, modified = compressed("gzip")[3], compressed("gzip")[4:8]
    assert (flags, modified) == (0, bytes(4))


@pytest.mark.parametrize("kind", [None, "gzip", "zstd"])
def test_an_empty_file_is_a_valid_file(kind: CompressionKind | None) -> None:
    assert compressor(kind).flush()[:2] in {None: b"", "gzip": b"\x1f\x8b", "zstd": b"\x28\xb5"}[kind]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="'brotli'"):
        compressor("brotli")  # type: ignore[arg-type]


def test_without_zstandard_the_error_names_the_extra_to_install() -> None:
    script = """
import sys
sys.modules["zstandard"] = None
from airflow_provider_snav.landing.compress import compressor
compressor("gzip")
compressor("zstd")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "SalesNavigatorConfigurationError" in run.stderr
    assert "airflow-provider-snav[zstd]" in run.stderr
