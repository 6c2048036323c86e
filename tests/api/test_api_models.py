"""What LinkedIn answers is read whatever its spelling, and an Export crosses Airflow unchanged."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import pytest
from api_script import changed
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api import calls
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.messages import Response
from airflow_provider_snav.api.models import (
    Contract,
    ExportJob,
    ExportType,
    JobStatus,
    contract_urn,
    has_failed,
)
from airflow_provider_snav.api.windows import Window, from_ms
from airflow_provider_snav.exports.export import MAX_SLICES, Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
URL = "https://www.linkedin.com/ambry/?x-li-ambry-ep=AQFVMzGy8qJVMQAAAWbwbeHrHZG5mJkIDr2xq"


def answered(body: Any, **headers: str) -> Response:
    return Response(200, headers, json.dumps(body).encode(), NOW)


def read(body: Any) -> ExportJob:
    """As the calls read it, envelope and all."""
    job = body if "status" in body else body["value"]
    return calls.get_analytics_export(job.get("id", job.get("jobId")), 1).parse(answered(body))


COMPLETED = {
    "downloadUrl": URL,
    "id": 100004,
    "rowCount": 3999,
    "expireAt": 1536102969282,
    "status": "COMPLETED",
}
EXPIRES = dt.datetime(2018, 9, 4, 23, 16, 9, 282000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("body", "job"),
    [
        pytest.param(
            {"value": {"id": 100004, "status": "ENQUEUED"}}, ExportJob(100004, "ENQUEUED"), id="created"
        ),
        pytest.param({"id": 100004, "status": "ENQUEUED"}, ExportJob(100004, "ENQUEUED"), id="queued"),
        pytest.param(
            COMPLETED, ExportJob(100004, "COMPLETED", (URL,), EXPIRES, row_count=3999), id="completed"
        ),
        pytest.param(
            {"value": COMPLETED},
            ExportJob(100004, "COMPLETED", (URL,), EXPIRES, row_count=3999),
            id="completed-in-the-envelope-of-the-openapi-file",
        ),
        pytest.param(
            {
                "jobId": 148,
                "exportStartAt": 1538947151337,
                "exportEndAt": 1541539151570,
                "downloadUrls": [URL, URL + "2"],
                "nextExportStartAt": 1538947151337,
                "expireAt": 1541635625000,
                "status": "COMPLETED",
            },
            ExportJob(
                148,
                "COMPLETED",
                (URL, URL + "2"),
                dt.datetime(2018, 11, 8, 0, 7, 5, tzinfo=dt.UTC),
                None,
                dt.datetime(2018, 10, 7, 21, 19, 11, 337000, tzinfo=dt.UTC),
                dt.datetime(2018, 11, 6, 21, 19, 11, 570000, tzinfo=dt.UTC),
                dt.datetime(2018, 10, 7, 21, 19, 11, 337000, tzinfo=dt.UTC),
            ),
            id="crm-validation",
        ),
        pytest.param(
            {"id": 1, "status": "COMPLETED", "downloadURL": URL},
            ExportJob(1, "COMPLETED", (URL,)),
            id="download-url-as-the-prose-spells-it",
        ),
        pytest.param(
            {"id": 1, "status": "COMPLETED", "downloadUrl": [URL]},
            ExportJob(1, "COMPLETED", (URL,)),
            id="a-list-under-the-singular",
        ),
        pytest.param(
            {"id": 1, "status": "COMPLETED", "downloadUrls": URL},
            ExportJob(1, "COMPLETED", (URL,)),
            id="text-under-the-plural",
        ),
        pytest.param(
            {"id": 1, "status": "PROCESSING", "downloadUrls": [], "rowCount": None, "expireAt": None},
            ExportJob(1, "PROCESSING"),
            id="nulls",
        ),
        pytest.param(
            {"id": 1, "status": "COMPLETED", "rowCount": 0},
            ExportJob(1, "COMPLETED", row_count=0),
            id="no-rows-is-a-count",
        ),
        pytest.param(
            {"id": "100004", "status": "ENQUEUED", "rowCount": "7", "expireAt": "1536102969282"},
            ExportJob(100004, "ENQUEUED", (), EXPIRES, 7),
            id="numbers-as-text",
        ),
        pytest.param(
            {"id": 1, "status": "ARCHIVED", "schema": {"columns": []}, "value": "x"},
            ExportJob(1, "ARCHIVED"),
            id="unknown-status-and-fields",
        ),
    ],
)
def test_a_job_is_read_from_every_documented_sample(body: Any, job: ExportJob) -> None:
    assert read(body) == job


@pytest.mark.parametrize(
    ("wire", "moment"),
    [
        (1640200000, dt.datetime(2021, 12, 22, 19, 6, 40, tzinfo=dt.UTC)),
        (1640200000000, dt.datetime(2021, 12, 22, 19, 6, 40, tzinfo=dt.UTC)),
        (10**11 - 1, from_ms((10**11 - 1) * 1000)),
        (10**11, from_ms(10**11)),
    ],
)
def test_a_time_in_seconds_is_told_from_one_in_milliseconds_by_its_size(
    wire: int, moment: dt.datetime
) -> None:
    assert read({**COMPLETED, "expireAt": wire}).expire_at == moment


@pytest.mark.parametrize("body", [{}, {"id": 1}, {"status": "ENQUEUED"}, {"id": None, "status": "ENQUEUED"}])
def test_an_answer_without_id_or_status_is_no_job(body: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError)):
        read(body)


def test_the_first_url_is_the_download_url_and_there_may_be_none() -> None:
    assert read(COMPLETED).download_url == URL
    assert ExportJob(1, "PROCESSING").download_url is None


def test_a_job_never_shows_its_download_url() -> None:
    job = read(COMPLETED)
    for shown in (repr(job), str(job), f"{job}"):
        assert "ambry" not in shown
    assert "100004" in repr(job)


@pytest.mark.parametrize(
    ("status", "failed"),
    [(status, status.startswith("FAILED")) for status in map(str, JobStatus)]
    + [
        ("FAILED", True),
        ("FAILED_DUE_TO_BAD_WEATHER", True),
        ("ARCHIVED", False),
        ("", False),
        (None, False),
    ],
)
def test_every_status_that_begins_with_failed_is_a_failure_and_no_other(
    status: str | None, failed: bool
) -> None:
    assert has_failed(status) is failed


@pytest.mark.parametrize(
    ("contract", "urn"),
    [
        (123456, "urn:li:contract:123456"),
        ("123456", "urn:li:contract:123456"),
        (" 123456 ", "urn:li:contract:123456"),
        ("urn:li:contract:123456", "urn:li:contract:123456"),
        (" urn:li:contract:123456\n", "urn:li:contract:123456"),
        ("urn:li:salesContract:123456", "urn:li:salesContract:123456"),
    ],
    ids=repr,
)
def test_a_contract_is_a_number_or_a_urn(contract: str | int, urn: str) -> None:
    assert contract_urn(contract) == urn


@pytest.mark.parametrize(
    "contract",
    [
        "",
        " ",
        "None",
        "acme",
        -1,
        1.5,
        True,
        None,
        "urn:li:contract:",
        "urn:li::1",
        "urn:li:contract",
        "١٢٣",
        "urn:li:contract:1 2",
        "URN:LI:CONTRACT:1",
        "https://www.linkedin.com/sales/contract/1",
        "1,2",
        "[1]",
    ],
    ids=ascii,
)
def test_anything_else_is_no_contract_and_the_message_shows_one(contract: Any) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="Give its URN, 'urn:li:contract:123456'"):
        contract_urn(contract)


def test_an_unknown_export_type_is_refused_and_the_message_lists_the_three() -> None:
    assert [ExportType.parse(name) for name in ("activity", "seat", "activity_outcome")] == list(ExportType)
    with pytest.raises(
        SalesNavigatorConfigurationError, match="one of 'activity', 'seat', 'activity_outcome'"
    ):
        ExportType.parse("seats")


@pytest.mark.parametrize(
    ("element", "contract"),
    [
        (
            {"contract": "urn:li:contract:1", "name": "A", "description": "d", "hasReportingAccess": True},
            Contract("urn:li:contract:1", "A", True, "d"),
        ),
        (
            {"contract": "urn:li:contract:2", "name": "B", "hasReportingAccess": False, "tier": "ADVANCED"},
            Contract("urn:li:contract:2", "B", False),
        ),
        ({"contract": "urn:li:contract:3"}, Contract("urn:li:contract:3", "", False)),
        (
            {"contract": "urn:li:contract:4", "hasReportingAccess": "false"},
            Contract("urn:li:contract:4", "", False),
        ),
    ],
)
def test_a_contract_has_reporting_access_only_if_linkedin_says_so(
    element: Mapping[str, Any], contract: Contract
) -> None:
    assert Contract.from_wire(element) == contract


_moments = st.integers(10**12, 4 * 10**12).map(from_ms)
_statuses = st.none() | st.sampled_from([*map(str, JobStatus), "ARCHIVED", "FAILED_SOMEHOW"])
_slices = st.builds(
    Slice,
    start_at=_moments,
    end_at=st.none() | _moments,
    shares_end=st.booleans(),
    job_id=st.none() | st.integers(1, 2**63 - 1),
    status=_statuses,
    attempt=st.integers(0, 100),
    not_before=st.none() | _moments,
    submitted_at=st.none() | _moments,
    processing_at=st.none() | _moments,
)
_exports = st.builds(
    Export,
    kind=st.just(ExportKind.ANALYTICS),
    subject=st.just("urn:li:contract:1"),
    export_type=st.sampled_from(ExportType),
    slices=st.lists(_slices, min_size=1, max_size=5).map(tuple),
) | st.builds(
    Export,
    kind=st.just(ExportKind.CRM_VALIDATION),
    subject=st.just("urn:li:crmInstance:(DYNAMICS,x)"),
    export_type=st.none(),
    slices=st.tuples(_slices),
)


@given(export=_exports)
def test_an_export_is_the_same_after_a_trip_through_json(export: Export) -> None:
    sent = export.to_json()
    text = json.dumps(sent)
    assert json.loads(text) == sent
    arrived = Export.from_json(json.loads(text))
    assert arrived == export
    assert arrived.to_json() == sent


EXPORT = Export(
    ExportKind.ANALYTICS,
    "urn:li:contract:1",
    ExportType.ACTIVITY,
    (Slice.of(Window.half_open(NOW - DAY, NOW)), Slice.of(Window.half_open(NOW - 2 * DAY, NOW - DAY))),
)


def test_the_json_of_an_export_is_what_dag_authors_see() -> None:
    """The names are LinkedIn's; the form is public."""
    assert changed(EXPORT, 1, job_id=7, status="ENQUEUED", attempt=1, submitted_at=NOW).to_json() == {
        "kind": "analytics",
        "export_type": "activity",
        "contract": "urn:li:contract:1",
        "slices": [
            {
                "start_at": "2026-06-14T12:00:00.000Z",
                "end_at": "2026-06-15T11:59:59.999Z",
                "shares_end": False,
                "job_id": None,
                "status": None,
                "attempt": 0,
                "not_before": None,
                "submitted_at": None,
                "processing_at": None,
                "is_half": False,
            },
            {
                "start_at": "2026-06-13T12:00:00.000Z",
                "end_at": "2026-06-14T11:59:59.999Z",
                "shares_end": False,
                "job_id": 7,
                "status": "ENQUEUED",
                "attempt": 1,
                "not_before": None,
                "submitted_at": "2026-06-15T12:00:00.000Z",
                "processing_at": None,
                "is_half": False,
            },
        ],
    }


GOOD: dict[str, Any] = EXPORT.to_json()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty-text"),
        pytest.param("{{ task_instance.xcom_pull('export') }}", id="unrendered"),
        pytest.param(json.dumps(GOOD), id="json-as-text"),
        pytest.param(17, id="number"),
        pytest.param([], id="list"),
        pytest.param([GOOD], id="list-of-exports"),
        pytest.param({}, id="nothing-in-it"),
        pytest.param({**GOOD, "kind": "sales"}, id="unknown-kind"),
        pytest.param({**GOOD, "export_type": "seats"}, id="unknown-type"),
        pytest.param({**GOOD, "export_type": None}, id="no-type"),
        pytest.param({key: value for key, value in GOOD.items() if key != "contract"}, id="no-contract"),
        pytest.param({**GOOD, "slices": None}, id="null-slices"),
        pytest.param({**GOOD, "slices": []}, id="no-slices-would-count-as-completed"),
        pytest.param({**GOOD, "slices": {}}, id="slices-are-a-record"),
        pytest.param({**GOOD, "slices": "abc"}, id="slices-are-text"),
        pytest.param({**GOOD, "slices": [{}]}, id="slice-without-a-start"),
        pytest.param({**GOOD, "slices": [{"start_at": "soon"}]}, id="slice-without-a-time"),
        pytest.param({**GOOD, "slices": GOOD["slices"] * 33}, id="too-many-slices"),
    ],
)
def test_what_is_no_export_is_refused_and_the_message_says_where_one_comes_from(value: Any) -> None:
    with pytest.raises(
        SalesNavigatorConfigurationError, match="not an Export: give the output of a Sales Nav"
    ):
        Export.from_json(value)


def test_an_export_has_a_slice_and_at_most_64() -> None:
    for count in (1, MAX_SLICES):
        Export(ExportKind.ANALYTICS, "urn:li:contract:1", ExportType.SEAT, EXPORT.slices[:1] * count)
    for count in (0, MAX_SLICES + 1):
        with pytest.raises(ValueError, match=f"^{count} slices: an Export has 1 to 64$"):
            Export(ExportKind.ANALYTICS, "urn:li:contract:1", ExportType.SEAT, EXPORT.slices[:1] * count)


@pytest.mark.parametrize(
    ("job_id", "status", "running", "completed"),
    [
        (None, None, False, False),
        (7, None, True, False),
        (7, "ENQUEUED", True, False),
        (7, "PROCESSING", True, False),
        (7, "ARCHIVED", True, False),
        (7, "COMPLETED", False, True),
        (7, "FAILED_DUE_TO_TIMED_OUT", False, False),
        (7, "FAILED_SOMEHOW", False, False),
    ],
)
def test_a_job_runs_until_it_is_completed_or_failed(
    job_id: int | None, status: str | None, running: bool, completed: bool
) -> None:
    export = changed(changed(EXPORT, 0, job_id=9, status="COMPLETED"), 1, job_id=job_id, status=status)
    assert export.running == ([export.slices[1]] if running else [])
    assert export.slices[1].is_running is running
    assert export.is_completed is completed
    assert export.job_ids == ([9] if job_id is None else [9, job_id])


def test_messages_name_the_export_its_windows_and_its_jobs() -> None:
    assert str(changed(EXPORT, 1, job_id=7, status="ENQUEUED")) == (
        "activity export of urn:li:contract:1: 2026-06-14T12:00:00.000Z to 2026-06-15T11:59:59.999Z;"
        " 2026-06-13T12:00:00.000Z to 2026-06-14T11:59:59.999Z (job 7, ENQUEUED)"
    )
    crm = Export(ExportKind.CRM_VALIDATION, "urn:li:crmInstance:(A,b)", None, (Slice(NOW),))
    assert str(crm) == ("CRM validation export of urn:li:crmInstance:(A,b): from 2026-06-15T12:00:00.000Z")
