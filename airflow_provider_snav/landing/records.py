"""What a CSV file holds, learned while its bytes go by: how many records, and which columns."""

from __future__ import annotations

import codecs
import csv
import io
import re

from airflow_provider_snav.api.errors import (
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)

MAX_HEADER_BYTES = 1024 * 1024
"""Bytes held back to read the header from; no export has a header near this long."""

# Twice as fast as two `in` tests, and the counter's speed on plain text is the speed of this search.
_BLANK_LINE = re.compile(rb"\n\r*\n")

_NEITHER_QUOTE_NOR_NEWLINE = bytes(set(range(256)) - set(b'"\n'))


class CsvProfile:
    """Counts the records of an RFC 4180 text that arrives in chunks of any size.

    Feed every byte, then call :meth:`finish`; ``rows`` and ``columns`` are final only then. Records end
    with LF or CRLF; a line break inside quotes belongs to its record, a blank line is none, and the last
    record needs no line break. The text is UTF-8, with or without a byte order mark.

    Memory does not grow with the file: at most :data:`MAX_HEADER_BYTES` and one chunk are held.
    """

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()
        self._records = 0
        self._in_quotes = False
        self._in_record = False
        self._head: bytearray | None = bytearray()

    @property
    def rows(self) -> int:
        """Records without the header."""
        return max(self._records - 1, 0)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file.

        :raises SalesNavigatorLandingError: the first record does not end within
            :data:`MAX_HEADER_BYTES`, or is not CSV.
        """
        if self._head is None:
            self._count(chunk)
            return
        self._head += chunk
        if len(self._head) > MAX_HEADER_BYTES:
            self._read_head(self._head)

    def finish(self) -> None:
        """State that the last byte has been fed.

        :raises SalesNavigatorIncompleteDownloadError: the text ends inside quotes, so it was cut.
        :raises SalesNavigatorLandingError: the first record is not CSV.
        """
        if self._head is not None:
            self._read_head(self._head)
        if self._in_quotes:
            raise SalesNavigatorIncompleteDownloadError(
                "The CSV ends inside a quoted field: the file was cut short."
            )
        if self._in_record:
            self._records += 1
            self._in_record = False

    def _read_head(self, head: bytearray) -> None:
        self._head = None
        text = bytes(head).removeprefix(codecs.BOM_UTF8)
        first, rest = text[:MAX_HEADER_BYTES], text[MAX_HEADER_BYTES:]
        self._count(first)
        if rest and self._records == 0:
            raise SalesNavigatorLandingError(
                f"The file's first line is longer than {MAX_HEADER_BYTES:,} bytes: this is not a CSV export."
            )
        self.columns = _first_record(first)
        self._count(rest)

    def _count(self, chunk: bytes) -> None:
        if not chunk:
            return
        starts_blank = not self._in_record and chunk.startswith((b"\n", b"\r"))
        if starts_blank or _BLANK_LINE.search(chunk):
            self._count_with_blank_lines(chunk)
            return
        if b'"' in chunk:
            self._count_marks(chunk.translate(None, _NEITHER_QUOTE_NOR_NEWLINE))
        elif not self._in_quotes:
            self._records += chunk.count(b"\n")
        self._in_record = self._in_quotes or not chunk.rstrip(b"\r").endswith(b"\n")

    def _count_marks(self, marks: bytes) -> None:
        """Count the line breaks outside quotes in what is left of a chunk: its quotes and line breaks."""
        # Two quotes side by side open and close (or close and open) with no line break between.
        marks = (b'"' + marks if self._in_quotes else marks).replace(b'""', b"")
        if b'"\n\n' not in marks:
            # Each quoted text still here is then one line break long, and goes in a sweep: several times as
            # fast as taking the text apart.
            marks = marks.replace(b'"\n"', b"")
        pieces = marks.split(b'"')
        self._records += sum(piece.count(b"\n") for piece in pieces[::2])
        self._in_quotes = len(pieces) % 2 == 0

    def _count_with_blank_lines(self, chunk: bytes) -> None:
        pieces = chunk.split(b'"')
        # A quote stands for the quoted text it replaces: it makes its line a record, whatever was inside.
        unquoted = b'"'.join(pieces[self._in_quotes :: 2]).replace(b"\r", b"")
        lines = (b'"' if self._in_record else b"\n") + unquoted
        while b"\n\n" in lines:
            lines = lines.replace(b"\n\n", b"\n")
        self._records += lines.count(b"\n") - (not self._in_record)
        self._in_quotes ^= len(pieces) % 2 == 0
        self._in_record = self._in_quotes or not lines.endswith(b"\n")


def _first_record(text: bytes) -> tuple[str, ...]:
    reader = csv.reader(io.StringIO(text.decode(errors="replace"), newline=""))
    try:
        return tuple(next((record for record in reader if record), ()))
    except csv.Error as error:
        raise SalesNavigatorLandingError(f"The file's first line is not CSV ({error}).") from error
