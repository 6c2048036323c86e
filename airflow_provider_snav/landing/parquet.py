"""Write CSV records to a Parquet file in constant memory.

The quick way: pyarrow reads a block as text, and converts each column as a whole. The exact way: Python's
``csv`` reads the block again, and its errors name the line and the column. The exact way runs if pyarrow
refuses the block, or if a value does not have the simplest form. This module does not use pyarrow's own CSV
parsers of numbers and times, because they read ``0x1F`` as 31 and February 30 as March 2.
"""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from airflow_provider_snav.api.errors import SalesNavigatorLandingError
from airflow_provider_snav.api.schemas import Column, Form
from airflow_provider_snav.landing.blocks import records
from airflow_provider_snav.landing.privacy import NO_RULES, ColumnRules, shown

ROW_GROUP_ROWS: Final = 64 * 1024
ROW_GROUP_BYTES: Final = 16 * 1024 * 1024
"""A row group ends when it reaches one of these two limits."""

# In bytes. A column whose values rarely repeat is smaller, and faster to write, without a dictionary.
_DICTIONARY_BYTES: Final = 64 * 1024
_MOMENT: Final = pa.timestamp("ms", tz="UTC")
_TYPES: Final[Mapping[Form, Any]] = {
    Form.TEXT: pa.string(),
    Form.LONG: pa.int64(),
    Form.UTC_TEXT: _MOMENT,
    Form.EPOCH_MS: _MOMENT,
}
_EXPECTED: Final[Mapping[Form, str]] = {
    Form.TEXT: "text in UTF-8",
    Form.LONG: "a whole number of 64 bits, such as 1001",
    Form.UTC_TEXT: "a time such as 11-28-2026 23:59:59",
    Form.EPOCH_MS: "a whole number of milliseconds since 1970, up to the year 9999, such as 1541539151570",
}
_WHOLE: Final = re.compile(r"-?[0-9]+")
_UTC_TEXT: Final = re.compile(r"(\d\d)-(\d\d)-(\d{4}) (\d\d):(\d\d):(\d\d)", re.ASCII)
_UTC_TEXT_BYTES: Final = 19
# The first and the last millisecond of the years 1 to 9999, the range of Python and most databases.
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
_LONGS: Final = range(-(2**63), 2**63)
_BOM: Final = b"\xef\xbb\xbf"


class ParquetFile:
    """A Parquet file. Pass blocks of CSV records without the header to ``feed``. Then call ``finish``.

    The same version of pyarrow makes the same bytes from the same blocks.

    :param columns: in the order of the records' fields. An empty field is null in a column of any form.
    :param rules: the columns to drop or to hash.
    :raises SalesNavigatorLandingError: two columns have the same name, or the rules do not fit the columns.

    ``rows`` is the number of rows written. ``columns`` has the names of the columns that land.
    """

    def __init__(self, columns: Sequence[Column], rules: ColumnRules = NO_RULES) -> None:
        rules.check_header([column.name for column in columns])
        self._width = len(columns)
        self._kept = {place: column for place, column in enumerate(columns) if column.name not in rules.drop}
        self._hash = rules.hasher()
        self._hashed = {place for place, column in self._kept.items() if column.name in rules.hash}
        self.columns = names = [column.name for column in self._kept.values()]
        self.changes: dict[str, Any] = {
            "untyped_columns": [column.name for column in self._kept.values() if not column.documented],
            **rules.changes([column.name for column in columns]),
        }
        if twice := [place for place, name in enumerate(names) if names.count(name) > 1]:
            raise SalesNavigatorLandingError(
                f"The header names {shown(names[twice[0]], twice[0])} more than once, which Parquet does not"
                ' allow. Use format="csv", or drop_columns.',
                retryable=False,
            )
        self.rows = 0
        self._schema = pa.schema([(column.name, _TYPES[column.form]) for column in self._kept.values()])
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(
            self._sink, self._schema, compression="zstd", dictionary_pagesize_limit=_DICTIONARY_BYTES
        )
        self._group: list[Any] = []
        # This thread compresses a row group while the caller reads the next one.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snav-parquet")
        self._pending: Future[None] | None = None

    def feed(self, block: bytes, line: int) -> bytes:
        """Take the next records.

        :param block: whole records.
        :param line: the number of the block's first line, for messages.
        :returns: the bytes of the file that are ready, often none.
        :raises SalesNavigatorLandingError: a record has too many or too few fields, or a value does not have
            the form of its column.
        """
        arrays = self._read_quickly(block) or self._read_exactly(block, line)
        self._group.append(pa.table(arrays, schema=self._schema))
        rows = sum(table.num_rows for table in self._group)
        if rows >= ROW_GROUP_ROWS or sum(table.nbytes for table in self._group) >= ROW_GROUP_BYTES:
            return self._write_group()
        return b""

    def finish(self, metadata: Mapping[str, str]) -> bytes:
        """End the file.

        :param metadata: for the footer of the file, by name. The footer's keys begin with ``snav.``.
        :returns: the rest of the file's bytes.
        """
        content = self._write_group() + self._written()
        self._thread.shutdown()
        self._writer.add_key_value_metadata({f"snav.{name}": text for name, text in metadata.items()})
        self._writer.close()
        return content + self._sink.taken()

    def _write_group(self) -> bytes:
        """Start to write the collected row group. Return the bytes of the row group before it."""
        content = self._written()
        if rows := sum(table.num_rows for table in self._group):
            table = pa.concat_tables(self._group)
            self._pending = self._thread.submit(self._writer.write_table, table, row_group_size=rows)
            self.rows += rows
        self._group = []
        return content

    def _written(self) -> bytes:
        if self._pending:
            self._pending.result()
        return self._sink.taken()

    def _read_quickly(self, block: bytes) -> list[Any] | None:
        """Return the columns of a block; None if Python's ``csv`` must read it."""
        # pyarrow would remove these bytes as a byte order mark, but here they belong to a value.
        if block.startswith(_BOM):
            return None
        names = [str(place) for place in range(self._width)]
        kept = [str(place) for place in self._kept]
        try:
            table = csv.read_csv(
                pa.BufferReader(block),
                csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
                csv.ParseOptions(newlines_in_values=True),
                csv.ConvertOptions(
                    include_columns=kept,
                    column_types=dict.fromkeys(kept, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            arrays = []
            for place, column in self._kept.items():
                array = _QUICK[column.form](table[str(place)].combine_chunks())
                if array is None:
                    return None
                arrays.append(self._hashed_array(array) if place in self._hashed else array)
        except pa.ArrowInvalid:
            return None
        return arrays

    def _hashed_array(self, texts: Any) -> Any:
        encoded = pc.dictionary_encode(texts)
        hashes = pa.array(list(map(self._hash, encoded.dictionary.to_pylist())), pa.string())
        return hashes.take(encoded.indices)

    def _read_exactly(self, block: bytes, line: int) -> list[Any]:
        rows = list(self._parsed(block, line))
        by_column = zip(*rows, strict=True) if rows else [[] for _ in self._kept]
        return [pa.array(values, field.type) for values, field in zip(by_column, self._schema, strict=True)]

    def _parsed(self, block: bytes, line: int) -> Iterator[list[Any]]:
        for number, record in records(io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")):
            where = f"Line {line + number - 1}"
            if len(record) != self._width:
                raise SalesNavigatorLandingError(
                    f"{where} has {len(record)} fields where the header has {self._width}. Only"
                    ' format="csv" lands such a file.',
                    retryable=False,
                )
            values = {
                place: _value(record[place], column, place, where) for place, column in self._kept.items()
            }
            for place in self._hashed:
                values[place] = values[place] and self._hash(values[place])
            yield list(values.values())


class _Sink(io.RawIOBase):
    """The file object that pyarrow writes to. ``taken`` returns the bytes written since its last call."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _value(text: str, column: Column, place: int, where: str) -> Any:
    try:
        return _EXACT[column.form](text) if text else None
    except ValueError:
        pass
    # Raised outside the except block, because the error's context would contain the value.
    as_text = "" if column.form is Form.TEXT else " typed=False makes every column text."
    raise SalesNavigatorLandingError(
        f"{where}, {shown(column.name, place)}: the value is not {_EXPECTED[column.form]}.{as_text}",
        retryable=False,
    )


def _exact_text(text: str) -> str:
    text.encode()  # raises ValueError for bytes that were not UTF-8
    return text


def _exact_long(text: str) -> int:
    if not _WHOLE.fullmatch(text) or (number := int(text)) not in _LONGS:
        raise ValueError
    return number


def _exact_utc_text(text: str) -> dt.datetime:
    if not (match := _UTC_TEXT.fullmatch(text)):
        raise ValueError
    month, day, year, hour, minute, second = map(int, match.groups())
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)


def _exact_epoch_ms(text: str) -> int:
    if not _FIRST_MS <= (number := _exact_long(text)) <= _LAST_MS:
        raise ValueError
    return number


def _quick_long(texts: Any) -> Any:
    # None if a value has a sign, a blank or any character other than 0 to 9.
    return pc.cast(texts, pa.int64()) if pc.all(pc.ascii_is_decimal(texts), min_count=0).as_py() else None


def _quick_epoch_ms(texts: Any) -> Any:
    numbers = _quick_long(texts)
    if numbers is None or pc.any(pc.greater(numbers, _LAST_MS)).as_py():
        return None
    return pc.cast(numbers, _MOMENT)


def _quick_utc_text(texts: Any) -> Any:
    """Rewrite ``11-28-2026 23:59:59`` as ``2026-11-28 23:59:59``, a form that pyarrow parses strictly."""
    lengths = set(pc.min_max(pc.binary_length(texts)).as_py().values())
    if texts.null_count or texts.offset or lengths != {_UTC_TEXT_BYTES}:
        return None
    _, offsets, content = texts.buffers()
    old = content.to_pybytes()[: len(texts) * _UTC_TEXT_BYTES]
    new = bytearray(old)
    for place, source in enumerate((6, 7, 8, 9, 5, 0, 1, 2, 3, 4)):
        new[place::_UTC_TEXT_BYTES] = old[source::_UTC_TEXT_BYTES]
    if set(new[10::_UTC_TEXT_BYTES]) != {ord(" ")}:
        return None
    iso = pa.StringArray.from_buffers(len(texts), offsets, pa.py_buffer(new))
    return pc.cast(pc.cast(iso, pa.timestamp("ms")), _MOMENT)


_QUICK: Final[Mapping[Form, Callable[[Any], Any]]] = {
    Form.TEXT: lambda texts: texts,
    Form.LONG: _quick_long,
    Form.UTC_TEXT: _quick_utc_text,
    Form.EPOCH_MS: _quick_epoch_ms,
}
_EXACT: Final[Mapping[Form, Callable[[str], Any]]] = {
    Form.TEXT: _exact_text,
    Form.LONG: _exact_long,
    Form.UTC_TEXT: _exact_utc_text,
    Form.EPOCH_MS: _exact_epoch_ms,
}
