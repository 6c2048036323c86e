"""Running tasks that a person clears or marks failed: the try stops, and nothing comes of it any more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Deployment, days_ago, wait_for_end_of_task
from linkedin import LinkedIn, s3_lake

# The first test waits for the deployment to start.
pytestmark = pytest.mark.timeout(300)

STOPPED = "Airflow stopped this task."


def test_running_tasks_that_are_cleared_stop_and_the_next_tries_do_their_work(
    airflow: Deployment, s3: str, make_linkedin: Callable[[str], LinkedIn]
) -> None:
    polling, landing = make_linkedin("polling"), make_linkedin("landing")
    lake = s3_lake(s3, airflow, landing.folder.name)
    polls = polling.export("export_on_worker")
    lands = landing.export_until_it_uploads(lake)
    polling.wait_for_polls()
    first = [polls.processes_of("export"), lands.processes_of("land")]
    polls.clear("export")
    lands.clear("land")
    for processes in first:
        wait_for_end_of_task(processes)
    assert not lake.uploads()
    polls.wait_for_state("export", "running", try_number=2)
    polling.let_jobs_end()
    polling.assert_only_job_landed(polls)
    lands.wait_for_state("land", "success", try_number=2)
    landing.assert_only_job_landed_in(lake)
    assert STOPPED in polls.task_log("export", 1)
    assert STOPPED in lands.task_log("land", 1)


def test_running_tasks_that_are_marked_failed_stop_and_submit_and_publish_nothing(
    airflow: Deployment, s3: str, make_linkedin: Callable[[str], LinkedIn]
) -> None:
    polling, landing = make_linkedin("polling"), make_linkedin("landing")
    lake = s3_lake(s3, airflow, landing.folder.name)
    # It would submit a second job once the first is completed.
    polls = polling.export("export_on_worker", start_at=days_ago(100))
    lands = landing.export_until_it_uploads(lake)
    polling.wait_for_polls()
    tries = [polls.processes_of("export"), lands.processes_of("land")]
    polls.mark_failed("export")
    lands.mark_failed("land")
    polling.let_jobs_end()
    for processes in tries:
        wait_for_end_of_task(processes)
    for run in (polls, lands):
        run.wait_for_end("failed")
    assert not lake.files()
    assert not lake.uploads()
    [_], [_] = polling.jobs, landing.jobs
    assert STOPPED in lands.task_log("land", 1)
