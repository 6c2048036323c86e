"""The CSV files of a sandbox: rows that lie at fixed instants, whoever asks and whenever.

A row belongs to one millisecond. So a closed window holds exactly the rows whose instant lies in
it, two windows that do not overlap share none, and the halves of a window make up the whole.
Rows also lie on the first and on the last millisecond of each hour (of each day, for seats),
where a boundary that is off by one gains or loses a row.

Only the Activity and the CRM validation files are documented. Of ActivityOutcome the first two
columns are known and no value of the second; of Seat nothing is. There, columns named
``undocumented…`` and the value ``SANDBOX_PLACEHOLDER`` stand for what LinkedIn does not publish:
read such files by their header, and expect neither from LinkedIn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from airflow_provider_snav.sandbox.clock import DAY_MS, HOUR_MS

PLACEHOLDER = "SANDBOX_PLACEHOLDER"
ACTIVITY_TYPES = (
    "SAVED_LEAD",
    "SAVED_ACCOUNT",
    "SEARCH_PERFORMED",
    "PROFILE_VIEWED",
    "INMAIL_SENT",
    "MESSAGE_SENT",
    "CONNECTION_MADE",
)
_TYPES_WITHOUT_LEAD = ("SAVED_ACCOUNT", "SEARCH_PERFORMED")
_SEATS = 5
_OUTCOME_DELAY_HOURS = 3
# Enough for 256 KiB of the shortest rows: with smaller blocks the server, not the reader, is measured.
_BLOCK_ROWS = 4096
_BULK_TEXT = 'a "quoted" word, a comma\nand a second line'


class Action(StrEnum):
    """What a job exports: an action of ``salesAnalyticsExportJobs``, or the CRM validation."""

    ACTIVITY = "exportActivityData"
    SEAT = "exportSeatData"
    ACTIVITY_OUTCOME = "exportActivityOutcomeData"
    CRM_VALIDATION = "crmDataValidation"


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One file of an export, its size and rows known before a byte of it is sent.

    With ``Settings.bulk_bytes`` the rows of ``head`` are followed by ``block``, over and over: rows
    with commas, quotes and newlines in a quoted field, the same ones each time. That keeps no
    promise about instants or unique ids; it is there to measure how fast a file is read.
    """

    head: bytes
    head_rows: int
    block: bytes = b""
    block_rows: int = 0
    repeats: int = 0

    @property
    def rows(self) -> int:
        """Rows without the header, as ``rowCount`` counts them."""
        return self.head_rows + self.block_rows * self.repeats

    @property
    def size(self) -> int:
        return len(self.head) + len(self.block) * self.repeats

    def chunks(self) -> Iterator[bytes]:
        yield self.head
        for _ in range(self.repeats):
            yield self.block

    def read(self) -> bytes:
        return b"".join(self.chunks())


@dataclass(frozen=True, slots=True)
class _Schema:
    """The columns of one export, its row for an instant, and how often instants come.

    ``free_text`` is the column that can hold any text at all.
    """

    columns: tuple[str, ...]
    row: Callable[[str, int], tuple[object, ...]]
    free_text: int
    period: int = HOUR_MS


@lru_cache(maxsize=64)
def files(
    action: Action, urn: str, start_at: int, end_at: int, *, rows_per_part: int, bulk_bytes: int
) -> tuple[CsvFile, ...]:
    """The files of one export, in order. Each begins with the header.

    :param action: what is exported.
    :param urn: the contract, or the CRM instance.
    :param start_at: first millisecond of the window.
    :param end_at: last millisecond of the window.
    :param rows_per_part: most rows of one file; analytics exports always are a single file.
    :param bulk_bytes: least size of each file; see `CsvFile`.
    """
    schema = _SCHEMAS[action]
    rows = [schema.row(urn, at) for at in instants(action, urn, start_at, end_at)]
    part = rows_per_part if action is Action.CRM_VALIDATION else max(len(rows), 1)
    parts = [rows[first : first + part] for first in range(0, max(len(rows), 1), part)]
    return tuple(_file(schema, urn, part_rows, bulk_bytes) for part_rows in parts)


def instants(action: Action, urn: str, start_at: int, end_at: int) -> Iterator[int]:
    """The milliseconds of a closed window on which a row lies, in order."""
    period = _SCHEMAS[action].period
    for index in range(start_at // period, end_at // period + 1):
        yield from (at for at in _period(action, urn, index) if start_at <= at <= end_at)


def _period(action: Action, urn: str, index: int) -> tuple[int, ...]:
    """Six instants: the first and last millisecond of an hour (or day) and one in each quarter."""
    period = _SCHEMAS[action].period
    quarter = period // 4
    begin = index * period
    between = (begin + n * quarter + 1 + _number(action, urn, index, n) % (quarter - 2) for n in range(4))
    return (begin, *between, begin + period - 1)


def _digest(*parts: object) -> bytes:
    return blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()


def _number(*parts: object) -> int:
    return int.from_bytes(_digest(*parts), "big")


def _activity_id(contract: str, at: int) -> str:
    return _digest(contract, at).hex()


def _activity(contract: str, at: int) -> tuple[object, ...]:
    draw = _number("activity", contract, at)
    activity_type = ACTIVITY_TYPES[draw % len(ACTIVITY_TYPES)]
    lead = "" if activity_type in _TYPES_WITHOUT_LEAD else f"AE{draw:016x}"
    created_at = datetime.fromtimestamp(at // 1000, UTC).strftime("%m-%d-%Y %H:%M:%S")
    return (_activity_id(contract, at), activity_type, created_at, 1000 + draw % _SEATS, lead)


def _activity_outcome(contract: str, at: int) -> tuple[object, ...]:
    # An outcome comes after its activity, so it may refer to one outside its own window.
    activities = _period(Action.ACTIVITY, contract, at // HOUR_MS - _OUTCOME_DELAY_HOURS)
    activity = activities[_number("outcome", contract, at) % len(activities)]
    return (_activity_id(contract, activity), PLACEHOLDER, f"{PLACEHOLDER} {at}")


def _seat(_contract: str, at: int) -> tuple[object, ...]:
    return (f"{PLACEHOLDER} {at}", f'{PLACEHOLDER} "quoted", with a comma\nand a second line')


def _crm_record(crm_instance: str, at: int) -> tuple[object, ...]:
    # The document's texts for the two times contradict their names: both hold the row's instant.
    return (_digest("record", crm_instance, at).hex(), "CONTACT", at, at)


_SCHEMAS = {
    Action.ACTIVITY: _Schema(
        ("activityId", "activityType", "createdAt", "seatId", "memberIdentityKey"), _activity, free_text=4
    ),
    Action.ACTIVITY_OUTCOME: _Schema(
        ("activityId", "activityType", "undocumented1"), _activity_outcome, free_text=2
    ),
    Action.SEAT: _Schema(("undocumented1", "undocumented2"), _seat, free_text=1, period=DAY_MS),
    Action.CRM_VALIDATION: _Schema(
        ("crmId", "crmRecordType", "expiredAt", "createdAt"), _crm_record, free_text=0
    ),
}


def _file(schema: _Schema, urn: str, rows: Sequence[tuple[object, ...]], bulk_bytes: int) -> CsvFile:
    head = _render([schema.columns, *rows])
    if bulk_bytes <= len(head):
        return CsvFile(head, len(rows))
    block = _block(schema, urn)
    repeats = -(-(bulk_bytes - len(head)) // len(block))
    return CsvFile(head, len(rows), block, _BLOCK_ROWS, repeats)


@lru_cache(maxsize=8)
def _block(schema: _Schema, urn: str) -> bytes:
    rows = [list(schema.row(urn, DAY_MS + n)) for n in range(_BLOCK_ROWS)]
    for n, row in enumerate(rows):
        row[schema.free_text] = f"{_BULK_TEXT} {n}"
    return _render(rows)


def _render(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
