"""The state machine of one export: what to submit, poll, halve or submit again next.

Pure: every function takes the Export and ``now`` and returns what to do. The worker, the trigger and a
retry that re-attaches all ask the same question, :func:`next_step`, so they cannot disagree. Remedies are
those the status texts of "Sales Analytics Export Jobs" name.
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
    JobStatus.DATA_DELAY: "LinkedIn's data is late: retry later, or raise lag or resubmit_delay.",
    JobStatus.INTERNAL_ERROR: "LinkedIn failed inside: retry later.",
}
_NO_JOB: dict[str, Any] = dict.fromkeys(("job_id", "status", "submitted_at", "processing_at"))


@dataclass(frozen=True, slots=True)
class Remedies:
    """What to do about failed jobs, and how many jobs to have at LinkedIn at once.

    An export never submits more than ``(2 * 64 - 1) * (1 + max_resubmissions)`` jobs: halving makes a tree
    of at most 64 leaves, and each of its nodes is submitted at most ``1 + max_resubmissions`` times.

    :param split_on_failure: halve a window that was too large or took too long.
    :param max_resubmissions: how often one window is submitted again after a data delay or an internal error.
    :param resubmit_delay: wait before submitting again after a data delay.
    :param max_running: jobs of this export at LinkedIn at once, running or queued. LinkedIn runs one export
        of a contract at a time (its FAQ on Analytics Services), so a second one would only hold up others.
    """

    split_on_failure: bool = True
    max_resubmissions: int = 3
    resubmit_delay: dt.timedelta = dt.timedelta(hours=1)
    max_running: int = 1


NO_REMEDIES = Remedies(split_on_failure=False, max_resubmissions=0, max_running=MAX_SLICES)
"""For those who only wait, and for those who submit and do not wait: all at once, and nothing again."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Submit the jobs of these slices now."""

    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to submit yet: poll what runs, look again at ``until`` at the latest."""

    until: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Done:
    """Every slice is completed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What comes next.

    :param export: the Export after remedies.
    :param step: what to do with it.
    :param remedies: what was done about failed jobs, one sentence each.
    """

    export: Export
    step: Submit | Wait | Done
    remedies: tuple[str, ...] = ()


def next_step(export: Export, remedies: Remedies, now: dt.datetime) -> Plan:
    """Apply the remedies to what has failed and say what comes next.

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
            f"It would need more than {MAX_SLICES} jobs: ask for less time.",
            retryable=failed.status == JobStatus.TIMED_OUT,
        )
    export = replace(export, slices=tuple(slices))
    return Plan(export, what_is_due(export, remedies.max_running, now), tuple(told))


def what_is_due(export: Export, max_running: int, now: dt.datetime) -> Submit | Wait | Done:
    """What comes next for an export none of whose jobs has failed."""
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
    """The slice after its job was created."""
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
    """The slice after LinkedIn reported this status of its job."""
    processing_at = part.processing_at or (None if status == JobStatus.ENQUEUED else now)
    return replace(part, status=status, processing_at=processing_at)


def lost(part: Slice) -> Slice:
    """The slice after LinkedIn no longer knows its job, which has to be submitted again."""
    return replace(part, **_NO_JOB)


def without_failures(export: Export) -> Export:
    """The export for a retry: what failed is to be submitted again, with all its attempts."""
    slices = (
        replace(part, **_NO_JOB, attempt=0) if has_failed(part.status) else part for part in export.slices
    )
    return replace(export, slices=tuple(slices))


def _remedied(export: Export, part: Slice, remedies: Remedies, now: dt.datetime) -> tuple[Slice, ...]:
    if remedies == NO_REMEDIES:
        # Whoever applies none says what to do.
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
        advice = "A CRM validation export has no window to halve: ask for a later start."
    elif not remedies.split_on_failure:
        advice = "Ask for a shorter window, or leave split_on_failure on."
    elif halves := part.window.halves(whole_days=whole_days):
        return tuple(map(Slice.of, halves))
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
