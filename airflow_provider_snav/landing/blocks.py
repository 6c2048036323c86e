"""Cut a CSV stream into blocks of whole records, so that a reader can parse each block separately."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from airflow_provider_snav.api.errors import SalesNavigatorLandingError
from airflow_provider_snav.landing.records import RecordCounter

BLOCK_BYTES = 1024 * 1024
"""A block is cut from this many bytes. If they hold no whole record, twice as many are used.

Where blocks end does not depend on the sizes of the stream's pieces.
"""

MAX_RECORD_BYTES = 16 * BLOCK_BYTES
"""The longest record, in bytes. The limit keeps memory constant."""

_PLAIN = 'Only format="csv" without drop_columns and hash_columns lands it.'


class Blocks:
    """Collects the pieces of a CSV text and returns blocks. Each block ends where a record ends.

    A record is what Python's ``csv.reader`` reads as one (``strict=False``, ``newline=""``).
    """

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._length = 0
        self._wanted = BLOCK_BYTES

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes, and yield the blocks that are complete.

        :param data: bytes of the CSV text.
        :raises SalesNavigatorLandingError: a record is longer than :data:`MAX_RECORD_BYTES`.
        """
        self._hold(data)
        while self._length > self._wanted:
            text = self.finish()
            beginning = text[: self._wanted]
            if end := end_of_records(beginning):
                self._hold(text[end:])
                self._wanted = BLOCK_BYTES
                yield beginning[:end]
                continue
            if self._wanted >= MAX_RECORD_BYTES:
                raise SalesNavigatorLandingError(
                    f"The file has a record of more than {MAX_RECORD_BYTES:,} bytes. {_PLAIN}",
                    retryable=False,
                )
            self._hold(text)
            self._wanted *= 2

    def finish(self) -> bytes:
        """Return the rest. Its last record may have no line end."""
        rest = b"".join(self._held)
        self._held, self._length = [], 0
        return rest

    def _hold(self, text: bytes) -> None:
        self._held.append(text)
        self._length += len(text)


def end_of_records(text: bytes) -> int:
    """Return the position after the last whole record of a text, in bytes; 0 if no record ends.

    :param text: it must begin where a record begins.
    """
    # A CR at the end of the text may be the first half of a CRLF.
    end = max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        # The end is inside a quoted field, whose opening quote is the last quote or an earlier one.
        quote = text.rfind(b'"', 0, end)
        end = max(text.rfind(b"\n", 0, quote), text.rfind(b"\r", 0, quote)) + 1
        quotes -= 1 + text.count(b'"', end, quote)
    # An even number of quotes is proof only if each quote begins or ends a field, or is doubled.
    return end if not quotes or _ends_a_record(text[:end]) else _exact_end(text)


def _ends_a_record(text: bytes) -> bool:
    counter = RecordCounter()
    counter.feed(text)
    counter.finish()
    return not counter.in_record


def _exact_end(text: bytes) -> int:
    before = end = read = 0

    def counted() -> Iterator[str]:
        nonlocal read
        # latin-1 makes one character of each byte. Commas, quotes and line ends are ASCII.
        for line in io.StringIO(text.decode("latin-1"), newline=""):
            read += len(line)
            yield line

    for _ in records(counted()):
        before, end = end, read
    # The last record may be incomplete.
    return before


def records(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a CSV text, each with the number of its first line, counted from 1.

    A blank line is not a record.

    :param lines: the lines of the text, each with its line end.
    :raises SalesNavigatorLandingError: a field is longer than the limit of Python's ``csv``.
    """
    reader = csv.reader(lines)
    first = 1
    try:
        for record in reader:
            if record:
                yield first, record
            first = reader.line_num + 1
    except csv.Error:
        raise SalesNavigatorLandingError(
            f"Line {first} has a field of more than {csv.field_size_limit():,} characters. {_PLAIN}",
            retryable=False,
        ) from None
