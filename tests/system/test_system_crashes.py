"""A crash costs nothing, on a real Airflow: the sandbox's own log says how many jobs were created."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from harness import Deployment, Run, days_ago
from linkedin import LinkedIn
from local_airflow import wait_for
from stops import Silence

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.models import ExportType
from airflow_provider_snav.api.windows import parse_time, split
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.exports.plan import Remedies, submitted
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.sandbox.faults import (
    Delay,
    garbage_json,
    html_page,
    http_error,
    throttled,
)
from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger

# The first test waits for the deployment to start.
pytestmark = pytest.mark.timeout(300)


def test_an_export_without_a_crash_is_one_job(linkedin: LinkedIn) -> None:
    run = linkedin.export("export_deferred")
    run.wait_for_state("export", "deferred")
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)


def test_a_worker_killed_after_the_job_was_remembered_costs_no_second_job(linkedin: LinkedIn) -> None:
    run = linkedin.export("export_deferred", halt_at="defer")
    linkedin.wait_for_halt("defer")
    run.kill_worker_of("export")
    run.wait_for_state("export", "deferred", try_number=2)
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)


def test_a_worker_killed_while_it_polls_costs_no_second_job(linkedin: LinkedIn) -> None:
    run = linkedin.export("export_on_worker")
    linkedin.wait_for_polls()
    run.kill_worker_of("export")
    run.wait_for_state("export", "running", try_number=2)
    linkedin.wait_for_polls()
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)


def test_a_worker_killed_after_the_trigger_has_fired_costs_no_second_job(linkedin: LinkedIn) -> None:
    run = linkedin.export("export_deferred", halt_at="execute_complete")
    run.wait_for_state("export", "deferred")
    linkedin.let_jobs_end()
    linkedin.wait_for_halt("execute_complete")
    run.kill_worker_of("export")
    assert run.wait_for_state("export", "success")["try_number"] == 2
    linkedin.assert_only_job_landed(run)


def test_a_worker_killed_before_it_heard_the_job_id_costs_the_one_job_the_documents_name(
    linkedin: LinkedIn,
) -> None:
    """LinkedIn has no key by which a submission could be found again."""
    silence = Silence(minutes=5)
    linkedin.sandbox.fault("create", Delay(silence))
    run = linkedin.export("export_deferred")
    wait_for("the submission", lambda: silence.has_begun)
    run.kill_worker_of("export")
    linkedin.let_jobs_end()
    run.wait_for_state("land", "success")
    _, job = linkedin.jobs
    linkedin.assert_landed(job)


def test_all_workers_and_the_scheduler_killed_while_deferred_cost_nothing(
    airflow: Deployment, linkedin: LinkedIn
) -> None:
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    airflow.kill_scheduler()
    linkedin.wait_for_polls()
    linkedin.let_jobs_end()
    airflow.restore()
    assert run.wait_for_state("export", "success")["try_number"] == 1
    linkedin.assert_only_job_landed(run)


def test_one_of_two_schedulers_killed_leaves_its_exports_to_the_other(
    airflow: Deployment, make_linkedin: Callable[[str], LinkedIn]
) -> None:
    polling, waiting = make_linkedin("polling"), make_linkedin("waiting")
    polls = polling.export("export_on_worker")
    waits = waiting.export("export_deferred")
    for linkedin in (polling, waiting):
        linkedin.wait_for_polls()
    with airflow.second_scheduler():
        airflow.kill_scheduler()
        polls.wait_for_state("export", "running", try_number=2)
        for linkedin, run in ((polling, polls), (waiting, waits)):
            linkedin.let_jobs_end()
            linkedin.assert_only_job_landed(run)
    assert waits.task_instance("export")["try_number"] == 1


def test_a_triggerer_killed_hands_over_to_the_other(airflow: Deployment, linkedin: LinkedIn) -> None:
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    killed = run.triggerer_of("export")
    airflow.kill_triggerer(killed)
    wait_for("the other triggerer to take over", lambda: run.triggerer_of("export") != killed)
    linkedin.wait_for_polls()
    linkedin.let_jobs_end()
    assert run.wait_for_state("export", "success")["try_number"] == 1
    linkedin.assert_only_job_landed(run)


def test_a_triggerer_that_comes_back_late_does_not_harm_the_one_that_took_over(
    airflow: Deployment, linkedin: LinkedIn
) -> None:
    """Airflow 3.3 then calls ``on_kill`` on the first one's trigger, as if a user had ended the task.

    Airflow 3.4 calls this a bug and mends it: there, nothing will be said in the log.
    """
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    frozen = run.triggerer_of("export")
    go_on = airflow.suspend_triggerer(frozen)
    try:
        wait_for("the other triggerer to take over", lambda: run.triggerer_of("export") != frozen)
    finally:
        go_on()
    wait_for("the first to give up", lambda: "The wait was stopped" in run.task_log("export", 1))
    linkedin.wait_for_polls()
    linkedin.let_jobs_end()
    assert run.wait_for_state("export", "success")["try_number"] == 1
    linkedin.assert_only_job_landed(run)


def test_clearing_a_deferred_task_goes_on_with_its_job(linkedin: LinkedIn) -> None:
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    run.clear("export")
    run.wait_for_state("export", "deferred", try_number=2)
    wait_for("the first try to end", lambda: "The wait was stopped" in run.task_log("export", 1))
    linkedin.wait_for_polls()
    linkedin.let_jobs_end()
    linkedin.assert_only_job_landed(run)


def test_marking_a_deferred_task_failed_says_that_the_job_goes_on_and_clearing_takes_it_up(
    linkedin: LinkedIn,
) -> None:
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    [job] = linkedin.jobs
    run.mark_failed("export")
    run.wait_for_end("failed")
    farewell = f"LinkedIn continues job {job} and keeps its files for seven days"
    wait_for("the log to say what becomes of the job", lambda: farewell in run.task_log("export", 1))
    run.clear("export", downstream=True)
    run.wait_for_state("export", "deferred", try_number=2)
    linkedin.let_jobs_end()
    run.wait_for_state("land", "success")
    assert linkedin.jobs == [job]
    linkedin.assert_landed(job)


def test_clearing_a_success_exports_anew(linkedin: LinkedIn) -> None:
    linkedin.let_jobs_end()
    run = linkedin.export("export_deferred")
    run.wait_for_end("success")
    run.clear("export", downstream=True)
    run.wait_for_state("land", "success", try_number=2)
    _, job = linkedin.jobs
    assert [part["job_id"] for part in run.xcom("export")["slices"]] == [job]
    linkedin.assert_landed(job)


def test_clearing_the_landing_alone_lands_the_same_job_again(linkedin: LinkedIn) -> None:
    linkedin.let_jobs_end()
    run = linkedin.export("export_deferred")
    run.wait_for_end("success")
    run.clear("land")
    run.wait_for_state("land", "success", try_number=2)
    [job] = linkedin.jobs
    linkedin.assert_landed(job)


def test_a_landing_killed_in_the_middle_is_retried_whole_without_another_job(linkedin: LinkedIn) -> None:
    run = linkedin.export_until_it_downloads()
    run.kill_worker_of("land")
    assert run.wait_for_state("land", "success")["try_number"] == 2
    assert run.task_instance("export")["try_number"] == 1
    [job] = linkedin.jobs
    linkedin.assert_landed(job)


def test_a_long_row_of_failing_polls_is_no_reason_to_retry_the_task(linkedin: LinkedIn) -> None:
    # The job takes a simulated day, which passes only where this test says so.
    linkedin.sandbox.settings.analytics_processing = timedelta(days=1)
    linkedin.sandbox.settings.speed = 1
    run = linkedin.export("export_deferred")
    linkedin.wait_for_polls()
    failures = [http_error(503), garbage_json(), html_page(), throttled(retry_after=1)]
    for failure in failures:
        linkedin.sandbox.fault("status", failure)
        linkedin.wait_for_polls()
        linkedin.sandbox.advance(timedelta(hours=3))
    # Each call tries six times: this poll fails for good.
    for failure in (*failures, *failures[:2]):
        linkedin.sandbox.fault("status", failure)
    linkedin.wait_for_polls(7)
    linkedin.sandbox.advance(timedelta(hours=12))
    assert run.wait_for_state("export", "success")["try_number"] == 1
    run.wait_for_state("land", "success")
    [job] = linkedin.jobs
    assert set(linkedin.sandbox.jobs[job].statuses_served) == {"PROCESSING", "COMPLETED"}
    assert "1 failed" in run.task_log("export", 1)
    linkedin.assert_landed(job)


@pytest.mark.timeout(600)
def test_a_thousand_exports_deferred_on_one_triggerer_all_complete(
    airflow: Deployment, linkedin: LinkedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triggers and triggerer are real; their task instances are deferred by writing to the database.

    A thousand tasks would start twice each, at five a second: minutes in which nothing of ours is tested.
    """
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", linkedin.sandbox.connection_json())
    asked = _one_day_of_seats()
    with SalesNavigatorHook() as hook:
        exports = [_submitted(hook, asked) for _ in range(1000)]
    run = linkedin.export("export_crowd")
    deadline = time.time() + 3600
    airflow.only_triggerer()
    with closing(psycopg2.connect(airflow.postgres.url(""))) as database, database:
        for number, export in enumerate(exports):
            trigger = SalesNavigatorExportTrigger(
                export=export.to_json(),
                max_running=Remedies().max_running,
                poll_interval=5,
                max_poll_interval=10,
                deadline=deadline,
                snav_conn_id=linkedin.conn_id,
            )
            _defer(database, run, number, trigger)
        database.commit()
        # Each trigger reads its connection, of which Airflow answers some twenty a second.
        wait_for("all jobs to be polled", lambda: linkedin.polled_jobs == set(linkedin.jobs), timeout=240)
        linkedin.let_jobs_end()
        events = wait_for("all to complete", lambda: _events(database, run, 1000), timeout=180)
    finished = [Export.from_json(event["export"]) for event in events]
    assert all(export.is_completed for export in finished)
    assert [export.job_ids for export in finished] == [[job] for job in linkedin.jobs]


def _one_day_of_seats() -> Export:
    window = parse_time(days_ago(3), "start_at"), parse_time(days_ago(2), "end_at")
    slices = tuple(map(Slice.of, split(*window)))
    return Export(ExportKind.ANALYTICS, "urn:li:contract:123456", ExportType.SEAT, slices)


def _submitted(hook: SalesNavigatorHook, export: Export) -> Export:
    job = hook.run(export.create_job(export.slices[0]))
    return export.with_slice(export.slices[0], submitted(export.slices[0], job, now()))


def _defer(database: Any, run: Run, number: int, trigger: SalesNavigatorExportTrigger) -> None:
    """What the API server does when a task defers."""
    classpath, kwargs = trigger.serialize()
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trigger (classpath, kwargs, created_date) VALUES (%s, %s, now()) RETURNING id",
            (classpath, json.dumps(kwargs)),
        )
        [trigger_id] = cursor.fetchone()
        cursor.execute(
            "UPDATE task_instance SET state = 'deferred', trigger_id = %s, next_method = 'execute_complete',"
            " next_kwargs = '{}', try_number = 1, start_date = now() WHERE run_id = %s AND map_index = %s",
            (trigger_id, run.run_id, number),
        )
        assert cursor.rowcount == 1


def _events(database: Any, run: Run, number: int) -> list[Any]:
    """The events of a run's task instances once that many have theirs; nothing until then."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT next_kwargs -> 'event' FROM task_instance"
            " WHERE run_id = %s AND state = 'scheduled' ORDER BY map_index",
            (run.run_id,),
        )
        events = [event for [event] in cursor.fetchall()]
    database.commit()
    return events if len(events) == number else []
