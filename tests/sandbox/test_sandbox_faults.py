"""What can be made to go wrong."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.faults import (
    Answer,
    Cut,
    Delay,
    Gzipped,
    LoseAnswer,
    Redirect,
    Reset,
    StatusFields,
    WrongRowCount,
    Zeroed,
    garbage_json,
    gateway_error,
    html_page,
    http_error,
    sentence,
    throttled,
)
from airflow_provider_snav.sandbox.server import Sandbox

Call = Callable[..., requests.Response]

CONTRACTS = "/salesContracts?q=contractsByMember"
CREATE = "/salesAnalyticsExportJobs?action=exportActivityData"


@pytest.fixture
def url(create: Callable[..., int], status: Callable[[int], Any]) -> str:
    return str(status(create())["downloadUrl"])


def test_a_fault_bites_as_often_as_told_and_only_calls_of_its_kind(
    sandbox: Sandbox, call: Call, create: Callable[..., int]
) -> None:
    sandbox.fault("contracts", http_error(503), times=2)
    create()
    assert [call("GET", CONTRACTS).status_code for _ in range(3)] == [503, 503, 200]


def test_faults_of_one_sort_bite_in_the_order_they_were_given(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("contracts", http_error(500))
    sandbox.fault("contracts", throttled())
    sandbox.fault(None, html_page(502))
    assert [call("GET", CONTRACTS).status_code for _ in range(4)] == [500, 429, 502, 200]


def test_a_fault_can_last_until_the_reset(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("contracts", http_error(503), times=None)
    assert [call("GET", CONTRACTS).status_code for _ in range(3)] == [503] * 3
    sandbox.reset()
    assert call("GET", CONTRACTS).status_code == 200


@pytest.mark.parametrize("times", [0, -1])
def test_a_fault_that_never_bites_is_refused(sandbox: Sandbox, times: int) -> None:
    with pytest.raises(ValueError, match="at least once"):
        sandbox.fault("status", Reset(), times=times)


def test_a_fault_for_a_kind_of_call_there_is_not_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="upload"):
        sandbox.fault("upload", Reset())


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "text"),
    [
        (http_error(500), 500, "application/json", '"message": "Internal Server Error"'),
        (http_error(401, "No", service_error_code=65601), 401, "application/json", "65601"),
        (html_page(502), 502, "text/html", "<h1>502 Bad Gateway</h1>"),
        (gateway_error(404, "no route"), 404, "application/json", '{"message": "no route"}'),
        (html_page(200, blank_lines=2), 200, "text/html", " \r\n \r\n<!DOCTYPE html>"),
        (sentence(), 200, "text/plain", "Service temporarily unavailable"),
        (garbage_json(), 200, "application/json", '{"value":{"id":'),
        (Answer(418, b"tea", {"Content-Type": "text/plain"}), 418, "text/plain", "tea"),
    ],
)
def test_an_answer_is_given_instead_of_sales_navigators(
    sandbox: Sandbox,
    call: Call,
    window: dict[str, Any],
    fault: Answer,
    status: int,
    content_type: str,
    text: str,
) -> None:
    sandbox.fault("create", fault)
    answer = call("POST", CREATE, json=window)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith(content_type)
    assert text in answer.text
    assert not sandbox.created_jobs


@pytest.mark.parametrize(
    ("fault", "retry_after", "message"),
    [
        (throttled(), None, "Resource level throttle limit for calls to this resource is reached."),
        (throttled(retry_after=7), "7", "Resource level throttle limit for calls"),
        (throttled(daily=True), None, "throttle APPLICATION_AND_MEMBER DAY limit"),
    ],
)
def test_throttling_has_the_three_forms_that_were_seen(
    sandbox: Sandbox, call: Call, fault: Answer, retry_after: str | None, message: str
) -> None:
    sandbox.fault("contracts", fault)
    answer = call("GET", CONTRACTS)
    assert answer.status_code == answer.json()["status"] == 429
    assert answer.headers.get("Retry-After") == retry_after
    assert message in answer.json()["message"]


def test_a_reset_breaks_the_connection_and_nothing_happens(
    sandbox: Sandbox, call: Call, window: dict[str, Any]
) -> None:
    sandbox.fault("create", Reset())
    with pytest.raises(requests.ConnectionError):
        call("POST", CREATE, json=window)
    assert not sandbox.created_jobs
    assert sandbox.requests[-1].status is None


def test_an_answer_can_be_lost_after_the_job_was_created(
    sandbox: Sandbox, call: Call, window: dict[str, Any]
) -> None:
    sandbox.fault("create", LoseAnswer())
    with pytest.raises(requests.ConnectionError):
        call("POST", CREATE, json=window)
    assert len(sandbox.created_jobs) == 1


def test_an_answer_is_lost_only_by_a_call_that_has_an_effect(
    sandbox: Sandbox, call: Call, window: dict[str, Any]
) -> None:
    sandbox.fault("create", LoseAnswer())
    assert call("POST", CREATE, json={}).status_code == 400
    with pytest.raises(requests.ConnectionError):
        call("POST", CREATE, json=window)


def test_a_delay_keeps_a_client_waiting(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("contracts", Delay(timedelta(seconds=60)))
    with requests.Session() as impatient, pytest.raises(requests.ReadTimeout):
        impatient.get(sandbox.base_url + CONTRACTS, timeout=0.05)
    sandbox.fault("contracts", Delay(timedelta(milliseconds=1)))
    assert call("GET", CONTRACTS).status_code == 200


def _until_it_breaks(answer: requests.Response, chunk_size: int) -> bytes:
    got = b""
    try:
        for chunk in answer.iter_content(chunk_size):
            got += chunk
    except requests.exceptions.ChunkedEncodingError:
        return got
    pytest.fail("the download came to a proper end")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_download_can_break_off(sandbox: Sandbox, call: Call, url: str, chunked: bool) -> None:
    whole = call("GET", url).content
    sandbox.settings.chunked_downloads = chunked
    sandbox.fault("download", Cut(after_bytes=300))
    with call("GET", url, stream=True) as answer:
        assert answer.headers.get("Content-Length") == (None if chunked else str(len(whole)))
        assert _until_it_breaks(answer, 1) == whole[:300]
    assert call("GET", url).content == whole


@pytest.mark.parametrize("chunked", [False, True])
def test_a_download_can_end_properly_and_too_early(
    sandbox: Sandbox, call: Call, url: str, chunked: bool
) -> None:
    whole = call("GET", url).content
    sandbox.settings.chunked_downloads = chunked
    sandbox.fault("download", Cut(after_bytes=300, cleanly=True))
    assert call("GET", url).content == whole[:300]


def test_a_download_can_be_compressed_on_the_way_and_lose_its_end(
    sandbox: Sandbox, call: Call, url: str
) -> None:
    whole = call("GET", url).content
    sandbox.fault("download", Gzipped())
    answer = call("GET", url)
    assert (answer.headers["Content-Encoding"], answer.content) == ("gzip", whole)
    sandbox.fault("download", Gzipped(lost_bytes=20))
    with call("GET", url, stream=True) as answer:
        packed = answer.raw.read(decode_content=False)
    unpacked = zlib.decompressobj(wbits=31)
    assert whole.startswith(unpacked.decompress(packed))
    assert not unpacked.eof


def test_a_download_can_have_a_hole(sandbox: Sandbox, call: Call, url: str) -> None:
    whole = call("GET", url).content
    sandbox.fault("download", Zeroed(first_byte=100, count=10))
    assert call("GET", url).content == whole[:100] + bytes(10) + whole[110:]


def test_a_bulk_download_can_break_off_in_the_middle(
    sandbox: Sandbox, call: Call, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.settings.bulk_bytes = 2_000_000
    sandbox.fault("download", Cut(after_bytes=1_000_000))
    with call("GET", status(create())["downloadUrl"], stream=True) as answer:
        got = _until_it_breaks(answer, 10_000)
    [file] = sandbox.files(sandbox.created_jobs[0].job_id)
    assert got == file.read()[:1_000_000]


def test_a_row_count_can_be_wrong_once_there_is_one(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.fault("status", WrongRowCount(by=-2))
    sandbox.script_statuses("PROCESSING", "COMPLETED")
    job_id = create()
    status(job_id)
    rows = sandbox.files(job_id)[0].rows
    assert [status(job_id)["rowCount"] for _ in range(2)] == [rows - 2, rows]


def test_an_error_of_a_gateway_has_nothing_that_makes_it_linkedins(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("contracts", gateway_error(404))
    empty = call("GET", CONTRACTS)
    assert (empty.status_code, empty.content) == (404, b"")
    assert "x-restli-error-response" not in empty.headers
    sandbox.fault("contracts", http_error(404))
    assert call("GET", CONTRACTS).headers["X-RestLi-Error-Response"] == "true"


def test_a_status_can_have_other_fields(
    sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.script_statuses("PROCESSING")
    job_id = create()
    sandbox.fault("status", StatusFields({"id": 8, "downloadUrl": None}))
    assert status(job_id) == {"id": 8, "status": "PROCESSING", "downloadUrl": None}
    assert status(job_id) == {"id": job_id, "status": "PROCESSING"}


def test_a_download_can_redirect_to_a_signed_url_that_takes_no_token(
    sandbox: Sandbox, call: Call, url: str
) -> None:
    whole = call("GET", url).content
    sandbox.fault("download", Redirect())
    redirect = call("GET", url)
    assert redirect.status_code == 302
    assert call("GET", redirect.headers["Location"]).status_code == 400
    assert call("GET", redirect.headers["Location"], token=None).content == whole


def test_a_download_can_redirect_anywhere(sandbox: Sandbox, call: Call, url: str) -> None:
    sandbox.fault("download", Redirect("https://linkedin.com.evil.example/file"))
    assert call("GET", url).headers["Location"] == "https://linkedin.com.evil.example/file"
