"""The state machine of one export: it decides what to submit, poll, halve or submit again next.

Pure: every function takes the Export and ``now`` and returns the next step. The worker, the sensor and a
retry all use :func:`next_step`, and the trigger uses its part :func:`what_is_due`. So they make the same
decisions. The remedies are those of
https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_snav.api.errors import SalesNavigatorExportFailedError
from airflow_provider_snav.api.models import ExportJob, JobStatus, has_failed
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.exports.export import MAX_SLICES, Export, Slice

_TOO_LARGE = (JobStatus.EXCEEDED_FILE_SIZE, JobStatus.TIMED_OUT)
_RESUBMIT: dict[str, str] = {
    JobStatus.DATA_DELAY: "LinkedIn's data is late. Retry later, or raise lag or resubmit_delay.",
    JobStatus.INTERNAL_ERROR: "LinkedIn had an internal error. Retry later.",
}
_NO_JOB: dict[str, Any] = dict.fromkeys(("job_id", "status", "submitted_at", "processing_at"))


@dataclass(frozen=True, slots=True)
class Remedies:
    """The remedies for failed jobs, and the number of jobs at LinkedIn at the same time.

    An export submits at most ``(2 * 64 - 1) * (1 + max_resubmissions)`` jobs: halving makes a tree with at
    most 64 leaves, and each node is submitted at most ``1 + max_resubmissions`` times.

    :param split_on_failure: if True, halve a window that was too large or took too long.
    :param max_resubmissions: how many times a window is submitted again after a data delay or an internal
        error.
    :param resubmit_delay: the wait before a window is submitted again after a data delay.
    :param max_running: the most jobs of this export at LinkedIn, queued or processed. LinkedIn runs one
        export of a contract at a time, so a second job would only delay others. Document:
        https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/faq
    """

    split_on_failure: bool = True
    max_resubmissions: int = 3
    resubmit_delay: dt.timedelta = dt.timedelta(hours=1)
    max_running: int = 1


NO_REMEDIES = Remedies(split_on_failure=False, max_resubmissions=0, max_running=MAX_SLICES)
"""For the sensor, and for a task that does not wait: submit all jobs at once, and repeat none."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Submit the jobs of these slices now."""

    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing to submit yet. Poll the running jobs, and plan again not later than ``until``."""

    until: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Done:
    """Every slice is completed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of :func:`next_step`.

    :param export: the Export with the remedies applied.
    :param step: the next step.
    :param remedies: one sentence for each remedy.
    """

    export: Export
    step: Submit | Wait | Done
    remedies: tuple[str, ...] = ()


def next_step(export: Export, remedies: Remedies, now: dt.datetime) -> Plan:
    """Apply the remedies to failed jobs, and decide the next step.

    :raises SalesNavigatorExportFailedError: a job failed and no remedy is left.
    """
    slices: list[Slice] = []
    told: list[str] = []
    for part in export.slices:
        if has_failed(part.status):
            replacements = _remedied(export, part, remedies, now)
            told.append(_tell(part, replacements))
            slices += replacements
        else:
            slices.append(part)
    if len(slices) > MAX_SLICES:
        failed = next(part for part in export.slices if part.status in _TOO_LARGE)
        raise _failed(
            export,
            failed,
            f"It would need more than {MAX_SLICES} jobs. Choose a shorter time.",
            retryable=failed.status == JobStatus.TIMED_OUT,
        )
    export = replace(export, slices=tuple(slices))
    return Plan(export, what_is_due(export, remedies.max_running, now), tuple(told))


def what_is_due(export: Export, max_running: int, now: dt.datetime) -> Submit | Wait | Done:
    """Decide the next step of an export without failed jobs."""
    pending = [part for part in export.slices if part.job_id is None]
    if not pending:
        return Done() if export.is_completed else Wait(None)
    room = max_running - len(export.running)
    if room <= 0:
        return Wait(None)
    due = [part for part in pending if part.not_before is None or part.not_before <= now]
    if due:
        return Submit(tuple(due[:room]))
    return Wait(min(part.not_before for part in pending if part.not_before))


def _tell(part: Slice, replacements: tuple[Slice, ...]) -> str:
    how = "in two halves" if len(replacements) > 1 else "again"
    when = f", not before {to_text(replacements[0].not_before)}" if replacements[0].not_before else ""
    return f"Job {part.job_id} ended with {part.status}: submitting {how}{when}."


def submitted(part: Slice, job: ExportJob, now: dt.datetime) -> Slice:
    """Return the slice after its job was created."""
    created = replace(
        part,
        job_id=job.job_id,
        status=None,
        attempt=part.attempt + 1,
        not_before=None,
        submitted_at=now,
        processing_at=None,
    )
    return seen(created, job.status, now)


def seen(part: Slice, status: str, now: dt.datetime) -> Slice:
    """Return the slice after a poll found its job in this status."""
    processing_at = part.processing_at or (None if status == JobStatus.ENQUEUED else now)
    if (part.status, part.processing_at) == (status, processing_at):
        return part
    return replace(part, status=status, processing_at=processing_at)


def lost(part: Slice) -> Slice:
    """Return the slice for a new submission, because LinkedIn no longer has its job."""
    return replace(part, **_NO_JOB)


def without_failures(export: Export) -> Export:
    """Return the export for a retry: failed slices are submitted again, with all their attempts."""
    slices = (
        replace(part, **_NO_JOB, attempt=0) if has_failed(part.status) else part for part in export.slices
    )
    return replace(export, slices=tuple(slices))


def _remedied(export: Export, part: Slice, remedies: Remedies, now: dt.datetime) -> tuple[Slice, ...]:
    if remedies == NO_REMEDIES:
        # The sensor and the task that does not wait add their own advice.
        raise _failed(export, part, "")
    if part.status in _TOO_LARGE:
        return _halved(export, part, remedies)
    if part.status not in _RESUBMIT:
        raise _failed(export, part, "The documents name no remedy for this status.")
    if part.attempt > remedies.max_resubmissions:
        times = "once" if part.attempt == 1 else f"{part.attempt} times"
        raise _failed(export, part, f"It was submitted {times}. {_RESUBMIT[part.status]}")
    delay = remedies.resubmit_delay if part.status == JobStatus.DATA_DELAY else dt.timedelta(0)
    return (replace(part, **_NO_JOB, not_before=now + delay if delay else None),)


def _halved(export: Export, part: Slice, remedies: Remedies) -> tuple[Slice, ...]:
    whole_days = export.has_whole_days
    if not part.window:
        advice = "A CRM validation export has no window to halve. Choose a later start."
    elif not remedies.split_on_failure:
        advice = "Choose a shorter window, or leave split_on_failure on."
    elif halves := part.window.halves(whole_days=whole_days):
        return tuple(replace(Slice.of(half), is_half=True) for half in halves)
    else:
        advice = f"The window cannot be halved below one {'day' if whole_days else 'hour'}."
    raise _failed(export, part, advice, retryable=part.status == JobStatus.TIMED_OUT)


def _failed(
    export: Export, part: Slice, advice: str, *, retryable: bool = True
) -> SalesNavigatorExportFailedError:
    covers = part.window or f"from {to_text(part.start_at)}"
    what = f"The {export.title} failed: LinkedIn ended job {part.job_id} ({covers}) with {part.status}."
    return SalesNavigatorExportFailedError(
        f"{what} {advice}".rstrip(),
        status=str(part.status),
        job_id=part.job_id,
        retryable=retryable,
    )
