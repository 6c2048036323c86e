"""What a CSV file holds, learned while its bytes go by: how many records, and which columns."""

from __future__ import annotations

import codecs
import csv
import io
import re

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError
from airflow_provider_snav.landing.evidence import is_header, kind_of, not_an_export

MAX_HEADER_BYTES = 1024 * 1024
"""Bytes held back to read the header from, blanks before it included."""

# With the bytes of a no-break space and of another byte order mark.
_BLANKS = b" \t\r\n\v\f\xc2\xa0\xef\xbb\xbf"
_ALL_BUT_MARKS = bytes(set(range(256)) - set(b'",\r\n\0'))
# A quoted field begins where a field begins, and ends before a quote that is not doubled, or not at all.
_QUOTED_FIELD = re.compile(rb'"(?<![^,\r\n]")[^"]*+(?:""[^"]*+)*+"?+')
_CR_ALONE = re.compile(rb"\r[^\n]")
_BLANK_LINES = re.compile(rb"\n\n+")
# Stands for a quoted field. No text has it: CsvProfile refuses NUL bytes.
_A_FIELD = b"\0"
# Behind a text, its quote ends a field, begins one, is the second of two, or stands in the middle of one.
_PROBE = b'"\1'
_MAX_MARK_BYTES = len(codecs.BOM_UTF32)
_EXACT_CHUNKS = 16
_MAX_HELD_BYTES = 1024


class RecordCounter:
    """Counts records as Python's ``csv.reader`` does (``strict=False``, ``newline=""``), chunk by chunk.

    LF, CRLF and CR end a record, a quote opens a field only where the field begins, and a blank line is no
    record. The text must not hold NUL bytes.

    The quick way deletes nearly all text before it counts: quotes, commas and line ends are a tenth of it.
    That hides whether a quote stands where a field begins. It matters only if an odd number of quotes stands
    between two commas or line ends: after an even number, a reader is outside quotes, wherever they stand.
    An odd number, a CR alone and a line without a comma take the exact way, at half the speed.

    :ivar records: records that have ended; after :meth:`finish`, all.
    :ivar commas: commas of the record that has not ended.
    :ivar in_record: True, after :meth:`finish`, if the last record has no line end.
    :ivar in_quotes: True, after :meth:`finish`, if its last field has no closing quote.
    """

    def __init__(self) -> None:
        self.records = self.commas = 0
        self.in_record = self.in_quotes = False
        # The shortest text that brings a reader to where the last chunk left it, then bytes not read yet.
        self._left = b""
        self._exact_chunks = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the text."""
        if not self._exact_chunks:
            if self._read_quickly(chunk):
                return
            # The next chunks are likely to be of the same kind.
            self._exact_chunks = _EXACT_CHUNKS
        self._exact_chunks -= 1
        # The next byte shows whether this is half of a line end.
        half = chunk.endswith(b"\r")
        self._read_exactly(self._left, chunk[:-1] if half else chunk)
        self._left += b"\r" * half

    def finish(self) -> None:
        """State that the text has ended; its last record needs no line end."""
        self._read_exactly(self._left, b"")
        self.in_record, self.in_quotes = self._left != b"", self._left == b'"'
        self.records += self.in_record

    def _read_quickly(self, chunk: bytes) -> bool:
        """Count a chunk without a comma or a line end inside quotes; return False for any other."""
        tail = chunk[-_MAX_HELD_BYTES:]
        # What follows the last mark is read with the next chunk.
        held = len(tail) - 1 - max(tail.rfind(b","), tail.rfind(b"\n"))
        marks = self._left.translate(None, _ALL_BUT_MARKS) + chunk.translate(None, _ALL_BUT_MARKS)
        marks = marks.rstrip(b'"\r')
        if b'"' in marks:
            marks = marks.replace(b'""', b"")
        if held == len(tail) or b'"' in marks:
            return False
        end = len(chunk) - held
        if b"\r" in marks:
            if _CR_ALONE.search(self._left + chunk[:1]) or _CR_ALONE.search(chunk, 0, end):
                return False
            marks = marks.translate(None, b"\r")
        if b"\n\n" in marks or (marks.startswith(b"\n") and not self._left.strip(b"\r")):
            return False
        self._count(marks)
        self._left = chunk[end - chunk.startswith(b",", end - 1) :]
        return True

    def _read_exactly(self, left: bytes, chunk: bytes) -> None:
        fields = _QUOTED_FIELD.sub(_A_FIELD, b"".join((left, chunk, _PROBE)))
        fields, state = self._probed(fields, (left + chunk[-1:])[-1:])
        if b"\r" in fields:
            fields = fields.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        marks = fields.translate(None, _ALL_BUT_MARKS)
        # Either a blank line, or a record of one field.
        if b"\n\n" in marks or marks.startswith(b"\n"):
            marks = _BLANK_LINES.sub(b"\n", fields.lstrip(b"\n"))
        self._count(marks)
        self._left = state

    def _count(self, marks: bytes) -> None:
        self.records += marks.count(b"\n")
        unended = marks.rfind(b"\n") + 1
        if unended:
            self.commas = 0
        elif self._left.startswith(b","):
            # It has been counted before.
            self.commas -= 1
        self.commas += marks.count(b",", unended)

    @staticmethod
    def _probed(fields: bytes, last: bytes) -> tuple[bytes, bytes]:
        """The fields without the probe, and the shortest text that leaves a reader where they do.

        :param last: the last byte of the text before the probe.
        """
        if fields.endswith(_A_FIELD + _PROBE[1:]):
            return fields[:-1], b'"'
        if fields.endswith(_PROBE):
            return fields[: -len(_PROBE)], b"x"
        if last == b'"':
            return fields, b'""'
        return fields[:-1], last.strip(b"\r\n")


class CsvProfile:
    """The columns and the number of rows of an export that arrives in chunks of any size.

    Feed every byte, then call :meth:`finish`; ``rows`` and ``columns`` are final only then. The text is
    UTF-8, with or without a byte order mark.

    Memory does not grow with the file: at most :data:`MAX_HEADER_BYTES` and one chunk are held.
    """

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()
        self._counter = RecordCounter()
        self._start: bytes | None = b""
        self._head: bytes | None = b""
        self._blank = True

    @property
    def rows(self) -> int:
        """Records without the header; a blank line is none."""
        return max(self._counter.records - 1, 0)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file.

        :raises SalesNavigatorIncompleteDownloadError: this is not an export.
        """
        if self._start is None:
            self._take(chunk)
            return
        self._start += chunk
        # A byte order mark may come in pieces.
        if len(self._start) >= _MAX_MARK_BYTES:
            start, self._start = self._start, None
            self._take(start.removeprefix(codecs.BOM_UTF8))

    def finish(self, *, vouched: bool = True) -> None:
        """State that the last byte has been fed.

        :param vouched: False if neither a length nor an end mark of the transfer says that the file is whole.
            ``rowCount`` cannot vouch for the last record: one that was cut in the middle counts too.
        :raises SalesNavigatorIncompleteDownloadError: the file is empty, was cut, or is not an export.
        """
        if self._start == b"":
            raise _cut("The file is empty: not even a header came")
        if self._start:
            self._take(self._start)
        if self._head is not None:
            self._read_header(self._head)
        self._counter.finish()
        if self._counter.in_quotes:
            raise _cut("The CSV ends inside a quoted field")
        unended = self._counter.in_record
        fields = self._counter.commas + 1 if unended else len(self.columns)
        if not is_header(self.columns, self.rows):
            raise not_an_export("begins with a line of text that is no header")
        if not vouched and (fields < len(self.columns) or (unended and self.rows == 0)):
            raise _cut("The CSV ends in the middle of a record")

    def _take(self, chunk: bytes) -> None:
        if b"\0" in chunk:
            kind = None if self._head is None else kind_of(self._head + chunk)
            raise not_an_export(f"begins with {kind}" if kind else "holds NUL bytes")
        self._counter.feed(chunk)
        if self._head is not None:
            self._head += chunk
            self._blank = self._blank and not chunk.strip(_BLANKS)
            if len(self._head) > MAX_HEADER_BYTES or (self._counter.records and not self._blank):
                self._read_header(self._head)

    def _read_header(self, head: bytes) -> None:
        self._head = None
        if kind := kind_of(head):
            raise not_an_export(f"begins with {kind}")
        if len(head) > MAX_HEADER_BYTES and not self._counter.records:
            raise not_an_export(f"begins with a line of more than {MAX_HEADER_BYTES:,} bytes")
        reader = csv.reader(io.StringIO(head.decode(errors="replace"), newline=""))
        try:
            self.columns = tuple(next(filter(None, reader)))
        except csv.Error as error:
            raise not_an_export(f"begins with a line that is not CSV ({error})") from error


def _cut(how: str) -> SalesNavigatorIncompleteDownloadError:
    return SalesNavigatorIncompleteDownloadError(f"{how}: it was cut short on the way.")
