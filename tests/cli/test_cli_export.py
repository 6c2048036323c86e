"""``export``: what lands, what a failure says, and how the same command goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import CONTRACT, CRM, GOES_ON, SUBMITS, WEEK, Export, Run, rows_in, secrets_of

from airflow_provider_snav._stopping import Stopping
from airflow_provider_snav.cli import export
from airflow_provider_snav.operators.base import schedule_of
from airflow_provider_snav.sandbox.faults import (
    Fault,
    LoseAnswer,
    StatusFields,
    WrongRowCount,
    http_error,
    throttled,
)
from airflow_provider_snav.sandbox.server import Sandbox


def test_an_export_lands_its_file_and_remembers_nothing(
    activity: Export, lake: Path, state: Path, snav_sandbox: Sandbox
) -> None:
    ran = activity()
    assert ran.code == 0, ran.err
    [job] = snav_sandbox.created_jobs
    [file] = lake.iterdir()
    assert f"file://{file}\t{rows_in(lake)}\t{file.stat().st_size}\t" in ran.out
    assert rows_in(lake) == sum(each.rows for each in snav_sandbox.files(job.job_id))
    assert "Submitted: activity export of urn:li:contract:123456" in ran.err
    assert not list(state.iterdir())
    assert not any(secret in ran.out + ran.err for secret in secrets_of(snav_sandbox))


def test_a_failed_window_is_halved_as_in_a_task(activity: Export, lake: Path, snav_sandbox: Sandbox) -> None:
    snav_sandbox.script_statuses("FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR")
    told = json.loads(activity("--json").out)
    assert len(snav_sandbox.created_jobs) == 3
    assert sorted(file["uri"] for file in told["files"]) == sorted(
        f"file://{file}" for file in lake.iterdir()
    )
    assert len(told["files"]) == 2
    assert {part["status"] for part in told["export"]["slices"]} == {"COMPLETED"}


def test_crm_validation_is_exported_likewise(run: Run, lake: Path, snav_sandbox: Sandbox) -> None:
    ran = run(
        "export",
        "crm",
        "--crm-instance",
        CRM,
        "--from",
        WEEK[1],
        "--into",
        str(lake),
        "--compression",
        "gzip",
    )
    assert ran.code == 0, ran.err
    assert len(list(lake.glob("crm_validation_*.csv.gz"))) == len(ran.out.splitlines()) - 1 >= 1


def test_a_file_that_lacks_rows_is_not_published_and_the_same_command_lands_it_later(
    activity: Export, lake: Path, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.fault("status", WrongRowCount(), times=None)
    failed = activity()
    assert failed.code == 1
    [job] = snav_sandbox.created_jobs
    assert (
        "Nothing was published; files of earlier runs are untouched. The same command lands the whole export"
        " again. Run it with --anew to have LinkedIn make the file again. (see" in failed.err
    )
    assert failed.err.endswith("explain row-count)\n")
    assert not list(lake.glob("*.csv"))
    snav_sandbox.clear_faults()
    again = activity()
    assert again.code == 0, again.err
    assert "Continuing with the jobs of an earlier run" in again.err
    assert list(snav_sandbox.jobs) == [job.job_id]


def test_an_export_can_begin_anew(activity: Export, snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("download", http_error(404), times=None)
    assert activity().code == 1
    snav_sandbox.clear_faults()
    assert activity("--anew").code == 0
    assert len(snav_sandbox.created_jobs) == 2


@pytest.mark.parametrize(
    ("fault", "fate"),
    [
        (
            http_error(403),
            "No job was created. Correct the cause, then run the same command again: that submits it. (see",
        ),
        (LoseAnswer(), f"LinkedIn may have created up to 2 jobs whose answers were lost. {SUBMITS}"),
        (
            throttled(daily=True),
            "The same command before the reset fails the same way, a later one submits it. (see",
        ),
    ],
    ids=["refused", "answer lost", "daily limit"],
)
def test_a_submission_that_failed_says_what_became_of_it(
    activity: Export, snav_sandbox: Sandbox, fault: Fault, fate: str
) -> None:
    snav_sandbox.fault("create", fault, times=None)
    ran = activity()
    assert ran.code == 1
    assert fate in ran.err


def test_after_a_job_that_failed_the_same_command_submits_it_again(
    activity: Export, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.script_statuses("FAILED_DUE_TO_INTERNAL_ERROR", jobs=4)
    assert f"No job is running. {GOES_ON}" in activity().err
    assert activity().code == 0
    assert len(snav_sandbox.created_jobs) == 5


@pytest.mark.parametrize(
    ("kind", "first"),
    [(("seat", *CONTRACT, *WEEK), 20), (("crm", "--crm-instance", CRM, "--from", WEEK[1]), 60)],
    ids=["analytics", "crm"],
)
def test_the_command_polls_as_rarely_as_a_task(
    run: Run, lake: Path, monkeypatch: pytest.MonkeyPatch, kind: tuple[str, ...], first: int
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(export, "schedule_of", schedule_of)
    monkeypatch.setattr(Stopping, "sleep", lambda _, seconds: pauses.append(seconds))
    assert run("export", *kind, "--into", str(lake)).code == 0
    assert 0.8 * first <= pauses[0] <= first


def test_a_job_without_a_file_may_be_skipped(activity: Export, lake: Path, snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("status", StatusFields({"downloadUrl": None}), times=None)
    ran = activity("--if-no-file", "skip")
    assert (ran.code, ran.out) == (0, "")
    assert "because if_no_file='skip'" in ran.err
    assert not list(lake.glob("*"))


def test_rows_beyond_linkedins_count_may_land(activity: Export, lake: Path, snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("status", WrongRowCount(), times=None)
    ran = activity("--no-verify")
    assert ran.code == 0
    assert rows_in(lake) > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["activity", *WEEK], "export activity needs --contract, --from and --to"),
        (["seat", *CONTRACT, "--from", "2026-11-01"], "export seat needs --contract, --from and --to"),
        (["crm", *CONTRACT, "--from", "2026-11-01"], "export crm needs --crm-instance and --from"),
        (
            ["activity", *CONTRACT, "--from", "yesterday", "--to", "today"],
            "start_at='yesterday' is not a time",
        ),
        (["activity", *CONTRACT, "--from", "2001-01-01", "--to", "2001-02-01"], "more than two years ago"),
        (["activity", *CONTRACT, *WEEK, "--filename", "a/b"], "filename='a/b' cannot be a file name"),
        (["everything"], "invalid choice: 'everything'"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_sent(
    run: Run, lake: Path, snav_sandbox: Sandbox, arguments: list[str], sentence: str
) -> None:
    ran = run("export", *arguments, "--into", str(lake))
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert not snav_sandbox.requests
