"""What a download URL gives, and to whom."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.faults import ExpiredUrl
from airflow_provider_snav.sandbox.server import Sandbox

Call = Callable[..., requests.Response]


@pytest.fixture
def url(create: Callable[..., int], status: Callable[[int], Any]) -> str:
    return str(status(create())["downloadUrl"])


def _rows(answer: requests.Response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode(), newline="")))


def test_the_rows_of_a_download_are_as_many_as_the_status_said(
    call: Call, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    for action in ("exportActivityData", "exportSeatData", "exportActivityOutcomeData"):
        completed = status(create(action))
        answer = call("GET", completed["downloadUrl"])
        assert answer.status_code == 200
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert len(_rows(answer)) == completed["rowCount"] + 1


def test_a_file_can_come_in_chunks_of_unknown_length(call: Call, sandbox: Sandbox, url: str) -> None:
    whole = call("GET", url).content
    sandbox.settings.chunked_downloads = True
    answer = call("GET", url)
    assert "Content-Length" not in answer.headers
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.content == whole


@pytest.mark.parametrize("token", [None, "nobody"])
def test_a_download_wants_a_valid_token(call: Call, url: str, token: str | None) -> None:
    assert call("GET", url, token=token).status_code == 401


def test_a_stranger_does_not_learn_which_urls_exist(call: Call, sandbox: Sandbox) -> None:
    unknown = sandbox.base_url.removesuffix("/v2") + "/ambry/?x-li-ambry-ep=AQunknown"
    assert call("GET", unknown, token=None).status_code == 401
    assert call("GET", unknown).status_code == 404


def test_a_download_wants_a_token_of_the_family_that_may_export(
    call: Call, url: str, application_token: str
) -> None:
    assert call("GET", url, token=application_token).status_code == 403


def test_a_download_wants_the_protocol_version(call: Call, url: str) -> None:
    assert call("GET", url, headers={"X-RestLi-Protocol-Version": None}).status_code == 400


def test_an_expired_url_is_refused_and_the_next_status_has_a_new_one(
    call: Call, sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    job_id = create()
    completed = status(job_id)
    sandbox.advance(timedelta(hours=1))
    refused = call("GET", completed["downloadUrl"])
    assert (refused.status_code, refused.json()["message"]) == (401, "The download URL has expired")
    assert call("GET", status(job_id)["downloadUrl"]).status_code == 200


def test_a_url_can_have_expired_when_it_is_first_seen(
    call: Call, sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.fault("status", ExpiredUrl())
    job_id = create()
    assert call("GET", status(job_id)["downloadUrl"]).status_code == 401
    assert call("GET", status(job_id)["downloadUrl"]).status_code == 200


@pytest.mark.parametrize("action", ["exportActivityData", "exportSeatData", "exportActivityOutcomeData"])
def test_a_bulk_export_is_exactly_as_long_and_has_exactly_as_many_rows_as_announced(
    call: Call, sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any], action: str
) -> None:
    sandbox.settings.bulk_bytes = 5_000_000
    completed = status(create(action))
    answer = call("GET", completed["downloadUrl"])
    assert int(answer.headers["Content-Length"]) == len(answer.content) >= 5_000_000
    rows = _rows(answer)
    assert len(rows) == completed["rowCount"] + 1
    assert {len(row) for row in rows} == {len(rows[0])}
    assert answer.content.count(b"\n") > len(rows), "some newlines are inside a quoted field"
    assert b'""' in answer.content


def test_a_bulk_export_of_a_gibibyte_is_announced_without_being_made(
    call: Call, sandbox: Sandbox, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    sandbox.settings.bulk_bytes = 1 << 30
    completed = status(create())
    with call("GET", completed["downloadUrl"], stream=True) as answer:
        announced = int(answer.headers["Content-Length"])
        first = hashlib.sha256(answer.raw.read(1 << 20)).hexdigest()
    [file] = sandbox.files(completed["id"])
    assert (announced, completed["rowCount"]) == (file.size, file.rows)
    assert announced >= 1 << 30
    assert len(file.block) >= 256 * 1024
    assert first == hashlib.sha256((file.head + 4 * file.block)[: 1 << 20]).hexdigest()
