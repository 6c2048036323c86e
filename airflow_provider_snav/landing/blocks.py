"""A CSV stream cut into blocks of whole records, so that each block can be read by itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from airflow_provider_snav.api.errors import SalesNavigatorLandingError
from airflow_provider_snav.landing.records import RecordCounter

BLOCK_BYTES = 1024 * 1024
"""The least a block is made from. Blocks end at the same records, whatever pieces the stream comes in."""

MAX_RECORD_BYTES = 16 * BLOCK_BYTES
"""What one record may take, so that memory stays constant."""

_PLAIN = 'Only format="csv" without drop_columns and hash_columns lands it.'


class Blocks:
    """Takes a CSV text piece by piece, and gives it back in blocks that end where a record ends.

    Records are those of Python's ``csv.reader`` (``strict=False``, ``newline=""``).
    """

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._length = 0
        self._wanted = BLOCK_BYTES

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the blocks that are complete.

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
        """The rest; its last record may lack a line end."""
        rest = b"".join(self._held)
        self._held, self._length = [], 0
        return rest

    def _hold(self, text: bytes) -> None:
        self._held.append(text)
        self._length += len(text)


def end_of_records(text: bytes) -> int:
    """Where the last whole record of a text ends; 0 if none does. The text begins with a record."""
    # A CR at the very end may be half of a line end.
    end = max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        # Inside a quoted field: its opening quote is the last one, or lies before it.
        quote = text.rfind(b'"', 0, end)
        end = max(text.rfind(b"\n", 0, quote), text.rfind(b"\r", 0, quote)) + 1
        quotes -= 1 + text.count(b'"', end, quote)
    # An even number proves it only if each quote begins or ends a field, or is one of two.
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
        # One character a byte: the marks of CSV are ASCII.
        for line in io.StringIO(text.decode("latin-1"), newline=""):
            read += len(line)
            yield line

    for _ in records(counted()):
        before, end = end, read
    # The last record may go on.
    return before


def records(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV text, each with the number of its first line; a blank line is none.

    :param lines: each with its line end.
    :raises SalesNavigatorLandingError: a field is longer than Python's ``csv`` reads.
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
