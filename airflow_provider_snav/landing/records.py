"""Count the records of a CSV file and read its columns, while its bytes are streamed."""

from __future__ import annotations

import codecs
import csv
import io
import re

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError
from airflow_provider_snav.landing.evidence import is_header, kind_of, not_an_export

MAX_HEADER_BYTES = 1024 * 1024
"""The most bytes that are kept to read the header, including blanks before it."""

# Also the bytes of a no-break space and of a second byte order mark.
_BLANKS = b" \t\r\n\v\f\xc2\xa0\xef\xbb\xbf"
_ALL_BUT_MARKS = bytes(set(range(256)) - set(b'",\r\n\0'))
# A quote opens a quoted field only at the start of a field. The field ends at the first quote that is not
# doubled, or has no end.
_QUOTED_FIELD = re.compile(rb'"(?<![^,\r\n]")[^"]*+(?:""[^"]*+)*+"?+')
_CR_ALONE = re.compile(rb"\r[^\n]")
_BLANK_LINES = re.compile(rb"\n\n+")
# Replaces a quoted field. The text itself cannot contain it, because CsvProfile refuses NUL bytes.
_A_FIELD = b"\0"
# It is added after a text to find the reader's state there. Its quote ends a field, begins a field, is the
# second of two quotes, or is in the middle of a field.
_PROBE = b'"\1'
_MAX_MARK_BYTES = len(codecs.BOM_UTF32)
_EXACT_CHUNKS = 16
_MAX_HELD_BYTES = 1024


class RecordCounter:
    """Counts records, chunk by chunk, as Python's ``csv.reader`` does (``strict=False``, ``newline=""``).

    LF, CRLF and CR end a record. A quote opens a quoted field only at the start of a field. A blank line is
    not a record. The text must not contain NUL bytes.

    The quick way counts after it has deleted all text but quotes, commas and line ends, about 90 percent.
    It cannot see whether a quote is at the start of a field. This matters only after an odd number of quotes
    between two commas or line ends. After an even number, a reader is always outside quotes. The exact way
    has half the speed. It reads text with an odd number, a CR without LF, or a line without a comma.

    :ivar records: the number of records that have ended; after :meth:`finish`, of all records.
    :ivar commas: the number of commas in the record that has not ended.
    :ivar in_record: after :meth:`finish`, True if the last record has no line end.
    :ivar in_quotes: after :meth:`finish`, True if the last field has no closing quote.
    """

    def __init__(self) -> None:
        self.records = self.commas = 0
        self.in_record = self.in_quotes = False
        # The shortest text after which a reader has the state it had after the last chunk, and then the bytes
        # that were not counted.
        self._left = b""
        self._exact_chunks = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the text."""
        if not self._exact_chunks:
            if self._read_quickly(chunk):
                return
            # The next chunks probably need the exact way too.
            self._exact_chunks = _EXACT_CHUNKS
        self._exact_chunks -= 1
        # A CR at the end may be the first half of a CRLF. The next byte shows it.
        half = chunk.endswith(b"\r")
        self._read_exactly(self._left, chunk[:-1] if half else chunk)
        self._left += b"\r" * half

    def finish(self) -> None:
        """Count the last record, which may have no line end. Call it once, after the last byte."""
        self._read_exactly(self._left, b"")
        self.in_record, self.in_quotes = self._left != b"", self._left == b'"'
        self.records += self.in_record

    def _read_quickly(self, chunk: bytes) -> bool:
        """Count a chunk that has no comma and no line end inside quotes; return False for any other chunk."""
        tail = chunk[-_MAX_HELD_BYTES:]
        # The bytes after the last comma or line end are read with the next chunk.
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
        # There is a blank line or a record of one field.
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
            # An earlier call has counted this comma.
            self.commas -= 1
        self.commas += marks.count(b",", unended)

    @staticmethod
    def _probed(fields: bytes, last: bytes) -> tuple[bytes, bytes]:
        """Return the fields without the probe, and the shortest text that gives a reader the same state.

        :param fields: the text with the probe, in which quoted fields are replaced.
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
    """The columns and the number of rows of an export, read from chunks of any size.

    Pass every byte to :meth:`feed`, then call :meth:`finish`. ``rows`` and ``columns`` are final only then.
    The text is UTF-8, with or without a byte order mark.

    Memory does not grow with the file: it holds at most :data:`MAX_HEADER_BYTES` and one chunk.
    """

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()
        self._counter = RecordCounter()
        self._start: bytes | None = b""
        self._head: bytes | None = b""
        self._blank = True

    @property
    def rows(self) -> int:
        """The number of records without the header. A blank line is not a record."""
        return max(self._counter.records - 1, 0)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file.

        :param chunk: bytes of the CSV.
        :raises SalesNavigatorIncompleteDownloadError: the file is not an export.
        """
        if self._start is None:
            self._take(chunk)
            return
        self._start += chunk
        # Chunks may split a byte order mark.
        if len(self._start) >= _MAX_MARK_BYTES:
            start, self._start = self._start, None
            self._take(start.removeprefix(codecs.BOM_UTF8))

    def finish(self, *, vouched: bool = True) -> None:
        """Check the file after its last byte.

        :param vouched: False if neither a length nor an end mark of the transfer proves that the file is
            complete. ``rowCount`` is no proof, because a last record that was cut in the middle counts too.
        :raises SalesNavigatorIncompleteDownloadError: the file is empty, incomplete, or not an export.
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
