"""Simulated days at a LinkedIn that runs one half-hour export of a contract at a time."""

from __future__ import annotations

import datetime as dt
import heapq
import inspect
import random
from collections.abc import Generator

import pytest

from airflow_provider_snav.api.messages import Sleep
from airflow_provider_snav.api.models import ExportJob, ExportType, JobStatus
from airflow_provider_snav.api.windows import split
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.exports.plan import Done, Remedies, Submit, next_step, submitted
from airflow_provider_snav.exports.polling import Outcome, Poll, PollReport, PollSchedule, wait
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator

NOW = dt.datetime(2026, 6, 15, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
HALF_AN_HOUR = dt.timedelta(minutes=30)
TIMEOUT = inspect.signature(SalesNavigatorAnalyticsExportOperator.__init__).parameters["timeout"].default
SCHEDULE = PollSchedule(20, 300)

Life = Generator[float, dt.datetime, None]


class Queue:
    """One contract's jobs at LinkedIn.

    :param one_at_a_time: False for a LinkedIn without a queue.
    """

    def __init__(self, *, one_at_a_time: bool = True) -> None:
        self._one_at_a_time = one_at_a_time
        self._begins: list[dt.datetime] = []
        self.polls = 0

    def create(self, now: dt.datetime) -> int:
        free_at = self._begins[-1] + HALF_AN_HOUR if self._begins and self._one_at_a_time else now
        self._begins.append(max(now, free_at))
        return len(self._begins) - 1

    def read(self, job_id: int, now: dt.datetime) -> ExportJob:
        self.polls += 1
        processed = now - self._begins[job_id]
        if processed < dt.timedelta(0):
            return ExportJob(job_id, JobStatus.ENQUEUED)
        done = processed >= HALF_AN_HOUR
        return ExportJob(job_id, JobStatus.COMPLETED if done else JobStatus.PROCESSING)


def export_of(days: int) -> Export:
    windows = split(NOW - (days + 1) * DAY, NOW - DAY)
    return Export(
        ExportKind.ANALYTICS, "urn:li:contract:1", ExportType.ACTIVITY, tuple(map(Slice.of, windows))
    )


def lived(export: Export, queue: Queue, remedies: Remedies, timeout: dt.timedelta = TIMEOUT) -> Life:
    """One try of an export task; yields the seconds it sleeps and is sent what time it is then."""
    now = yield 0.0
    deadline = now + timeout
    chance = random.Random(7).random

    def clock() -> dt.datetime:
        return now

    while not isinstance((plan := next_step(export, remedies, now)).step, Done):
        export = plan.export
        if isinstance(plan.step, Submit):
            for part in plan.step.slices:
                job = ExportJob(queue.create(now), JobStatus.ENQUEUED)
                export = export.with_slice(part, submitted(part, job, now))
            continue
        steps = wait(export, remedies.max_running, SCHEDULE, deadline, clock, chance)
        reply: ExportJob | None = None
        try:
            while True:
                step = steps.send(reply)
                reply = None
                match step:
                    case Sleep(seconds):
                        now = yield seconds
                    case Poll(part):
                        assert part.job_id is not None
                        reply = queue.read(part.job_id, now)
        except StopIteration as end:
            report: PollReport = end.value
        assert report.outcome is Outcome.READY, "the export needs a retry"
        export = report.export


def ends(*lives: Life) -> list[dt.timedelta]:
    """When each of the tasks ends that begin at the same moment, one right after the other."""
    ended = [dt.timedelta(0)] * len(lives)
    awake = [(NOW, number) for number in range(len(lives))]
    for life in lives:
        next(life)
    while awake:
        now, number = heapq.heappop(awake)
        try:
            seconds = lives[number].send(now)
        except StopIteration:
            ended[number] = now - NOW
        else:
            heapq.heappush(awake, (now + dt.timedelta(seconds=seconds), number))
    return ended


@pytest.mark.parametrize(("foreign", "hours"), [(0, 5), (4, 7)])
def test_two_years_are_exported_in_one_try_behind_so_many_foreign_jobs(foreign: int, hours: int) -> None:
    queue = Queue()
    for _ in range(foreign):
        queue.create(NOW)
    [took] = ends(lived(export_of(730), queue, Remedies()))
    assert (foreign + 9) * HALF_AN_HOUR < took < hours * HOUR


def test_a_daily_export_waits_for_one_job_of_each_of_twelve_backfill_runs() -> None:
    queue = Queue()
    backfill = [lived(export_of(730), queue, Remedies(), timeout=7 * DAY) for _ in range(12)]
    *_, took = ends(*backfill, lived(export_of(1), queue, Remedies()))
    assert 6 * HOUR < took < 7 * HOUR


@pytest.mark.parametrize("one_at_a_time", [True, False])
def test_jobs_that_were_all_submitted_at_once_are_waited_for_with_few_polls(one_at_a_time: bool) -> None:
    queue = Queue(one_at_a_time=one_at_a_time)
    side_by_side = Remedies(max_running=64)
    [took] = ends(lived(export_of(730), queue, side_by_side))
    jobs = 9 if one_at_a_time else 1
    assert jobs * HALF_AN_HOUR < took < jobs * (HALF_AN_HOUR + dt.timedelta(minutes=4))
    assert queue.polls < 9 * 30
