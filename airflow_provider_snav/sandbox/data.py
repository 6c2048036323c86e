"""The CSV files of a sandbox. Every row has a fixed time, so the same window always has the same rows.

A row belongs to one millisecond. So a closed window has exactly the rows whose time is in it. Two windows
that do not overlap share no row, and the two halves of a window have all its rows. There is a row at the
first and the last millisecond of each hour (of each day, for seats). So a window that is wrong by one
millisecond gains or loses a row.

The columns that LinkedIn documents come from :mod:`airflow_provider_snav.api.schemas`. Every other column
here is invented and begins with ``sandbox_``; every invented literal begins with ``SANDBOX_``. They help to
test a loader, which must read LinkedIn's files by their header.
"""

from __future__ import annotations

import csv
import io
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from airflow_provider_snav.api.schemas import SCHEMAS
from airflow_provider_snav.sandbox.clock import DAY_MS, HOUR_MS
from airflow_provider_snav.sandbox.settings import QUOTED_TEXT

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
# One name for each row of a day. They contain everything that is difficult for a loader.
_SEAT_HOLDERS = (
    "Ada Sandbox",
    "Sandbox, Grace",
    'Edsger "Ed" Sandbox',
    "Zoë Sandbox-Łuk",
    "Barbara O'Sandbox",
    "Alan Sandbox\n(second line)",
)
_SEAT_STATUSES = ("SANDBOX_STATUS_1", "SANDBOX_STATUS_2")
_INMAIL_OUTCOMES = ("SANDBOX_INMAIL_ACCEPTED", "SANDBOX_INMAIL_REJECTED")
_OTHER_OUTCOME = "SANDBOX_OTHER_OUTCOME"
_OUTCOME_DELAY_HOURS = 3
# Enough for 256 KiB of the shortest rows. With smaller blocks, a benchmark would measure the server.
_BLOCK_ROWS = 4096


class Action(StrEnum):
    """The data that a job exports: an action of ``salesAnalyticsExportJobs``, or the CRM validation."""

    ACTIVITY = "exportActivityData"
    SEAT = "exportSeatData"
    ACTIVITY_OUTCOME = "exportActivityOutcomeData"
    CRM_VALIDATION = "crmDataValidation"


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One file of an export. Its size and rows are known before the first byte is sent.

    With ``SandboxSettings.bulk_bytes``, ``block`` follows the rows of ``head`` several times. Its rows have
    ``bulk_text`` in one field, by default commas, quotes and newlines. The rows of the block have no fixed
    times and no unique ids. They are for measuring how fast a file is read.
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
    """The columns of one export, a function that makes the row of a time, and the period of the rows in ms.

    ``free_text`` is the index of a column that may contain any text.
    """

    columns: tuple[str, ...]
    row: Callable[[str, int], tuple[object, ...]]
    free_text: int
    period: int = HOUR_MS


@lru_cache(maxsize=64)
def files(
    action: Action,
    urn: str,
    start_at: int,
    end_at: int,
    *,
    rows_per_part: int,
    bulk_bytes: int,
    bulk_text: str = QUOTED_TEXT,
) -> tuple[CsvFile, ...]:
    """The files of one export, in order. Each begins with the header.

    :param action: the kind of data.
    :param urn: the contract, or the CRM instance.
    :param start_at: first millisecond of the window, in epoch ms.
    :param end_at: last millisecond of the window, in epoch ms.
    :param rows_per_part: the largest number of rows in one file; an analytics export always has one file.
    :param bulk_bytes: the smallest size of each file in bytes; see `CsvFile`.
    :param bulk_text: the text in one column of the added rows.
    """
    schema = _SCHEMAS[action]
    rows = [schema.row(urn, at) for at in instants(action, urn, start_at, end_at)]
    part = rows_per_part if action is Action.CRM_VALIDATION else max(len(rows), 1)
    parts = [rows[first : first + part] for first in range(0, max(len(rows), 1), part)]
    return tuple(_file(schema, urn, part_rows, bulk_bytes, bulk_text) for part_rows in parts)


def instants(action: Action, urn: str, start_at: int, end_at: int) -> Iterator[int]:
    """The times of the rows in a closed window, in epoch ms and in order."""
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


def _place(action: Action, urn: str, at: int) -> int:
    """The index (from 0) of a time among the six times of its hour (or day)."""
    six = _period(action, urn, at // _SCHEMAS[action].period)
    return bisect_left(six, at) % len(six)


def _digest(*parts: object) -> bytes:
    return blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()


def _number(*parts: object) -> int:
    return int.from_bytes(_digest(*parts), "big")


def _activity_id(contract: str, at: int) -> str:
    return _digest(contract, at).hex()


def _created_at(at: int) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%m-%d-%Y %H:%M:%S")


def _activity_type(contract: str, at: int) -> str:
    return ACTIVITY_TYPES[_number("activity", contract, at) % len(ACTIVITY_TYPES)]


def _seat_id(number: int) -> int:
    return 1000 + number % len(_SEAT_HOLDERS)


def _activity(contract: str, at: int) -> tuple[object, ...]:
    draw = _number("activity", contract, at)
    activity_type = _activity_type(contract, at)
    lead = "" if activity_type in _TYPES_WITHOUT_LEAD else f"AE{draw:016x}"
    return (_activity_id(contract, at), activity_type, _created_at(at), _seat_id(draw), lead)


def _activity_outcome(contract: str, at: int) -> tuple[object, ...]:
    # An outcome is later than its activity, so the activity may be outside the window of the outcome.
    activities = _period(Action.ACTIVITY, contract, at // HOUR_MS - _OUTCOME_DELAY_HOURS)
    activity = activities[_place(Action.ACTIVITY_OUTCOME, contract, at)]
    draw = _number("outcome", contract, at)
    of_inmail = _activity_type(contract, activity) == "INMAIL_SENT"
    outcome_type = _INMAIL_OUTCOMES[draw % len(_INMAIL_OUTCOMES)] if of_inmail else _OTHER_OUTCOME
    comment = f"Invented, number {draw % 1000}"
    return (_activity_id(contract, activity), outcome_type, _created_at(at), comment)


def _seat(contract: str, at: int) -> tuple[object, ...]:
    day = at // DAY_MS
    number = _place(Action.SEAT, contract, at)
    parts = [_number("index", contract, day, number, part) % 251 / 10 for part in range(4)]
    return (
        datetime.fromtimestamp(at // 1000, UTC).date(),
        _seat_id(number),
        _SEAT_HOLDERS[number],
        f"seat-{_seat_id(number)}@example.com",
        _SEAT_STATUSES[number == 0],
        round(sum(parts), 1),
        *parts,
        150 + 40 * number + day % 1000,
    )


def _crm_record(crm_instance: str, at: int) -> tuple[object, ...]:
    # The document's descriptions of the two times contradict their names, so both are the row's time.
    return (_digest("record", crm_instance, at).hex(), "CONTACT", at, at)


_INVENTED_SEAT_COLUMNS = (
    "sandbox_date",
    "sandbox_seatId",
    "sandbox_name",
    "sandbox_email",
    "sandbox_status",
    "sandbox_socialSellingIndex",
    *(f"sandbox_socialSellingIndex{part}" for part in range(1, 5)),
    "sandbox_totalConnections",
)


def _columns(export: str, *invented: str) -> tuple[str, ...]:
    return (*(column.name for column in SCHEMAS[export].columns), *invented)


_SCHEMAS = {
    Action.ACTIVITY: _Schema(_columns("activity"), _activity, free_text=4),
    Action.ACTIVITY_OUTCOME: _Schema(
        _columns("activity_outcome", "sandbox_occurredAt", "sandbox_comment"), _activity_outcome, free_text=3
    ),
    Action.SEAT: _Schema(_columns("seat", *_INVENTED_SEAT_COLUMNS), _seat, free_text=2, period=DAY_MS),
    Action.CRM_VALIDATION: _Schema(_columns("crm_validation"), _crm_record, free_text=0),
}


def _file(
    schema: _Schema, urn: str, rows: Sequence[tuple[object, ...]], bulk_bytes: int, bulk_text: str
) -> CsvFile:
    head = _render([schema.columns, *rows])
    if bulk_bytes <= len(head):
        return CsvFile(head, len(rows))
    block = _block(schema, urn, bulk_text)
    repeats = -(-(bulk_bytes - len(head)) // len(block))
    return CsvFile(head, len(rows), block, _BLOCK_ROWS, repeats)


@lru_cache(maxsize=8)
def _block(schema: _Schema, urn: str, text: str) -> bytes:
    rows = [list(schema.row(urn, DAY_MS + n)) for n in range(_BLOCK_ROWS)]
    for n, row in enumerate(rows):
        row[schema.free_text] = f"{text} {n}"
    return _render(rows)


def _render(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
