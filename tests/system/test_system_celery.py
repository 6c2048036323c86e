"""Many machines: the same promises with CeleryExecutor, whose workers are killed, frozen and stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery_cluster import CeleryDeployment
from harness import days_ago, wait_for_end_of_task
from linkedin import LinkedIn, s3_lake
from local_airflow import wait_for
from stops import Silence

from airflow_provider_snav.sandbox.faults import Delay

# The first test waits for the deployment to start.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def airflow() -> Iterator[CeleryDeployment]:
    with CeleryDeployment(Path(__file__).parent / "dags") as deployment:
        yield deployment


def test_a_worker_killed_while_it_polls_takes_over_and_lands_costs_no_second_job(
    airflow: CeleryDeployment, make_linkedin: Callable[[str], LinkedIn]
) -> None:
    polling, resuming, landing = map(make_linkedin, ("polling", "resuming", "landing"))
    airflow.kill_worker("worker-2")
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
    airflow.start_worker("worker-2")
    airflow.kill_worker("worker-1")
    landing.sandbox.clear_faults()
    polls.wait_for_state("export", "running", try_number=2)
    polling.let_jobs_end()
    for linkedin, run in ((polling, polls), (resuming, resumes), (landing, lands)):
        linkedin.assert_only_job_landed(run)
    assert lands.task_instance("export")["try_number"] == 1


def test_a_message_that_is_delivered_twice_is_one_job(airflow: CeleryDeployment, linkedin: LinkedIn) -> None:
    run = linkedin.export("export_on_worker")
    linkedin.wait_for_polls()
    airflow.deliver_again(run, "export")
    wait_for("a worker to refuse it", lambda: airflow.logs_with("already running elsewhere"))
    linkedin.wait_for_polls()
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)
    assert run.task_instance("export")["try_number"] == 1


def test_a_broker_killed_while_an_export_is_deferred_loses_nothing(
    airflow: CeleryDeployment, linkedin: LinkedIn
) -> None:
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    airflow.kill_redis()
    linkedin.wait_for_polls()
    airflow.start_redis()
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)
    assert run.task_instance("export")["try_number"] == 1


def test_a_landing_whose_supervisor_gets_sigterm_leaves_nothing_and_is_retried(
    airflow: CeleryDeployment, s3: str, linkedin: LinkedIn
) -> None:
    lake = s3_lake(s3, airflow, linkedin.folder.name)
    run = linkedin.export_until_it_uploads(lake)
    first = run.processes_of("land")
    supervisor, *_ = first
    supervisor.send_signal(signal.SIGTERM)
    wait_for_end_of_task(first)
    assert not lake.leftovers()
    run.wait_for_state("land", "success")
    assert run.task_instance("land")["try_number"] == 2
    assert "Airflow stopped this task. Nothing was published" in run.task_log("land", 1)
    linkedin.assert_only_job_landed_in(lake)


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
