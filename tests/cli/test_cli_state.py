"""What ``export`` remembers between two runs: what is kept, who may run, and how Ctrl-C ends it."""

from __future__ import annotations

import datetime as dt
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CONTRACT, SUBMITS, WEEK, Export, Ran, rows_in, secrets_of

from airflow_provider_snav.cli.export_state import StateFile
from airflow_provider_snav.cli.narration import Narration
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.sandbox.faults import http_error
from airflow_provider_snav.sandbox.server import Sandbox


def test_what_cannot_begin_anew_keeps_what_an_earlier_run_submitted(
    activity: Export, state: Path, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    snav_sandbox.fault("download", http_error(403), times=None)
    assert activity().code == 1
    kept = [file.read_text() for file in state.iterdir()]
    with monkeypatch.context() as years_later:
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1000)
        years_later.setattr("airflow_provider_snav.operators.sales_navigator.now", lambda: later)
        assert activity("--anew").code == 2
    assert [file.read_text() for file in state.iterdir()] == kept
    assert len(snav_sandbox.created_jobs) == 1


def test_a_job_whose_number_could_not_be_kept_is_named(
    activity: Export, state: Path, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = Narration.info

    def obstruct(narration: Narration, message: str, *arguments: object) -> None:
        info(narration, message, *arguments)
        if message.startswith("Submitted"):
            [file] = state.glob("*.json")
            file.unlink()
            file.mkdir()

    monkeypatch.setattr(Narration, "info", obstruct)
    ran = activity()
    [job] = snav_sandbox.created_jobs
    assert f"LinkedIn continues job {job.job_id} and keeps its files for seven days. The same" in ran.err
    assert "The same command submits the whole export again. (see" in ran.err


def test_a_state_folder_that_cannot_be_written_costs_no_job(
    activity: Export, state: Path, snav_sandbox: Sandbox
) -> None:
    state.parent.write_text("a file where the folder should be")
    ran = activity()
    assert ran.code == 1
    assert f"The state file {state}/activity-" in ran.err
    assert "Make its folder writable, or set XDG_STATE_HOME to another one. Nothing was submitted." in ran.err
    assert not snav_sandbox.requests


@pytest.fixture
def file(activity: Export, state: Path, snav_sandbox: Sandbox) -> Path:
    """The state file of the week, as a run leaves it that LinkedIn refused."""
    snav_sandbox.fault("create", http_error(403))
    assert activity().code == 1
    [file] = state.iterdir()
    return file


def test_a_state_file_that_cannot_be_written_costs_no_job(
    activity: Export, file: Path, snav_sandbox: Sandbox
) -> None:
    file.unlink()
    file.mkdir()
    ran = activity("--anew")
    assert ran.code == 1
    assert f"The state file {file} could not be written (Is a directory)." in ran.err
    assert f"No job was created. {SUBMITS}" in ran.err
    assert not snav_sandbox.requests[1:]


@pytest.mark.parametrize("garbage", ["{", "[]", '{"snav_export": 7}', "\xff"])
def test_a_state_file_that_cannot_be_read_is_named_with_the_way_out(
    activity: Export, file: Path, snav_sandbox: Sandbox, garbage: str
) -> None:
    file.write_text(garbage, "latin-1")
    ran = activity()
    assert ran.code == 1
    assert f"The state file {file} cannot be read" in ran.err
    assert "Nothing was submitted. Run it again with --anew to submit a new job. (see" in ran.err
    assert not snav_sandbox.requests[1:]
    assert activity("--anew").code == 0


def test_the_state_file_survives_a_power_cut(
    activity: Export, state: Path, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", record)
    snav_sandbox.fault("create", http_error(403))
    activity()
    [file] = state.iterdir()
    assert synced == [file.stat().st_ino, state.stat().st_ino]


def test_the_same_export_does_not_run_twice_at_a_time(
    activity: Export, file: Path, snav_sandbox: Sandbox
) -> None:
    with StateFile(file).locked():
        ran = activity()
        assert ran.code == 1
        assert f"Another process ({os.getpid()}) already runs this export. Nothing was submitted." in ran.err
        assert not snav_sandbox.requests[1:]
    assert activity().code == 0
    assert len(snav_sandbox.created_jobs) == 1


def test_after_ctrl_c_the_same_command_goes_on_with_its_job(
    activity: Export, lake: Path, state: Path, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.settings.speed = 1
    # Background jobs of a shell ignore Ctrl-C, and what they start inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "airflow_provider_snav", "export", "activity", *CONTRACT, *WEEK]
    with subprocess.Popen([*command, "--into", lake], env={**os.environ}, stderr=subprocess.PIPE) as process:
        while not any('"job_id": 1' in file.read_text() for file in state.glob("*.json")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    [job] = snav_sandbox.created_jobs
    assert (
        f"Interrupted. LinkedIn continues job {job.job_id} and keeps its files for seven days. The same"
        " command continues this export and submits only the missing jobs.\n" in err.decode()
    )
    [file] = state.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(secret in file.read_text() for secret in secrets_of(snav_sandbox))

    snav_sandbox.settings.speed = 1e9
    again = activity()
    assert again.code == 0, again.err
    assert list(snav_sandbox.jobs) == [job.job_id]
    assert rows_in(lake) == sum(each.rows for each in snav_sandbox.files(job.job_id))
    assert not list(state.iterdir())


def test_ctrl_c_before_the_answer_to_a_submission_denies_no_job(
    activity: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = SalesNavigatorHook.run

    def interrupt(*arguments: Any, **options: Any) -> None:
        send(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(SalesNavigatorHook, "run", interrupt)
    ran = activity()
    assert ran.code == 130
    doubt = "LinkedIn may have created up to 2 jobs whose answers were lost."
    assert ran.err == f"Interrupted. {doubt} The same command submits it.\n"


@pytest.fixture
def interrupted(activity: Export, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """A run that Ctrl-C ends where it says this."""
    info = Narration.info

    def run(sentence: str, *options: str) -> Ran:
        def interrupt(narration: Narration, message: str, *arguments: object) -> None:
            info(narration, message, *arguments)
            if message.startswith(sentence):
                raise KeyboardInterrupt

        with monkeypatch.context() as pressed:
            pressed.setattr(Narration, "info", interrupt)
            return activity(*options)

    return run


def test_ctrl_c_between_a_submission_and_its_write_loses_no_job(
    activity: Export, interrupted: Callable[..., Ran], snav_sandbox: Sandbox
) -> None:
    ran = interrupted("Submitted")
    [job] = snav_sandbox.created_jobs
    assert ran.code == 130
    assert f"Interrupted. LinkedIn continues job {job.job_id} and keeps its files" in ran.err
    assert ran.err.endswith("The same command continues this export and submits only the missing jobs.\n")
    assert activity().code == 0
    assert len(snav_sandbox.created_jobs) == 1


def test_ctrl_c_while_publishing_says_that_publishing_had_begun(
    activity: Export, interrupted: Callable[..., Ran], lake: Path
) -> None:
    assert activity("--manifest").code == 0
    [manifest] = lake.glob("*.json")
    ran = interrupted("Removing", "--manifest")
    assert ran.code == 130
    assert "Interrupted. Publishing had begun: " in ran.err
    assert manifest.name in ran.err.split("Publishing had begun: ")[1]
    assert ran.err.endswith("The same command lands the whole export again.\n")
    assert activity("--manifest").code == 0
