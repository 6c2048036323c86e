"""The formats of landed files: the end of the file name, and the conversion from CSV."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)
from airflow_provider_snav.api.schemas import SCHEMAS, Column, Form
from airflow_provider_snav.landing.blocks import Blocks, records
from airflow_provider_snav.landing.compress import CompressionKind, check_compression, compressor
from airflow_provider_snav.landing.evidence import names_columns
from airflow_provider_snav.landing.records import RecordCounter

if TYPE_CHECKING:
    from airflow_provider_snav.exports.export import Export
    from airflow_provider_snav.landing.plan import LandedFile, LandingOptions

FormatKind = Literal["csv", "parquet"]

SUFFIXES: Final[Mapping[tuple[FormatKind, CompressionKind | None], str]] = {
    ("csv", None): ".csv",
    ("csv", "gzip"): ".csv.gz",
    ("csv", "zstd"): ".csv.zst",
    ("parquet", None): ".parquet",
}
"""The end of a file name, by format and compression."""

PARQUET_MARK: Final = b"snav.source_sha256"
"""Bytes in the footer of every Parquet file that this package writes."""

_BOM: Final = b"\xef\xbb\xbf"


def check_format(kind: Any, compression: Any) -> None:
    """Check the format and the compression without importing a library.

    :param kind: the value of ``format``.
    :param compression: the value of ``compression``.
    :raises SalesNavigatorConfigurationError: one of them is unknown, the two cannot be combined, or a library
        is missing.
    """
    check_compression(compression)
    if kind not in ("csv", "parquet"):
        raise SalesNavigatorConfigurationError(f'format is "csv" or "parquet", not {kind!r}.')
    if kind == "parquet" and compression:
        raise SalesNavigatorConfigurationError(
            f'compression={compression!r} is for format="csv". Leave it out: Parquet files are compressed'
            " inside, with zstd."
        )
    if kind == "parquet" and not find_spec("pyarrow"):
        raise SalesNavigatorConfigurationError(
            'format="parquet" needs the pyarrow library: install airflow-provider-snav[parquet] on the'
            ' workers, or use format="csv".'
        )


class Encoder(Protocol):
    """Converts one CSV file. Pass every byte to ``feed``, then call ``finish`` once."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the CSV, and return the bytes of the landed file that are ready, often none."""
        ...

    def finish(self) -> bytes:
        """Return the rest of the landed file. Call it only when the CSV is known to be complete."""
        ...

    def described(self, file: LandedFile) -> LandedFile:
        """Return the description of the landed file, made from that of the CSV."""
        ...


def encoder(
    export: Export, options: LandingOptions, metadata: Mapping[str, str], header: Sequence[str] | None = None
) -> Encoder:
    """Start the conversion of one file.

    :param export: the Export that the file belongs to.
    :param options: how to land.
    :param metadata: for the footer of a Parquet file.
    :param header: the header of the job's first file; None for that file itself.
    """
    if options.format == "parquet":
        return _ByRecord(lambda names: _parquet(export, options, names), metadata, header)
    if options.rules:
        from airflow_provider_snav.landing.privacy import RedactedCsv

        return _ByRecord(
            lambda names: RedactedCsv(options.rules, names, compressor(options.compression)), metadata, header
        )
    return _AsExported(options.compression)


def needs_header(options: LandingOptions) -> bool:
    """Return True if the conversion needs the names of the columns."""
    return options.format == "parquet" or bool(options.rules)


class _AsExported:
    def __init__(self, compression: CompressionKind | None) -> None:
        packer = compressor(compression)
        self.feed, self.finish = packer.compress, packer.flush

    def described(self, file: LandedFile) -> LandedFile:
        return file


class RecordWriter(Protocol):
    """Makes a file from CSV records."""

    rows: int
    columns: list[str]
    changes: dict[str, Any]
    """Fields of LandedFile that describe how the columns differ from those of the CSV."""

    def feed(self, block: bytes, line: int) -> bytes:
        """Take whole records, the first of which begins at ``line``. Return the bytes that are ready."""
        ...

    def finish(self, metadata: Mapping[str, str]) -> bytes:
        """Return the rest of the bytes."""
        ...


class _ByRecord:
    """Reads the CSV by record. It is for landed files that do not have the bytes of the CSV."""

    def __init__(
        self,
        make: Callable[[Sequence[str]], RecordWriter],
        metadata: Mapping[str, str],
        header: Sequence[str] | None,
    ) -> None:
        self._make = make
        self._metadata = metadata
        self._header = header
        self._has_header = True
        self._width = 0
        self._writer: RecordWriter | None = None
        self._digest = sha256()
        self._blocks = Blocks()
        self._line = 1

    def feed(self, data: bytes) -> bytes:
        self._digest.update(data)
        return b"".join(self._encoded(self._records_of(block)) for block in self._blocks.feed(data))

    def finish(self) -> bytes:
        rest = self._records_of(self._blocks.finish())
        self._refuse_cut(rest)
        assert self._writer
        return self._encoded(rest) + self._writer.finish(
            {**self._metadata, "source_sha256": self._digest.hexdigest()}
        )

    def described(self, file: LandedFile) -> LandedFile:
        assert self._writer
        rows = file.rows + (not self._has_header)
        if self._writer.rows != rows:
            raise SalesNavigatorLandingError(
                f"{self._writer.rows} rows were written where the CSV file has {rows}. This is a fault of"
                ' airflow-provider-snav: please report it, and use format="csv" meanwhile.',
                retryable=False,
            )
        return replace(
            file,
            rows=rows,
            columns=self._writer.columns,
            source_sha256=self._digest.hexdigest(),
            **self._writer.changes,
        )

    def _records_of(self, block: bytes) -> bytes:
        return block if self._writer else self._after_header(block.removeprefix(_BOM))

    def _encoded(self, block: bytes) -> bytes:
        assert self._writer
        line = self._line
        self._line += _lines(block)
        return self._writer.feed(block, line)

    def _refuse_cut(self, rest: bytes) -> None:
        """Refuse a file that ends in the middle of a record, even if the transfer ended as expected."""
        counter = RecordCounter()
        counter.feed(rest)
        counter.finish()
        if counter.in_record and counter.commas + 1 < self._width:
            raise SalesNavigatorIncompleteDownloadError(
                "The CSV ends in the middle of a record: it was cut short on the way."
            )

    def _after_header(self, block: bytes) -> bytes:
        """Start the landed file. Return the records of the block, without the header if there is one."""
        text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
        _, first = next(records(text))
        names = [name.encode("utf-8", "surrogateescape").decode(errors="replace") for name in first]
        header = list(self._header or names)
        self._width = len(header)
        self._writer = self._make(header)
        if names != header:
            if len(names) != len(header) or names_columns(names, header):
                raise SalesNavigatorLandingError(
                    "The file has other columns than the first file of its job: this is not one export."
                )
            self._has_header = False
            return block
        rest = text.read().encode("utf-8", "surrogateescape")
        self._line += _lines(block) - _lines(rest)
        return rest


def _lines(block: bytes) -> int:
    return block.count(b"\n") or block.count(b"\r")


def _parquet(export: Export, options: LandingOptions, names: Sequence[str]) -> RecordWriter:
    from airflow_provider_snav.landing.parquet import ParquetFile

    schema = SCHEMAS[export.export_type or export.kind]
    columns = schema.named(names) if options.typed else list(map(Column, names))
    # A hash is text, even if the column has another type.
    hashed = [replace(each, form=Form.TEXT) if each.name in options.rules.hash else each for each in columns]
    return ParquetFile(hashed, options.rules)
