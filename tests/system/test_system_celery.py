"""Many machines: the same promises with CeleryExecutor, whose workers are killed, frozen and stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from celery_cluster import CeleryDeployment
from harness import days_ago
from linkedin import LinkedIn
from local_airflow import wait_for
from stops import Silence

from airflow_provider_snav.sandbox.faults import Delay
from airflow_provider_snav.sandbox.server import Sandbox

# The first test waits for the deployment to start.
pytestmark = pytest.mark.timeout(300)

Make = Callable[[str], LinkedIn]


@pytest.fixture(scope="module")
def celery() -> Iterator[CeleryDeployment]:
    with CeleryDeployment(Path(__file__).parent / "dags") as deployment:
        yield deployment


@pytest.fixture
def make_linkedin(
    celery: CeleryDeployment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[Make]:
    """Make a Sales Navigator, with a folder of its own to land in."""
    caplog.set_level("WARNING", logger="airflow_provider_snav.sandbox")
    celery.restore()
    with ExitStack() as stack:

        def make(name: str) -> LinkedIn:
            sandbox = stack.enter_context(Sandbox(analytics_processing=timedelta(days=365)))
            folder = tmp_path / f"{tmp_path.name}_{name}"
            folder.mkdir()
            return LinkedIn(sandbox, celery, folder)

        yield make


@pytest.fixture
def linkedin(make_linkedin: Make) -> LinkedIn:
    return make_linkedin("only")


def test_a_worker_killed_while_it_polls_takes_over_and_lands_costs_no_second_job(
    celery: CeleryDeployment, make_linkedin: Make
) -> None:
    polling, resuming, landing = map(make_linkedin, ("polling", "resuming", "landing"))
    celery.kill_worker("worker-2")
    polls = polling.export("export_on_worker")
    resumes = resuming.export("export_deferred", halt_at="execute_complete")
    resuming.let_jobs_end()
    landing.let_jobs_end()
    silence = Silence(minutes=5)
    # Each try at the download, in case the other worker takes its time.
    landing.sandbox.fault("download", Delay(silence), times=None)
    lands = landing.export("export_deferred")
    polling.wait_for_polls()
    resuming.wait_for_halt("execute_complete")
    wait_for("the download", lambda: silence.has_begun)
    celery.start_worker("worker-2")
    celery.kill_worker("worker-1")
    landing.sandbox.clear_faults()
    polls.wait_for_state("export", "running", try_number=2)
    polling.let_jobs_end()
    for linkedin, run in ((polling, polls), (resuming, resumes), (landing, lands)):
        linkedin.assert_only_job_landed(run)
    assert lands.task_instance("export")["try_number"] == 1


def test_a_message_that_is_delivered_twice_is_one_job(celery: CeleryDeployment, linkedin: LinkedIn) -> None:
    run = linkedin.export("export_on_worker")
    linkedin.wait_for_polls()
    celery.deliver_again(run, "export")
    wait_for("a worker to refuse it", lambda: celery.logs_with("already running elsewhere"))
    linkedin.wait_for_polls()
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)
    assert run.task_instance("export")["try_number"] == 1


def test_a_broker_killed_while_an_export_is_deferred_loses_nothing(
    celery: CeleryDeployment, linkedin: LinkedIn
) -> None:
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    celery.kill_redis()
    linkedin.wait_for_polls()
    celery.start_redis()
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)
    assert run.task_instance("export")["try_number"] == 1


def test_a_landing_whose_supervisor_gets_sigterm_says_so_and_is_retried(linkedin: LinkedIn) -> None:
    run = linkedin.export_until_it_downloads()
    run.supervisor_of("land").send_signal(signal.SIGTERM)
    linkedin.assert_only_job_landed(run)
    assert run.task_instance("land")["try_number"] == 2
    assert "Airflow stopped this task. Nothing was published" in run.task_log("land", 1)


def test_an_export_of_eight_windows_that_was_frozen_submits_none_of_them_again(linkedin: LinkedIn) -> None:
    run = linkedin.export("export_on_worker", start_at=days_ago(8 * 90 - 1))
    linkedin.wait_for_polls()
    frozen = run.freeze_worker_of("export")
    run.wait_for_state("export", "running", try_number=2)
    linkedin.let_jobs_end()
    run.wait_for_state("land", "success")
    before = linkedin.landed()
    frozen.thaw()
    frozen.wait_for_end_of_task()
    assert len(linkedin.jobs) == 8
    assert linkedin.landed() == before


def test_a_landing_that_was_frozen_before_it_published_leaves_the_files_of_the_next_try(
    linkedin: LinkedIn,
) -> None:
    linkedin.let_jobs_end()
    run = linkedin.export("export_deferred", halt_at="publish")
    linkedin.wait_for_halt("publish")
    frozen = run.freeze_worker_of("land")
    run.wait_for_state("land", "success", try_number=2)
    before = linkedin.landed()
    (linkedin.folder / "go-on").touch()
    frozen.thaw()
    frozen.wait_for_end_of_task()
    assert linkedin.landed() == before
    [_] = linkedin.jobs
