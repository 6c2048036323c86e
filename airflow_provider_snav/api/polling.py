"""Waiting for an export, without a clock: when to poll, when to stop, and what to tell about it.

A generator, like :mod:`~airflow_provider_snav.api.exchange`: the worker drives it with ``time.sleep``, the
trigger with ``asyncio.sleep``. It only waits; what a failed job needs is the worker's to decide.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeAlias

from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorError,
    SalesNavigatorExportTimeoutError,
    SalesNavigatorRateLimitError,
)
from airflow_provider_snav.api.export_plan import Wait, what_is_due
from airflow_provider_snav.api.models import Export, ExportJob, JobStatus, Slice, has_failed
from airflow_provider_snav.api.windows import parse_time, to_text

_GROWTH = 1.15
_REMEMBERED_REQUESTS = 5


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """Quick at first, then ever slower: each pause is 15% longer than the last, up to a cap.

    So what a finished job waits to be noticed grows with its length, and on average, with the defaults for
    analytics, is less than a tenth of it from five minutes on, and two minutes and a half at most.

    :param first: seconds before the first poll at most.
    :param longest: seconds between two polls at most.
    """

    first: float
    longest: float

    def pause(self, rounds: int, jitter: float) -> float:
        """Seconds before the next poll; ``jitter`` from 0 to 1 spreads many exports over a fifth of it."""
        # The exponent stops mattering long before a float overflows.
        return min(self.first * _GROWTH ** min(rounds, 200), self.longest) * (1 - jitter / 5)


class Outcome(StrEnum):
    """Why a wait ended; the allow-list of event statuses."""

    READY = "ready"
    """All jobs are completed, or one needs the worker: it failed, or the next can be submitted."""
    TIMEOUT = "timeout"
    """The deadline passed."""
    POLL_FAILED = "poll_failed"
    """A poll failed in a way waiting cannot mend; the worker asks again and raises what it is told."""


@dataclass(slots=True)
class Report:
    """What a wait found so far, and in the end the trigger's event.

    :param export: with the last status seen of every job.
    :param deadline: when waiting was to end.
    :param outcome: why the wait ended.
    :param polls: status calls answered.
    :param failed_polls: status calls that failed and were tolerated.
    :param last_problem: the last failure's message.
    :param request_ids: of the last few answers.
    :param warnings: what LinkedIn did otherwise than asked.
    """

    export: Export
    deadline: dt.datetime
    outcome: Outcome = Outcome.READY
    polls: int = 0
    failed_polls: int = 0
    last_problem: str | None = None
    request_ids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def seen(self, index: int, job: ExportJob) -> None:
        """Add the answer to a poll."""
        self.polls += 1
        if job.request_id:
            self.request_ids = (*self.request_ids, job.request_id)[-_REMEMBERED_REQUESTS:]
        part = self.export.slices[index]
        if part.status != job.status:
            self.export = self.export.with_slice(index, status=job.status)
        if warning := clamped(part, job):
            self.warnings += (warning,)

    def failed(self, problem: SalesNavigatorError) -> None:
        """Add a poll that failed."""
        self.failed_polls += 1
        self.last_problem = str(problem)

    def post_mortem(self) -> str:
        """What the trigger learned, in one line for the worker's log."""
        ids = ", ".join(self.request_ids) or "none"
        line = f"{self.polls} polls, {self.failed_polls} failed; last request ids: {ids}"
        return f"{line}; last problem: {self.last_problem}" if self.last_problem else line

    def to_event(self) -> dict[str, Any]:
        """Plain JSON. All the worker needs is in it: Airflow may lose what it keeps beside an event."""
        return {
            "status": str(self.outcome),
            "export": self.export.to_json(),
            "deadline": to_text(self.deadline),
            "polls": self.polls,
            "failed_polls": self.failed_polls,
            "last_problem": self.last_problem,
            "request_ids": list(self.request_ids),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_event(cls, event: Mapping[str, Any] | None) -> Self:
        """Read an event.

        :raises SalesNavigatorError: there is none, or its status is none of :class:`Outcome`.
        """
        found = event or {}
        try:
            return cls(
                export=Export.from_json(found["export"]),
                deadline=parse_time(found["deadline"], "deadline"),
                outcome=Outcome(found["status"]),
                polls=found["polls"],
                failed_polls=found["failed_polls"],
                last_problem=found["last_problem"],
                request_ids=tuple(found["request_ids"]),
                warnings=tuple(found.get("warnings", ())),
            )
        except (TypeError, KeyError, ValueError) as error:
            raise SalesNavigatorError(
                f"The trigger's event cannot be read ({type(error).__name__}: {error}), so what became of the"
                " export is unknown."
            ) from None


@dataclass(frozen=True, slots=True)
class Pause:
    """Sleep this many seconds; reply with a Tick without a result."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Poll:
    """Read the status of the slice's job; reply with a Tick."""

    index: int


@dataclass(frozen=True, slots=True)
class Tick:
    """What time it is, and what a poll answered or how it failed."""

    now: dt.datetime
    result: ExportJob | SalesNavigatorError | None = None


Action: TypeAlias = Pause | Poll


def wait(
    export: Export,
    max_running: int,
    schedule: PollSchedule,
    deadline: dt.datetime,
    now: dt.datetime,
    random: Callable[[], float],
) -> Generator[Action, Tick, Report]:
    """Poll the running jobs until the worker is needed or the deadline passes.

    Failed polls are tolerated until the deadline when waiting can mend them (5xx, network, throttling). At
    least one round is polled even when the deadline has passed: the triggerer may have been down.
    """
    report = Report(export, deadline)
    rounds = 0
    throttled = 0.0
    while True:
        if any(has_failed(part.status) for part in report.export.slices):
            return report
        step = what_is_due(report.export, max_running, now)
        if not isinstance(step, Wait):
            return report
        left = (deadline - now).total_seconds()
        if rounds and left <= 0:
            report.outcome = Outcome.TIMEOUT
            return report
        pause = max(schedule.pause(rounds, random()), throttled)
        if step.until:
            pause = min(pause, (step.until - now).total_seconds())
        now = (yield Pause(max(0.0, min(pause, left)))).now
        throttled = 0.0
        for index in report.export.running:
            tick = yield Poll(index)
            now = tick.now
            if isinstance(tick.result, ExportJob):
                report.seen(index, tick.result)
                continue
            assert tick.result
            report.failed(tick.result)
            if not passes_by_itself(tick.result):
                report.outcome = Outcome.POLL_FAILED
                return report
            throttled = max(throttled, getattr(tick.result, "retry_after", None) or 0.0)
        rounds += 1


def passes_by_itself(problem: SalesNavigatorError) -> bool:
    """True for a failed poll that waiting can mend."""
    if isinstance(problem, SalesNavigatorConfigurationError):
        # A connection that was not found: whoever waits should hear of it, not wait for it.
        return False
    return problem.retryable and not (isinstance(problem, SalesNavigatorRateLimitError) and problem.daily)


def clamped(part: Slice, job: ExportJob) -> str | None:
    """A warning for a completed job that exports from later than asked; None for any other."""
    if job.status != JobStatus.COMPLETED or not job.export_start_at or job.export_start_at <= part.start_at:
        return None
    return (
        f"Job {job.job_id} exports from {to_text(job.export_start_at)}, later than the"
        f" {to_text(part.start_at)} asked for: LinkedIn has nothing older, or does not go back further."
    )


def timed_out(
    export: Export, timeout: dt.timedelta, last_problem: str | None = None
) -> SalesNavigatorExportTimeoutError:
    """The error for an export that is not complete at its deadline, the same on every path.

    :param last_problem: of the polls, if any failed.
    """
    problem = f" The last poll that failed: {last_problem}" if last_problem else ""
    waiting = "; ".join(str(part) for part in export.slices if not part.is_completed)
    return SalesNavigatorExportTimeoutError(
        f"The {export.title} was not complete after timeout={timeout}: still waiting for {waiting}.{problem}"
    )


def describe(job: ExportJob) -> str:
    """One log line about a poll."""
    expires = f", file available until {to_text(job.expire_at)}" if job.expire_at else ""
    rows = f", {job.row_count} rows" if job.row_count is not None else ""
    return f"Job {job.job_id}: {job.status}{rows}{expires}"
