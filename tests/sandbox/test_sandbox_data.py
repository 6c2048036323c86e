"""What is in the files."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snav.sandbox.data import ACTIVITY_TYPES, Action, CsvFile, files, instants

DOCS_SAMPLES = Path(__file__).parents[2] / "docs" / "samples"
CONTRACT = "urn:li:contract:123456"
HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_790_000_000_000 // DAY * DAY
UNBOUNDED = 10**9

ANY_ACTION = st.sampled_from(Action)
# Offsets near the boundaries of hours, where the mistakes are, and any others.
OFFSETS = st.integers(0, 3 * DAY) | st.builds(
    lambda hour, off: hour * HOUR + off, st.integers(0, 72), st.integers(-1, 1)
)


def _files(action: Action, start: int, end: int, rows_per_part: int = UNBOUNDED) -> tuple[CsvFile, ...]:
    return files(action, CONTRACT, start, end, rows_per_part=rows_per_part, bulk_bytes=0)


def _rows(action: Action, start: int, end: int) -> list[dict[str, str]]:
    [file] = _files(action, start, end)
    rows = list(csv.DictReader(io.StringIO(file.read().decode(), newline="")))
    assert (len(rows), len(file.read())) == (file.rows, file.size)
    return rows


@settings(max_examples=50, deadline=None)
@given(action=ANY_ACTION, cuts=st.lists(OFFSETS, min_size=3, max_size=3, unique=True))
def test_two_halves_make_up_the_whole_and_share_no_row(action: Action, cuts: list[int]) -> None:
    start, middle, end = (START + cut for cut in sorted(cuts))
    halves = _rows(action, start, middle - 1) + _rows(action, middle, end)
    assert halves == _rows(action, start, end)


@settings(max_examples=50, deadline=None)
@given(action=ANY_ACTION, start=OFFSETS, length=st.integers(0, DAY))
def test_a_window_is_closed_at_both_ends(action: Action, start: int, length: int) -> None:
    first, last = START + start, START + start + length
    wider = list(instants(action, CONTRACT, first - 2 * DAY, last + 2 * DAY))
    assert list(instants(action, CONTRACT, first, last)) == [at for at in wider if first <= at <= last]


@pytest.mark.parametrize("action", Action)
def test_a_window_that_ends_on_a_day_boundary_has_a_row_too_many(action: Action) -> None:
    assert len(_rows(action, START, START + DAY)) == len(_rows(action, START, START + DAY - 1)) + 1
    assert len(_rows(action, START, START + DAY - 2)) == len(_rows(action, START, START + DAY - 1)) - 1


def test_an_activity_has_the_documented_columns_and_values() -> None:
    rows = _rows(Action.ACTIVITY, START, START + 30 * DAY - 1)
    assert list(rows[0]) == ["activityId", "activityType", "createdAt", "seatId", "memberIdentityKey"]
    assert len({row["activityId"] for row in rows}) == len(rows)
    assert {row["activityType"] for row in rows} == set(ACTIVITY_TYPES)
    assert all(row["seatId"].isdigit() for row in rows)
    assert all(re.fullmatch(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d", row["createdAt"]) for row in rows)
    without_lead = {row["activityType"] for row in rows if not row["memberIdentityKey"]}
    assert without_lead == {"SAVED_ACCOUNT", "SEARCH_PERFORMED"}


def test_the_time_of_an_activity_is_utc_to_the_second_with_the_month_first() -> None:
    expected = [
        datetime.fromtimestamp(at // 1000, UTC).strftime("%m-%d-%Y %H:%M:%S")
        for at in instants(Action.ACTIVITY, CONTRACT, START, START + DAY - 1)
    ]
    assert [row["createdAt"] for row in _rows(Action.ACTIVITY, START, START + DAY - 1)] == expected


def test_an_outcome_belongs_to_one_activity_and_has_no_literal_of_linkedins() -> None:
    outcomes = _rows(Action.ACTIVITY_OUTCOME, START, START + DAY - 1)
    activities = _rows(Action.ACTIVITY, START - DAY, START + DAY - 1)
    types = {row["activityId"]: row["activityType"] for row in activities}
    documented, invented = list(outcomes[0])[:2], list(outcomes[0])[2:]
    assert documented == ["activityId", "activityType"]
    assert all(column.startswith("sandbox_") for column in invented)
    assert len({row["activityId"] for row in outcomes}) == len(outcomes)
    for row in outcomes:
        of_inmail = types[row["activityId"]] == "INMAIL_SENT"
        assert row["activityType"].startswith("SANDBOX_INMAIL_" if of_inmail else "SANDBOX_OTHER_")


def test_a_seat_export_has_each_seat_once_a_day_and_cannot_be_mistaken_for_linkedins() -> None:
    rows = _rows(Action.SEAT, START, START + 3 * DAY - 1)
    assert all(column.startswith("sandbox_") for column in rows[0])
    assert all(row["sandbox_status"].startswith("SANDBOX_") for row in rows)
    assert all(row["sandbox_email"].endswith("@example.com") for row in rows)
    keys = [(row["sandbox_date"], row["sandbox_seatId"]) for row in rows]
    assert len(set(keys)) == len(keys) == 3 * len({row["sandbox_name"] for row in rows})


def test_the_seats_of_activities_are_those_of_seat_exports() -> None:
    activities = _rows(Action.ACTIVITY, START, START + DAY - 1)
    seats = _rows(Action.SEAT, START, START + DAY - 1)
    assert {row["seatId"] for row in activities} == {row["sandbox_seatId"] for row in seats}


def test_a_crm_record_has_the_documented_columns_and_times_in_milliseconds() -> None:
    rows = _rows(Action.CRM_VALIDATION, START, START + DAY - 1)
    assert list(rows[0]) == ["crmId", "crmRecordType", "expiredAt", "createdAt"]
    assert {row["crmRecordType"] for row in rows} == {"CONTACT"}
    assert all(START <= int(row["expiredAt"]) < START + DAY for row in rows)


def test_contracts_do_not_share_rows() -> None:
    other = files(
        Action.ACTIVITY, "urn:li:contract:7", START, START + DAY, rows_per_part=UNBOUNDED, bulk_bytes=0
    )
    assert set(other[0].read().splitlines()) & set(
        _files(Action.ACTIVITY, START, START + DAY)[0].read().splitlines()
    ) == {b"activityId,activityType,createdAt,seatId,memberIdentityKey"}


def test_a_window_without_rows_has_a_file_with_the_header_only() -> None:
    [file] = _files(Action.SEAT, START + 1, START + 1)
    assert file.rows == 0
    assert file.read().count(b"\n") == 1
    assert file.read().startswith(b"sandbox_date,")


@pytest.mark.parametrize(("action", "parts"), [(Action.ACTIVITY, 1), (Action.CRM_VALIDATION, 3)])
def test_only_a_crm_export_comes_in_parts(action: Action, parts: int) -> None:
    cut = _files(action, START, START + 10 * HOUR - 1, rows_per_part=25)
    [whole] = _files(action, START, START + 10 * HOUR - 1)
    header, _, _ = whole.read().partition(b"\n")
    assert len(cut) == parts
    assert b"".join(file.read().removeprefix(header + b"\n") for file in cut) == whole.read().removeprefix(
        header + b"\n"
    )


# The names in the docs: a reader who has only the file must see what is invented.
SAMPLES = {
    "sandbox-activity.csv": Action.ACTIVITY,
    "sandbox-activity-outcome-invented-columns.csv": Action.ACTIVITY_OUTCOME,
    "sandbox-seat-invented-columns.csv": Action.SEAT,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_of_the_docs_are_what_the_sandbox_exports(name: str) -> None:
    day = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1000
    [file] = _files(SAMPLES[name], day, day + DAY - 1)
    assert (DOCS_SAMPLES / name).read_bytes() == file.read()
