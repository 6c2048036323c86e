"""Status calls for one export, and how late its completion is noticed.

Computed, not waited for: our schedule with the operator's defaults, and a fixed interval as ``HttpSensor``
(60 s) and dbt Cloud's trigger (5 s in many examples) have it. Neither asks before its first interval is over,
which spares the peers a call. A job ends at no particular moment of an interval, so each figure is the mean
over jobs of 10% less to 10% more than the length named, each with its own jitter.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from statistics import fmean

from airflow_provider_snav.api.polling import PollSchedule
from airflow_provider_snav.operators.export_operator import ExportOperator
from benchmarks.measure import Question, Row, Sample

_JOBS = 2000


def ask() -> list[Question]:
    """Compare at the length the documents name, and at a shorter and a longer one."""
    return [
        Question(f"Status calls for a {minutes}-minute job, and how late its end is noticed", rows)
        for minutes, rows in ((30, _rows(30, 1.0)), (5, _rows(5, None)), (120, _rows(120, None)))
    ]


def _rows(minutes: int, fewer: float | None) -> list[Row]:
    defaults = inspect.signature(ExportOperator.__init__).parameters
    schedule = PollSchedule(defaults["poll_interval"].default, defaults["max_poll_interval"].default)
    seconds = minutes * 60.0
    calls, delay = _means(seconds, lambda rounds: schedule.pause(rounds, random.random()))
    minute_calls, minute_delay = _means(seconds, lambda _: 60.0)
    quick_calls, quick_delay = _means(seconds, lambda _: 5.0)
    return [
        Row("fixed 60 s: calls", calls, minute_calls, "calls", fewer),
        Row("fixed 5 s: calls", calls, quick_calls, "calls", fewer),
        Row("a tenth of the job's length: mean delay", delay, Sample((seconds / 10,)), "s", 1.0),
        Row("fixed 60 s: mean delay", delay, minute_delay, "s", None),
        Row("fixed 5 s: mean delay", delay, quick_delay, "s", None),
    ]


def _means(seconds: float, pause: Callable[[int], float]) -> tuple[Sample, Sample]:
    calls, delays = zip(
        *(_wait(seconds * random.uniform(0.9, 1.1), pause) for _ in range(_JOBS)), strict=True
    )
    return Sample((fmean(calls),)), Sample((fmean(delays),))


def _wait(ends_at: float, pause: Callable[[int], float]) -> tuple[int, float]:
    calls, now = 0, 0.0
    while now < ends_at:
        now += pause(calls)
        calls += 1
    return calls, now - ends_at
