"""The life of a job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.data import Action
from airflow_provider_snav.sandbox.server import Sandbox

Call = Callable[..., requests.Response]
DAY = 86_400_000
CRM_INSTANCE = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
CRM_QUERY = "crmInstanceId=urn%3Ali%3AcrmInstance%3A%28DYNAMICS%2C362a3584-0d9b-44a1-a547-25de5cd95d08%29"


@pytest.fixture
def real_time(sandbox: Sandbox) -> None:
    """Jobs take as long as in the documents; only `Sandbox.advance` moves them."""
    sandbox.settings.speed = 1
    sandbox.settings.analytics_processing = timedelta(minutes=20)
    sandbox.settings.crm_processing = timedelta(minutes=90)


@pytest.fixture
def create_crm(call: Call, application_token: str) -> Callable[..., requests.Response]:
    def create(**body: int) -> requests.Response:
        return call("POST", f"/crmDataValidationExportJobs?{CRM_QUERY}", token=application_token, json=body)

    return create


@pytest.fixture
def crm_status(call: Call, application_token: str) -> Callable[[str], requests.Response]:
    return lambda job_id: call(
        "GET", f"/crmDataValidationExportJobs/{job_id}?{CRM_QUERY}", token=application_token
    )


@pytest.mark.usefixtures("real_time")
def test_the_jobs_of_a_contract_are_processed_one_after_another_whatever_they_export(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    actions = ("exportActivityData", "exportSeatData", "exportActivityOutcomeData")
    job_ids = [create(action) for action in actions]
    seen = []
    for _ in range(4):
        seen.append([status(job_id)["status"] for job_id in job_ids])
        sandbox.advance(timedelta(minutes=20))
    assert seen == [
        ["PROCESSING", "ENQUEUED", "ENQUEUED"],
        ["COMPLETED", "PROCESSING", "ENQUEUED"],
        ["COMPLETED", "COMPLETED", "PROCESSING"],
        ["COMPLETED", "COMPLETED", "COMPLETED"],
    ]
    assert sandbox.jobs[job_ids[1]].statuses_served == ("ENQUEUED", "PROCESSING", "COMPLETED", "COMPLETED")


@pytest.mark.usefixtures("real_time")
def test_a_job_created_when_the_queue_is_empty_is_processed_at_once(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    create()
    sandbox.advance(timedelta(hours=1))
    assert status(create())["status"] == "PROCESSING"


@pytest.mark.usefixtures("real_time")
def test_each_contract_has_a_queue_of_its_own(
    call: Call, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    create()
    job_id = create(contract="urn:li:contract:234567")
    path = f"/salesAnalyticsExportJobs/{job_id}?contract=urn%3Ali%3Acontract%3A234567"
    assert call("GET", path).json()["status"] == "PROCESSING"


@pytest.mark.usefixtures("real_time")
def test_the_queue_can_be_switched_off_and_a_scripted_job_is_not_in_it(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.script_statuses("PROCESSING")
    scripted, first, second = create(), create(), create()
    assert [status(each)["status"] for each in (scripted, first, second)] == [
        *("PROCESSING", "PROCESSING", "ENQUEUED")
    ]
    sandbox.settings.one_export_at_a_time = False
    assert status(second)["status"] == "PROCESSING"


@pytest.mark.usefixtures("real_time")
def test_a_crm_job_is_processed_then_completed_and_never_enqueued(
    sandbox: Sandbox, create_crm: Callable[..., requests.Response], crm_status: Call
) -> None:
    job_id = create_crm(exportStartAt=1).headers["X-RestLi-Id"]
    assert crm_status(job_id).json()["status"] == "PROCESSING"
    sandbox.advance(timedelta(minutes=89))
    assert crm_status(job_id).json()["status"] == "PROCESSING"
    sandbox.advance(timedelta(minutes=1))
    assert crm_status(job_id).json()["status"] == "COMPLETED"


@pytest.mark.usefixtures("real_time")
def test_speed_hurries_jobs(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.settings.speed = 20
    job_id = create()
    sandbox.advance(timedelta(minutes=1))
    assert status(job_id)["status"] == "COMPLETED"


@pytest.mark.usefixtures("real_time")
def test_an_unfinished_job_has_an_id_and_a_status_and_nothing_else(
    create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    job_id = create()
    assert status(job_id) == {"id": job_id, "status": "PROCESSING"}


def test_a_completed_job_has_a_url_its_expiry_and_the_row_count(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    job_id = create()
    answer = status(job_id)
    assert set(answer) == {"id", "status", "downloadUrl", "expireAt", "rowCount"}
    assert answer["downloadUrl"].startswith(f"http://127.0.0.1:{sandbox.port}/ambry/?x-li-ambry-ep=AQ")
    assert answer["expireAt"] > sandbox.requests[-1].at
    assert answer["rowCount"] == sandbox.files(job_id)[0].rows


def test_each_status_mints_a_new_url(create: Callable[..., int], status: Callable[[int], Any]) -> None:
    job_id = create()
    assert status(job_id)["downloadUrl"] != status(job_id)["downloadUrl"]


def test_a_script_is_followed_one_status_a_poll_and_its_last_one_repeated(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    script = ("PROCESSING", "SOMETHING_NEW", "FAILED_DUE_TO_DATA_DELAY")
    sandbox.script_statuses(*script, jobs=2)
    for job_id in (create(), create()):
        assert tuple(status(job_id)["status"] for _ in range(4)) == (*script, script[-1])
    assert status(create())["status"] == "COMPLETED", "the script was for two jobs"


def test_a_scripted_failure_has_no_url(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.script_statuses("FAILED_DUE_TO_INTERNAL_ERROR")
    job_id = create()
    assert status(job_id) == {"id": job_id, "status": "FAILED_DUE_TO_INTERNAL_ERROR"}


def test_a_script_without_a_status_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="at least one status"):
        sandbox.script_statuses()


@pytest.mark.parametrize("contract", ["123456", "234567"])
@pytest.mark.parametrize("job_id", ["1", "x", "-1", "100001.0"])
def test_an_unknown_job_is_not_found(call: Call, job_id: str, contract: str) -> None:
    path = f"/salesAnalyticsExportJobs/{job_id}?contract=urn%3Ali%3Acontract%3A{contract}"
    assert call("GET", path).status_code == 404


def test_a_job_is_not_found_under_another_contract(call: Call, create: Callable[..., int]) -> None:
    path = f"/salesAnalyticsExportJobs/{create()}?contract=urn%3Ali%3Acontract%3A234567"
    assert call("GET", path).status_code == 404


def test_an_analytics_job_is_not_found_among_the_crm_jobs(
    create: Callable[..., int], crm_status: Call
) -> None:
    assert crm_status(create()).status_code == 404


def test_a_job_is_forgotten_after_a_week(
    sandbox: Sandbox, create_crm: Callable[..., requests.Response], crm_status: Call
) -> None:
    sandbox.settings.application_token_ttl = timedelta(days=30)
    job_id = create_crm(exportStartAt=1).headers["X-RestLi-Id"]
    sandbox.advance(timedelta(days=7) - timedelta(minutes=1))
    assert crm_status(job_id).status_code == 200
    sandbox.advance(timedelta(minutes=1))
    assert crm_status(job_id).status_code == 404


def test_a_crm_job_is_created_with_an_empty_answer_that_names_it_in_two_headers(
    sandbox: Sandbox, create_crm: Callable[..., requests.Response]
) -> None:
    answer = create_crm(exportStartAt=1_533_772_800_000)
    [job] = sandbox.created_jobs
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["X-RestLi-Id"] == str(job.job_id)
    assert answer.headers["Location"] == f"/crmDataValidationExportJobs/{job.job_id}"
    assert (job.action, job.urn) == (Action.CRM_VALIDATION, CRM_INSTANCE)


@pytest.mark.parametrize("start", [0, 1_533_772_800_000, 9_999_999_999_999])
def test_a_crm_export_runs_from_the_given_start_until_its_creation(
    sandbox: Sandbox, create_crm: Callable[..., requests.Response], crm_status: Call, start: int
) -> None:
    answer = crm_status(create_crm(exportStartAt=start).headers["X-RestLi-Id"]).json()
    [job] = sandbox.created_jobs
    assert (answer["exportStartAt"], answer["exportEndAt"]) == (start, job.created_at)
    assert (len(sandbox.files(job.job_id)[0].read().splitlines()) == 1) == (start > job.created_at)


@pytest.mark.parametrize("body", [{"exportStartAt": 1_533_772_800_000}, {}], ids=["clamped", "not given"])
def test_a_crm_export_can_begin_30_days_back_as_in_the_sample(
    sandbox: Sandbox, create_crm: Callable[..., requests.Response], crm_status: Call, body: dict[str, int]
) -> None:
    sandbox.settings.clamp_crm_start = True
    answer = crm_status(create_crm(**body).headers["X-RestLi-Id"]).json()
    assert answer["exportStartAt"] == answer["exportEndAt"] - 30 * DAY


def test_a_crm_instance_the_application_may_not_export_is_forbidden(
    sandbox: Sandbox, create_crm: Callable[..., requests.Response]
) -> None:
    sandbox.settings.crm_instances = ()
    assert create_crm(exportStartAt=1).status_code == 403


@pytest.mark.parametrize("repeats", [False, True])
def test_the_next_crm_export_starts_where_this_one_ended_or_as_in_the_sample_where_it_started(
    sandbox: Sandbox, create_crm: Callable[..., requests.Response], crm_status: Call, repeats: bool
) -> None:
    sandbox.settings.next_export_repeats_start = repeats
    answer = crm_status(create_crm(exportStartAt=1).headers["X-RestLi-Id"]).json()
    assert answer["nextExportStartAt"] == answer["exportStartAt" if repeats else "exportEndAt"]


def test_a_big_crm_export_comes_in_parts_that_each_have_the_header(
    sandbox: Sandbox, call: Call, application_token: str, create_crm: Call, crm_status: Call
) -> None:
    sandbox.settings.rows_per_part = 1500
    job_id = create_crm().headers["X-RestLi-Id"]
    urls = crm_status(job_id).json()["downloadUrls"]
    parts = [call("GET", url, token=application_token).text.splitlines() for url in urls]
    assert len(parts) == 3
    assert {part[0] for part in parts} == {"crmId,crmRecordType,expiredAt,createdAt"}
    rows = [row for part in parts for row in part[1:]]
    assert len(rows) == len(set(rows)) == sum(file.rows for file in sandbox.files(int(job_id)))
