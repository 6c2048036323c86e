"""``export``: what lands, what a failure says, and how the same command goes on."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Ran, Run, secrets_of

from airflow_provider_snav.api.polling import PollSchedule
from airflow_provider_snav.cli import export
from airflow_provider_snav.sandbox.faults import WrongRowCount, http_error
from airflow_provider_snav.sandbox.server import Sandbox

TODAY = dt.datetime.now(dt.UTC).date()
WEEK = ("--from", str(TODAY - dt.timedelta(days=9)), "--to", str(TODAY - dt.timedelta(days=2)))
CONTRACT = ("--contract", "123456")
CRM = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"

Export = Callable[..., Ran]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(export, "SCHEDULE", PollSchedule(0.02, 0.05))
    return tmp_path / "state" / "airflow-provider-snav"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def activity(run: Run, lake: Path) -> Export:
    """Export a week of activity into the lake."""
    return lambda *more: run("export", "activity", *CONTRACT, *WEEK, "--into", str(lake), *more)


def rows_in(lake: Path) -> int:
    return sum(len(list(csv.reader(io.StringIO(file.read_text())))) - 1 for file in lake.glob("*.csv"))


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
    activity: Export, lake: Path, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_snav.landing.download.PAUSES", (0.01,))
    snav_sandbox.fault("status", WrongRowCount(), times=None)
    failed = activity()
    assert failed.code == 1
    [job] = snav_sandbox.created_jobs
    assert f"The same command goes on with job {job.job_id}." in failed.err
    assert failed.err.endswith("explain row-count)\n")
    assert not list(lake.glob("*.csv"))
    snav_sandbox.clear_faults()
    again = activity()
    assert again.code == 0, again.err
    assert "Going on with what an earlier run submitted" in again.err
    assert list(snav_sandbox.jobs) == [job.job_id]


def test_an_export_can_begin_anew(
    activity: Export, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_snav.landing.download.PAUSES", (0.01,))
    snav_sandbox.fault("download", http_error(404), times=None)
    assert activity().code == 1
    snav_sandbox.clear_faults()
    assert activity("--anew").code == 0
    assert len(snav_sandbox.created_jobs) == 2


def test_a_refusal_says_that_nothing_was_created(activity: Export, snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("create", http_error(403))
    ran = activity()
    assert ran.code == 1
    assert "No job was created; the same command begins anew." in ran.err


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


def test_after_ctrl_c_the_same_command_goes_on_with_its_job(
    activity: Export, lake: Path, state: Path, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.settings.speed = 1
    # Background jobs of a shell ignore Ctrl-C, and what they start inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "airflow_provider_snav", "export", "activity", *CONTRACT, *WEEK]
    with subprocess.Popen([*command, "--into", lake], env={**os.environ}, stderr=subprocess.PIPE) as process:
        while not list(state.glob("*.json")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    [job] = snav_sandbox.created_jobs
    assert f"The same command goes on with job {job.job_id}." in err.decode()
    [file] = state.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(secret in file.read_text() for secret in secrets_of(snav_sandbox))

    snav_sandbox.settings.speed = 1e9
    again = activity()
    assert again.code == 0, again.err
    assert list(snav_sandbox.jobs) == [job.job_id]
    assert rows_in(lake) == sum(each.rows for each in snav_sandbox.files(job.job_id))
    assert not list(state.iterdir())
