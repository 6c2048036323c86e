"""What a CSV file holds, learned while its bytes go by: how many records, and which columns."""

from __future__ import annotations

import codecs
import csv
import io

from airflow_provider_snav.api.errors import (
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)

MAX_HEADER_BYTES = 64 * 1024
"""Bytes held back to read the header from; no export has a header near this long."""

_ALL_BUT_MARKS = bytes(set(range(256)) - set(b'",\n'))
_MARKS_OR_X = bytes(byte if byte in b'"\n' else ord("x") for byte in range(256))


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
        # Its quotes, commas and line breaks are a tenth of the text, and do for all that follows. Two
        # quotes side by side open and close (or close and open) with nothing between.
        pieces = chunk.translate(None, _ALL_BUT_MARKS).replace(b'""', b"").split(b'"')
        unquoted = b'"'.join(pieces[self._in_quotes :: 2])
        if b"\n\n" in (unquoted if self._in_record else b"\n" + unquoted):
            # A blank line, or a record with neither comma nor quotes.
            self._records += self._ended_in(chunk)
        else:
            self._records += unquoted.count(b"\n")
        self._in_quotes ^= len(pieces) % 2 == 0
        if text := chunk.rstrip(b"\r"):
            self._in_record = self._in_quotes or not text.endswith(b"\n")

    def _ended_in(self, chunk: bytes) -> int:
        """Count the records that end in a chunk, whatever is on their lines; five times as slow."""
        pieces = chunk.translate(_MARKS_OR_X, b"\r").split(b'"')
        # A quote stands for the quoted text it replaces: it makes its line a record, whatever was inside.
        lines = (b'"' if self._in_record else b"") + b'"'.join(pieces[self._in_quotes :: 2])
        return len(lines.split()) - (not lines.endswith(b"\n"))


def _first_record(text: bytes) -> tuple[str, ...]:
    reader = csv.reader(io.StringIO(text.decode(errors="replace"), newline=""))
    try:
        return tuple(next((record for record in reader if record), ()))
    except csv.Error as error:
        raise SalesNavigatorLandingError(f"The file's first line is not CSV ({error}).") from error
