"""For every moment the file that landed last answers, and no moment is forgotten."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api.coverage import Landed, coverage, landed_of

MIDNIGHT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
CONTRACT = "urn:li:contract:1"


def day(number: int) -> dt.datetime:
    return MIDNIGHT + number * DAY


LANDINGS = st.lists(
    st.builds(
        lambda contract, start, days, landed: Landed(
            "activity",
            f"urn:li:contract:{contract}",
            day(start),
            day(start + days),
            (f"{start}.csv",),
            day(landed),
        ),
        contract=st.integers(1, 2),
        start=st.integers(0, 12),
        days=st.integers(1, 5),
        landed=st.integers(0, 4),
    ),
    max_size=12,
)


@given(landings=LANDINGS)
def test_each_day_is_answered_by_the_file_that_landed_last_or_is_a_gap(landings: list[Landed]) -> None:
    found = coverage(landings)
    assert [each.subject for each in found] == sorted({landed.subject for landed in landings})
    for each in found:
        own = [landed for landed in landings if landed.subject == each.subject]
        spans = sorted([*each.answers, *each.gaps], key=lambda span: span.start_at)
        # No day twice, none left out.
        assert spans[0].start_at == min(landed.start_at for landed in own)
        assert spans[-1].until == max(landed.until for landed in own)
        assert all(span.until == after.start_at for span, after in pairwise(spans))
        for number in range(20):
            covering = [landed for landed in own if landed.start_at <= day(number) < landed.until]
            # The last of those that landed at the same moment.
            covering.sort(key=lambda landed: landed.landed_at)
            answers = [a for a in each.answers if a.start_at <= day(number) < a.until]
            assert [a.landed for a in answers] == covering[-1:]
            assert [a.overruled for a in answers] == [tuple(covering[:-1])][: len(covering)]


def record(**changes: Any) -> dict[str, Any]:
    """An asset event's extra, of one file for each of two days."""
    files = [
        {
            "uri": f"s3://lake/{n}.csv",
            "start_at": f"2026-01-0{n}T00:00:00.000Z",
            "end_at": f"2026-01-0{n}T23:59:59.999Z",
        }
        for n in (1, 2)
    ]
    return {
        "kind": "analytics",
        "export_type": "activity",
        "contract": CONTRACT,
        "folder": "s3://lake",
        "start_at": files[0]["start_at"],
        "end_at": files[-1]["end_at"],
        "file_count": 2,
        "files": files,
    } | changes


def test_windows_that_meet_leave_no_gap() -> None:
    [found] = coverage(landed_of(record(), MIDNIGHT))
    assert (found.export, found.subject, found.gaps, found.overlaps) == ("activity", CONTRACT, (), ())
    assert [(answer.start_at, answer.until, answer.landed.uris) for answer in found.answers] == [
        (day(0), day(1), ("s3://lake/1.csv",)),
        (day(1), day(2), ("s3://lake/2.csv",)),
    ]


def test_the_files_of_one_window_answer_together() -> None:
    first, second = record()["files"]
    [found] = coverage(
        landed_of(
            record(files=[first, second | {"end_at": first["end_at"], "start_at": first["start_at"]}]),
            MIDNIGHT,
        )
    )
    assert [answer.landed.uris for answer in found.answers] == [("s3://lake/1.csv", "s3://lake/2.csv")]


def test_an_export_without_rows_is_no_gap() -> None:
    [landed] = landed_of(record(files=[], file_count=0), MIDNIGHT)
    assert (landed.start_at, landed.until, landed.uris) == (day(0), day(2), ())


def test_a_landing_of_more_files_than_an_event_lists_is_its_folder() -> None:
    [landed] = landed_of(record(file_count=70), MIDNIGHT)
    assert (landed.start_at, landed.until, landed.uris) == (day(0), day(2), ("s3://lake",))


def test_a_record_that_does_not_name_its_export_is_refused() -> None:
    with pytest.raises(KeyError):
        landed_of({"files": []}, MIDNIGHT)
