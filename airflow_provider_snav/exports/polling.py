"""The wait for an export: when to poll, when to stop, and what to log.

:func:`wait` is a generator, as in :mod:`~airflow_provider_snav.api.exchange`. Its steps are Sleep, Poll (the
reply is an ExportJob) and Tell. It only waits; the worker applies the remedies to failed jobs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import sqrt
from typing import Any, Self, TypeAlias

from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorError,
    SalesNavigatorExportTimeoutError,
    SalesNavigatorRateLimitError,
    SalesNavigatorStoppedError,
)
from airflow_provider_snav.api.messages import Sleep
from airflow_provider_snav.api.models import ExportJob, JobStatus, has_ended
from airflow_provider_snav.api.windows import parse_time, to_text
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.plan import Wait, seen, what_is_due

# With first=20 seconds the pause grows by 2.5 seconds times the square root of the time in seconds.
_GROWTH = 0.56
_REMEMBERED_REQUESTS = 5
_ONE_AT_A_TIME = "LinkedIn runs one export of a contract at a time"


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """The pauses between two polls of a job.

    While a job is in LinkedIn's queue, the pauses grow by half of the time waited, because the queue takes
    minutes or hours. The pauses begin with ``first`` again when LinkedIn begins to process the job. Then they
    grow with the square root of the time, so that both the polls and the delay stay small. With ``first=20``
    a pause is ``20 + 2.5 * sqrt(seconds)``: one minute after 5 minutes, two minutes after 30 minutes.

    :param first: seconds. The longest pause before the first poll.
    :param longest: seconds. The longest pause between two polls.
    """

    first: float
    longest: float

    def pause(self, waited: float, jitter: float, *, enqueued: bool = False) -> float:
        """Return the seconds before the next poll.

        :param waited: seconds since the wait began, or since a poll first found the job in process.
        :param jitter: 0 to 1. It spreads the polls of many exports over a fifth of the pause.
        :param enqueued: True while the job is in LinkedIn's queue.
        """
        growth = waited / 2 if enqueued else _GROWTH * sqrt(self.first * waited)
        return min(self.first + growth, self.longest) * (1 - jitter / 5)


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How often to poll, and for how long.

    :param timeout: the operator's argument, for messages.
    :param deadline: when the wait ends. It stays the same when a task or a trigger resumes.
    """

    schedule: PollSchedule
    timeout: dt.timedelta
    deadline: dt.datetime


class Outcome(StrEnum):
    """The reason why a wait ended. An event with any other status is refused."""

    READY = "ready"
    """All jobs are completed, a job failed, or the worker can submit the next job."""
    TIMEOUT = "timeout"
    """The deadline passed."""
    POLL_FAILED = "poll_failed"
    """A poll failed, and waiting does not help. The worker polls once more and raises the error."""


@dataclass(slots=True)
class PollReport:
    """The results of a wait, and the content of the trigger's event.

    :param export: the Export with the last status of every job.
    :param deadline: when the wait ends at the latest, an aware datetime.
    :param outcome: the reason why the wait ended.
    :param polls: the number of polls with an answer.
    :param failed_polls: the number of polls without an answer.
    :param last_problem: the message of the last failed poll.
    :param request_ids: the ids of the last five answers, for LinkedIn's support.
    :param warnings: sentences about jobs that export less time than requested.
    :param notes: sentences about the time for which ended jobs were queued and processed.
    :param told_to_wait: the ids of jobs whose wait in LinkedIn's queue was logged. It is not in the event.
    """

    export: Export
    deadline: dt.datetime
    outcome: Outcome = Outcome.READY
    polls: int = 0
    failed_polls: int = 0
    last_problem: str | None = None
    request_ids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    told_to_wait: set[int] = field(default_factory=set, compare=False)

    def seen(self, part: Slice, job: ExportJob, now: dt.datetime) -> list[Tell]:
        """Add the answer to a poll.

        :returns: lines for the log of the process that polls. The task's log gets ``notes`` and ``warnings``.
        """
        self.polls += 1
        if job.request_id:
            self.request_ids = (*self.request_ids, job.request_id)[-_REMEMBERED_REQUESTS:]
        self.export = self.export.with_slice(part, seen(part, job.status, now))
        told = [Tell(describe(job))] if job.status != part.status else []
        if self._waits_for_its_turn(job):
            self.told_to_wait.add(job.job_id)
            told.append(Tell(f"Job {job.job_id} waits for its turn: {_ONE_AT_A_TIME}."))
        if note := _took(part, job, now):
            self.notes += (note,)
        if warning := clamp_warning(part, job):
            self.warnings += (warning,)
        return told

    def _waits_for_its_turn(self, job: ExportJob) -> bool:
        """True for the first poll that finds the job in the queue."""
        queued = self.export.rules.is_queued and job.status == JobStatus.ENQUEUED
        return queued and job.job_id not in self.told_to_wait

    def failed(self, problem: SalesNavigatorError) -> list[Tell]:
        """Add a failed poll. The wait ends if waiting does not help."""
        self.failed_polls += 1
        self.last_problem = str(problem)
        if not is_transient(problem):
            self.outcome = Outcome.POLL_FAILED
        return [Tell(self.last_problem, is_warning=True)]

    def post_mortem(self) -> str:
        """Return one line about the polls, for the log of the worker."""
        ids = ", ".join(self.request_ids) or "none"
        line = f"{self.polls} polls, {self.failed_polls} failed; last request ids: {ids}"
        return f"{line}; last problem: {self.last_problem}" if self.last_problem else line

    def to_event(self) -> dict[str, Any]:
        """Return the event as JSON. It holds everything, because Airflow may lose other data of the task."""
        return {
            "status": str(self.outcome),
            "export": self.export.to_json(),
            "deadline": to_text(self.deadline),
            "polls": self.polls,
            "failed_polls": self.failed_polls,
            "last_problem": self.last_problem,
            "request_ids": list(self.request_ids),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    @classmethod
    def from_event(cls, event: Mapping[str, Any] | None) -> Self:
        """Read an event, of any version since 0.1.0.

        :raises SalesNavigatorError: there is no event, or it is unreadable.
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
                notes=tuple(found.get("notes", ())),
            )
        except (TypeError, KeyError, ValueError) as error:
            raise SalesNavigatorError(
                f"The trigger's event cannot be read ({type(error).__name__}: {error}), so the state of the"
                " export is unknown."
            ) from None


@dataclass(frozen=True, slots=True)
class Poll:
    """Read the status of the slice's job; the reply is an ExportJob."""

    part: Slice


@dataclass(frozen=True, slots=True)
class Tell:
    """Write this sentence to the log."""

    sentence: str
    is_warning: bool = False


PollStep: TypeAlias = Sleep | Poll | Tell


def wait(
    export: Export,
    max_running: int,
    schedule: PollSchedule,
    deadline: dt.datetime,
    now: Callable[[], dt.datetime],
    random: Callable[[], float],
) -> Generator[PollStep, Any, PollReport]:
    """Poll the running jobs until the worker is needed or the deadline passes.

    A failed poll does not end the wait if the failure may pass (5xx, network, rate limit). At least one round
    of polls takes place, even after the deadline, because the triggerer may have been down.

    :param max_running: the most jobs of the export at LinkedIn at the same time.
    :param now: returns the time.
    :param random: returns numbers from 0 to 1.
    """
    report = PollReport(export, deadline)
    polled, retry_after, phase, began = False, 0.0, None, now()
    while not (report.outcome is Outcome.POLL_FAILED or report.export.has_failed):
        at = now()
        step = what_is_due(report.export, max_running, at)
        if not isinstance(step, Wait):
            break
        left = (deadline - at).total_seconds()
        if polled and left <= 0:
            report.outcome = Outcome.TIMEOUT
            break
        if phase != (phase := _Phase.of(report.export)):
            began = at
        waited = max(0.0, (at - began).total_seconds())
        pause = max(schedule.pause(waited, random(), enqueued=phase.enqueued), retry_after)
        if step.until:
            pause = min(pause, (step.until - at).total_seconds())
        yield Sleep(max(0.0, min(pause, left)))
        problems = yield from look(report, now)
        retry_after = max((getattr(each, "retry_after", None) or 0.0 for each in problems), default=0.0)
        polled = True
    return report


def look(
    report: PollReport, now: Callable[[], dt.datetime]
) -> Generator[Poll | Tell, Any, list[SalesNavigatorError]]:
    """Poll every running job once, the oldest first. Skip a job that waits behind another.

    LinkedIn runs the jobs of a contract one after another. So a job whose last status is ENQUEUED is polled
    only if all jobs before it have ended, possibly in the same round. Jobs that run at the same time are all
    polled.

    :param now: returns the time.
    :returns: the failures. If waiting does not help, the report's outcome is ``POLL_FAILED``.
    """
    problems: list[SalesNavigatorError] = []
    is_behind_another = False
    for part in report.export.running:
        if is_behind_another and part.status == JobStatus.ENQUEUED:
            continue
        try:
            job: ExportJob = yield Poll(part)
        except SalesNavigatorStoppedError:
            raise
        except SalesNavigatorError as problem:
            problems.append(problem)
            yield from report.failed(problem)
            if report.outcome is Outcome.POLL_FAILED:
                break
            is_behind_another = True
        else:
            yield from report.seen(part, job, now())
            is_behind_another |= not has_ended(job.status)
    return problems


@dataclass(frozen=True, slots=True)
class _Phase:
    """The oldest running job, if any, and whether all running jobs are still in the queue."""

    first: int | None
    enqueued: bool

    @classmethod
    def of(cls, export: Export) -> Self:
        running = export.running
        return cls(
            running[0].job_id if running else None,
            # A job that was PROCESSING once is not in the queue, even if a later answer says ENQUEUED.
            all(part.status == JobStatus.ENQUEUED and part.processing_at is None for part in running),
        )


def is_transient(problem: SalesNavigatorError) -> bool:
    """Return True for a failed poll if a later poll may succeed."""
    if isinstance(problem, SalesNavigatorConfigurationError):
        # Report a missing connection at once, although it is retryable.
        return False
    return problem.retryable and not (isinstance(problem, SalesNavigatorRateLimitError) and problem.daily)


def clamp_warning(part: Slice, job: ExportJob) -> str | None:
    """Return a warning for a completed job that begins later than requested; otherwise None."""
    if job.status != JobStatus.COMPLETED or not job.export_start_at or job.export_start_at <= part.start_at:
        return None
    return (
        f"Job {job.job_id} exports from {to_text(job.export_start_at)}, later than the requested"
        f" {to_text(part.start_at)}. LinkedIn's documents do not say why. The file has no earlier records."
    )


def _took(before: Slice, job: ExportJob, now: dt.datetime) -> str | None:
    """Say how long the job was queued and processed, if this poll is the first after its end."""
    if not (has_ended(job.status) and before.is_running and before.submitted_at):
        return None
    if not before.processing_at:
        return f"Job {job.job_id} was queued and processed in {_length(now - before.submitted_at)}."
    processed = f"processed for {_length(now - before.processing_at)}"
    if before.processing_at == before.submitted_at:
        return f"Job {job.job_id} was {processed}."
    queued = _length(before.processing_at - before.submitted_at)
    return f"Job {job.job_id} was queued for {queued} and {processed}."


def _length(time: dt.timedelta) -> dt.timedelta:
    return dt.timedelta(seconds=round(time.total_seconds()))


def what_goes_on(export: Export) -> str:
    """Say in one sentence what becomes of running jobs when the task ends."""
    jobs = ", ".join(str(part.job_id) for part in export.running)
    if not jobs:
        return "No job is running."
    return f"LinkedIn continues job {jobs} and keeps its files for seven days."


def timed_out(
    export: Export, timeout: dt.timedelta, last_problem: str | None = None
) -> SalesNavigatorExportTimeoutError:
    """Return the error for an export that is not complete at its deadline.

    :param last_problem: the message of the last failed poll, if any.
    """
    problem = f" The last poll that failed: {last_problem}" if last_problem else ""
    queued = export.rules.is_queued and any(part.status == JobStatus.ENQUEUED for part in export.slices)
    reason = f" {_ONE_AT_A_TIME}, and other exports were first." if queued else ""
    waiting = "; ".join(str(part) for part in export.slices if not part.is_completed)
    return SalesNavigatorExportTimeoutError(
        f"The {export.title} was not complete after timeout={timeout}: still waiting for {waiting}."
        f"{reason}{problem}"
    )


def describe(job: ExportJob) -> str:
    """Return one log line about a poll."""
    expires = f", file available until {to_text(job.expire_at)}" if job.expire_at else ""
    rows = f", {job.row_count} rows" if job.row_count is not None else ""
    return f"Job {job.job_id}: {job.status}{rows}{expires}"
