"""Which windows may be exported, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.server import Sandbox

Call = Callable[..., requests.Response]

ACTIONS = ["exportActivityData", "exportSeatData", "exportActivityOutcomeData"]
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_800_000_000_000


@pytest.fixture
def sandbox() -> Any:
    with Sandbox(clock=lambda: NOW / 1000) as sandbox:
        yield sandbox


def _create(call: Call, action: str, start: int, end: int, contract: int = 123456) -> requests.Response:
    body = {"contract": f"urn:li:contract:{contract}", "startAt": start, "endAt": end}
    return call("POST", f"/salesAnalyticsExportJobs?action={action}", json=body)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (NOW - DAY, NOW - DAY + 5 * MINUTE, "less than one hour"),
        (NOW - DAY, NOW - DAY + HOUR - 1, "less than one hour"),
        (NOW - 91 * DAY, NOW, "cannot exceed 90 days"),
        (NOW - 90 * DAY - 1, NOW, "cannot exceed 90 days"),
        (NOW - 730 * DAY - 1, NOW - 729 * DAY, "more than 2 years old"),
        (NOW - DAY, NOW - DAY, "larger than or equal to"),
        (NOW, NOW - DAY, "larger than or equal to"),
    ],
)
def test_a_window_outside_the_documented_criteria_is_refused(
    call: Call, sandbox: Sandbox, action: str, start: int, end: int, message: str
) -> None:
    answer = _create(call, action, start, end)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert not sandbox.created_jobs


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("start", "end"),
    [(NOW - DAY, NOW - DAY + HOUR), (NOW - 90 * DAY, NOW), (NOW - 730 * DAY, NOW - 729 * DAY)],
    ids=["one hour", "90 days", "two years ago"],
)
def test_a_window_on_the_edge_of_the_criteria_is_accepted(
    call: Call, sandbox: Sandbox, action: str, start: int, end: int
) -> None:
    answer = _create(call, action, start, end)
    assert answer.status_code == 200
    [job] = sandbox.created_jobs
    assert answer.json() == {"value": {"id": job.job_id, "status": "ENQUEUED"}}
    assert (job.action, job.start_at, job.end_at) == (action, start, end)


def test_a_window_that_reaches_into_the_future_has_no_rows_of_it(call: Call, sandbox: Sandbox) -> None:
    for end in (NOW, NOW + DAY):
        _create(call, "exportActivityData", NOW - DAY, end)
    sandbox.advance(timedelta(days=2))
    counts = [
        call("GET", f"/salesAnalyticsExportJobs/{job.job_id}?contract=urn%3Ali%3Acontract%3A123456").json()[
            "rowCount"
        ]
        for job in sandbox.created_jobs
    ]
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("contract", [345678, 999999], ids=["without reporting access", "unknown"])
def test_a_contract_the_member_may_not_export_is_forbidden(call: Call, contract: int) -> None:
    assert _create(call, "exportActivityData", NOW - DAY, NOW, contract).status_code == 403
