"""Compression of what lands: a stream in, the same bytes out on every run."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError

CompressionKind = Literal["gzip", "zstd"]

_GZIP_WRAPPER = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class Compressor:
    """One file's compression. Feed every byte, then append what ``flush`` returns, once.

    :param compress: takes bytes, returns the compressed bytes that are ready (often none).
    :param flush: returns the rest.
    """

    compress: Callable[[bytes], bytes]
    flush: Callable[[], bytes]


def check_compression(kind: Any, name: str = "compression") -> None:
    """Check that files can be compressed so, without importing a library.

    :raises SalesNavigatorConfigurationError: ``zstandard`` is not installed, or the kind is unknown.
    """
    if kind not in (None, "gzip", "zstd"):
        raise SalesNavigatorConfigurationError(f'{name} is None, "gzip" or "zstd", not {kind!r}.')
    if kind == "zstd" and not find_spec("zstandard"):
        raise SalesNavigatorConfigurationError(
            f'{name}="zstd" needs the zstandard library: install airflow-provider-snav[zstd] on the workers,'
            ' or use compression="gzip".'
        )


def compressor(kind: CompressionKind | None) -> Compressor:
    """Start compressing one file.

    The same input compresses to the same bytes with the same library: no time and no file name go in,
    so an object's ``sha256`` changes only when its content does.

    :param kind: None hands the bytes through as they are.
    :raises SalesNavigatorConfigurationError: see :func:`check_compression`.
    """
    check_compression(kind)
    if kind is None:
        return Compressor(compress=lambda data: data, flush=lambda: b"")
    if kind == "gzip":
        # zlib writes a gzip header without name or time; gzip.GzipFile writes both by default.
        member = zlib.compressobj(wbits=_GZIP_WRAPPER)
        return Compressor(member.compress, member.flush)
    from zstandard import ZstdCompressor

    frame = ZstdCompressor(write_checksum=True).compressobj()
    return Compressor(frame.compress, frame.flush)
