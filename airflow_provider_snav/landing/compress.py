"""Compression of landed files as a stream. Every run makes the same bytes from the same input."""

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
    """The compression of one file. Pass every byte to ``compress``, then call ``flush`` once.

    :param compress: takes bytes and returns the compressed bytes that are ready, often none.
    :param flush: returns the rest of the compressed bytes.
    """

    compress: Callable[[bytes], bytes]
    flush: Callable[[], bytes]


def check_compression(kind: Any, name: str = "compression") -> None:
    """Check a kind of compression without importing its library.

    :param kind: the value of the argument.
    :param name: the name of the argument, for the message.
    :raises SalesNavigatorConfigurationError: the kind is unknown, or ``zstandard`` is not installed.
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

    The same version of the library makes the same bytes from the same input, because the result contains no
    time and no file name. The ``sha256`` of a file therefore changes only if its content changes.

    :param kind: ``gzip`` or ``zstd``. With None, the bytes stay as they are.
    :raises SalesNavigatorConfigurationError: see :func:`check_compression`.
    """
    check_compression(kind)
    if kind is None:
        return Compressor(compress=lambda data: data, flush=lambda: b"")
    if kind == "gzip":
        # zlib writes a gzip header without a name and a time. gzip.GzipFile writes both by default.
        member = zlib.compressobj(wbits=_GZIP_WRAPPER)
        return Compressor(member.compress, member.flush)
    from zstandard import ZstdCompressor

    frame = ZstdCompressor(write_checksum=True).compressobj()
    return Compressor(frame.compress, frame.flush)
