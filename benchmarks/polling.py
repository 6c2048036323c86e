"""Status calls for one export, and how late its completion is noticed.

Computed, not waited for: our wait with the operator's defaults, and a fixed interval as ``HttpSensor`` (60 s)
and dbt Cloud's trigger (5 s in many examples) have it. Neither asks before its first interval is over, which
spares the peers a call. A job ends at no particular moment of an interval, so each figure is the mean over
jobs of 10% less to 10% more than the length named, each with its own jitter. A queued job is ENQUEUED behind
other exports of its contract first, for the time named, 10% less or more.
"""

from __future__ import annotations

import datetime as dt
import inspect
import random
from collections.abc import Iterator
from statistics import fmean

from airflow_provider_snav.api.messages import Sleep, drive
from airflow_provider_snav.api.models import ExportJob, ExportType, JobStatus
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.exports.polling import Poll, PollSchedule, PollStep, wait
from airflow_provider_snav.operators.base import ExportOperator
from benchmarks.measure import Question, Row, Sample

_JOBS = 1000
_NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_SUBMITTED = Export(
    ExportKind.ANALYTICS,
    "urn:li:contract:1",
    ExportType.ACTIVITY,
    (Slice(_NOW, _NOW, job_id=1, status=JobStatus.ENQUEUED, submitted_at=_NOW),),
)


def ask() -> list[Question]:
    """Compare at the length the documents name, a shorter and a longer one, and behind other exports."""
    return [
        *(_question(minutes, hours_queued=0) for minutes in (30, 5, 120)),
        *(_question(30, hours_queued=hours) for hours in (1, 6)),
    ]


def _question(minutes: int, *, hours_queued: int) -> Question:
    queued = f" queued for {hours_queued} h" if hours_queued else ""
    # The documents' length is what the package is made for.
    fewer = 1.0 if minutes == 30 else None
    seconds = minutes * 60.0
    jobs = [
        (hours_queued * 3600 * random.uniform(0.9, 1.1), seconds * random.uniform(0.9, 1.1))
        for _ in range(_JOBS)
    ]
    calls, delay = _means(_ours(*job) for job in jobs)
    minute_calls, minute_delay = _means(_fixed(60.0, *job) for job in jobs)
    quick_calls, quick_delay = _means(_fixed(5.0, *job) for job in jobs)
    rows = [
        Row("fixed 60 s: calls", calls, minute_calls, "calls", fewer),
        Row("fixed 5 s: calls", calls, quick_calls, "calls", fewer),
        Row("a tenth of the job's length: mean delay", delay, Sample((seconds / 10,)), "s", 1.0),
        Row("fixed 60 s: mean delay", delay, minute_delay, "s", None),
        Row("fixed 5 s: mean delay", delay, quick_delay, "s", None),
    ]
    return Question(f"Status calls for a {minutes}-minute job{queued}, and how late its end is noticed", rows)


def _means(waits: Iterator[tuple[int, float]]) -> tuple[Sample, Sample]:
    calls, delays = zip(*waits, strict=True)
    return Sample((fmean(calls),)), Sample((fmean(delays),))


def _fixed(interval: float, queued: float, processed: float) -> tuple[int, float]:
    calls = -int(-(queued + processed) // interval)
    return calls, calls * interval - queued - processed


def _ours(queued: float, processed: float) -> tuple[int, float]:
    defaults = inspect.signature(ExportOperator.__init__).parameters
    schedule = PollSchedule(defaults["poll_interval"].default, defaults["max_poll_interval"].default)
    calls, passed = 0, 0.0

    def perform(step: PollStep) -> ExportJob | None:
        nonlocal calls, passed
        match step:
            case Sleep(seconds):
                passed += seconds
            case Poll():
                calls += 1
                status = JobStatus.ENQUEUED if passed < queued else JobStatus.PROCESSING
                return ExportJob(1, JobStatus.COMPLETED if passed >= queued + processed else status)
        return None

    def clock() -> dt.datetime:
        return _NOW + dt.timedelta(seconds=passed)

    drive(wait(_SUBMITTED, 1, schedule, _NOW + dt.timedelta(days=1), clock, random.random), perform)
    return calls, passed - queued - processed
