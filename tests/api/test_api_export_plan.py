"""Whatever LinkedIn reports, an export covers exactly what was asked, stays bounded, and ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count, cycle, pairwise

import pytest
from api_script import changed
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_snav.api.errors import SalesNavigatorExportFailedError
from airflow_provider_snav.api.models import ExportJob, ExportType, JobStatus, has_failed
from airflow_provider_snav.api.windows import (
    MILLISECOND,
    SHORTEST,
    Window,
    from_ms,
    oldest_start,
    split,
    to_ms,
)
from airflow_provider_snav.exports.export import MAX_SLICES, Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.exports.plan import (
    NO_REMEDIES,
    Done,
    Plan,
    Remedies,
    Submit,
    Wait,
    lost,
    next_step,
    seen,
    submitted,
)

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
START = NOW - 30 * DAY
REMEDIES = Remedies()


def export_of(start_at: dt.datetime, until: dt.datetime) -> Export:
    return Export(
        ExportKind.ANALYTICS,
        "urn:li:contract:1",
        ExportType.ACTIVITY,
        tuple(map(Slice.of, split(start_at, until))),
    )


def one(status: str | None, length: dt.timedelta = DAY, attempt: int = 1) -> Export:
    """An export of one slice, whose job 7 has this status."""
    export = export_of(START, START + length)
    return changed(export, 0, job_id=7, status=status, attempt=attempt)


def many(*statuses: str | None) -> Export:
    """An export of days, whose jobs 100, 101, ... have these statuses; None is not submitted."""
    days = [Window.half_open(START + day * DAY, START + (day + 1) * DAY) for day in range(len(statuses))]
    return Export(
        ExportKind.ANALYTICS,
        "urn:li:contract:1",
        ExportType.ACTIVITY,
        tuple(
            Slice(day.start_at, day.end_at, job_id=100 + index if status else None, status=status, attempt=1)
            for index, (day, status) in enumerate(zip(days, statuses, strict=True))
        ),
    )


def assert_covers(export: Export, start_at: dt.datetime, until: dt.datetime) -> None:
    """Exactly the interval: no gap, no overlap but the shared millisecond of one-hour windows."""
    windows = [part.window for part in export.slices if part.window]
    assert len(windows) == len(export.slices) <= MAX_SLICES
    assert (windows[0].start_at, windows[-1].until) == (start_at, until)
    for earlier, later in pairwise(windows):
        overlap = earlier.end_at - later.start_at
        assert overlap == (dt.timedelta(0) if earlier.shares_end else -MILLISECOND)
    for window in windows:
        window.check(NOW)
        assert window.shares_end == (window.until - window.start_at == SHORTEST)


@dataclass
class Lived:
    """How an export went."""

    export: Export
    submissions: int
    attempts: dict[tuple[dt.datetime, dt.datetime], int]
    failed: SalesNavigatorExportFailedError | None


def submits(plan: Plan) -> list[int]:
    """The positions of the slices to submit now."""
    assert isinstance(plan.step, Submit)
    return [plan.export.slices.index(part) for part in plan.step.slices]


def live(start_at: dt.datetime, until: dt.datetime, remedies: Remedies, statuses: Iterable[str]) -> Lived:
    """Run an export to its end against a LinkedIn that reports these statuses, poll by poll."""
    export, now, jobs, reported = export_of(start_at, until), NOW, count(1), iter(statuses)
    lived = Lived(export, 0, {}, None)
    while True:
        try:
            plan = next_step(export, remedies, now)
        except SalesNavigatorExportFailedError as error:
            lived.failed = error
            return lived
        lived.export = export = plan.export
        assert_covers(export, start_at, until)
        assert Export.from_json(export.to_json()) == export
        match plan.step:
            case Done():
                assert export.is_completed
                return lived
            case Submit(slices):
                assert slices
                for part in slices:
                    assert part.job_id is None
                    assert part.not_before is None or part.not_before <= now
                    assert part.end_at
                    key = (part.start_at, part.end_at)
                    lived.attempts[key] = lived.attempts.get(key, 0) + 1
                    lived.submissions += 1
                    created = submitted(part, ExportJob(next(jobs), JobStatus.ENQUEUED), now)
                    export = export.with_slice(part, created)
                assert len(export.running) <= remedies.max_running
            case Wait(moment):
                running = export.running
                assert running or moment, "nothing runs and nothing will: this would wait for ever"
                now = moment if moment and not running else now + dt.timedelta(minutes=1)
                for part in running:
                    export = export.with_slice(part, replace(part, status=next(reported)))


ANY_STATUS = [*map(str, JobStatus), "ARCHIVED", "FAILED_DUE_TO_BAD_WEATHER"]
# Without the two that end everything at once, so that long lives are tried.
CURABLE = [status for status in ANY_STATUS if status != "FAILED_DUE_TO_BAD_WEATHER"]
_hours = st.integers(1, 2 * 365 * 24 - 1)
_remedies = st.builds(
    Remedies,
    split_on_failure=st.booleans(),
    max_resubmissions=st.integers(0, 4),
    resubmit_delay=st.sampled_from([dt.timedelta(0), HOUR]),
    max_running=st.integers(1, 64),
)


def _ends(statuses: list[str]) -> bool:
    return any(status == JobStatus.COMPLETED or has_failed(status) for status in statuses)


@given(
    start=st.integers(to_ms(oldest_start(NOW)), to_ms(NOW - HOUR)),
    length=st.integers(3_600_000, 2 * 366 * 86_400_000),
    remedies=_remedies,
    statuses=st.lists(st.sampled_from(ANY_STATUS), min_size=1, max_size=30).filter(_ends)
    | st.lists(st.sampled_from(CURABLE), min_size=1, max_size=30).filter(_ends),
)
@example(
    start=to_ms(START),
    length=90 * 86_400_000,
    remedies=Remedies(max_running=64),
    statuses=[JobStatus.EXCEEDED_FILE_SIZE],
)
@example(
    start=to_ms(oldest_start(NOW)),
    length=2 * 365 * 86_400_000,
    remedies=Remedies(max_running=1),
    statuses=[JobStatus.TIMED_OUT, JobStatus.COMPLETED, JobStatus.INTERNAL_ERROR, JobStatus.DATA_DELAY],
)
def test_whatever_linkedin_reports_an_export_covers_what_was_asked_stays_bounded_and_ends(
    start: int, length: int, remedies: Remedies, statuses: list[str]
) -> None:
    start_at, until = from_ms(start), from_ms(min(start + length, to_ms(NOW)))
    lived = live(start_at, until, remedies, cycle(statuses))
    assert_covers(lived.export, start_at, until)
    assert lived.submissions <= (2 * MAX_SLICES - 1) * (1 + remedies.max_resubmissions)
    assert max(lived.attempts.values()) <= 1 + remedies.max_resubmissions
    assert lived.failed or lived.export.is_completed


@given(hours=_hours, max_running=st.integers(1, 5))
def test_an_export_whose_jobs_complete_submits_each_window_once(hours: int, max_running: int) -> None:
    until = oldest_start(NOW) + hours * HOUR
    lived = live(oldest_start(NOW), until, Remedies(max_running=max_running), cycle([JobStatus.COMPLETED]))
    assert not lived.failed
    assert lived.submissions == len(split(oldest_start(NOW), until)) == len(lived.export.slices)


def test_an_interval_that_is_too_large_everywhere_is_halved_down_to_the_hour_then_fails() -> None:
    lived = live(START, START + 16 * HOUR, Remedies(max_running=1), cycle([JobStatus.EXCEEDED_FILE_SIZE]))
    assert lived.failed
    assert "The window cannot be halved below one hour." in str(lived.failed)
    assert lived.submissions == 5  # 16, 8, 4, 2 hours and one
    assert lived.export.slices[0].window == Window(START, START + HOUR, shares_end=True)


def test_an_export_is_not_halved_into_more_than_64_slices() -> None:
    statuses = [JobStatus.EXCEEDED_FILE_SIZE] * 63 + [JobStatus.EXCEEDED_FILE_SIZE]
    lived = live(START, START + 20 * DAY, Remedies(max_running=64), cycle(statuses))
    assert lived.failed
    assert "It would need more than 64 jobs. Choose a shorter time." in str(lived.failed)
    assert not lived.failed.retryable
    assert len(lived.export.slices) == 64


def test_the_error_about_64_slices_names_a_job_that_was_too_large() -> None:
    export = many(*[JobStatus.DATA_DELAY] * 63, JobStatus.TIMED_OUT)
    with pytest.raises(SalesNavigatorExportFailedError) as failed:
        next_step(export, REMEDIES, NOW)
    assert (failed.value.job_id, failed.value.status) == (163, "FAILED_DUE_TO_TIMED_OUT")
    assert failed.value.retryable


# --- one example a status ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["ENQUEUED", "PROCESSING", "ARCHIVED", ""])
def test_a_job_that_is_on_its_way_or_in_an_unknown_status_is_waited_for(status: str) -> None:
    export = one(status)
    assert next_step(export, REMEDIES, NOW) == Plan(export, Wait(None))


def test_a_completed_job_is_done() -> None:
    export = one(JobStatus.COMPLETED)
    assert next_step(export, REMEDIES, NOW) == Plan(export, Done())


@pytest.mark.parametrize("status", [JobStatus.EXCEEDED_FILE_SIZE, JobStatus.TIMED_OUT])
def test_a_window_that_was_too_large_is_halved_and_its_halves_are_submitted(status: JobStatus) -> None:
    plan = next_step(one(status, attempt=3), REMEDIES, NOW)
    assert plan.export.slices == (
        Slice(START, START + 12 * HOUR - MILLISECOND, is_half=True),
        Slice(START + 12 * HOUR, START + DAY - MILLISECOND, is_half=True),
    )
    assert plan.export.has_begun
    assert submits(plan) == [0]
    assert plan.remedies == (f"Job 7 ended with {status}: submitting in two halves.",)


def test_two_hours_are_halved_into_hours_that_share_a_millisecond() -> None:
    plan = next_step(one(JobStatus.TIMED_OUT, 2 * HOUR), REMEDIES, NOW)
    assert plan.export.slices == (
        Slice(START, START + HOUR, shares_end=True, is_half=True),
        Slice(START + HOUR, START + 2 * HOUR, shares_end=True, is_half=True),
    )


@pytest.mark.parametrize(
    ("status", "retryable"), [(JobStatus.EXCEEDED_FILE_SIZE, False), (JobStatus.TIMED_OUT, True)]
)
def test_below_two_hours_there_is_nothing_left_to_halve(status: JobStatus, retryable: bool) -> None:
    with pytest.raises(SalesNavigatorExportFailedError) as failed:
        next_step(one(status, 2 * HOUR - MILLISECOND), REMEDIES, NOW)
    assert str(failed.value) == (
        "The activity export of urn:li:contract:1 failed: LinkedIn ended job 7 (2026-05-16T12:00:00.000Z to"
        f" 2026-05-16T13:59:59.998Z) with {status}. The window cannot be halved below one hour."
    )
    assert (failed.value.status, failed.value.job_id, failed.value.retryable) == (status, 7, retryable)


def test_seats_are_halved_between_days_and_no_further_than_a_day() -> None:
    midnight = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    seats = replace(export_of(midnight, midnight + 2 * DAY), export_type=ExportType.SEAT)
    failed = changed(seats, 0, job_id=7, status=JobStatus.EXCEEDED_FILE_SIZE, attempt=1)
    halved = next_step(failed, REMEDIES, NOW).export
    assert [part.start_at for part in halved.slices] == [midnight, midnight + DAY]
    with pytest.raises(SalesNavigatorExportFailedError, match="cannot be halved below one day"):
        next_step(changed(halved, 1, job_id=8, status=JobStatus.EXCEEDED_FILE_SIZE, attempt=1), REMEDIES, NOW)


def test_halving_can_be_switched_off_and_the_error_says_so() -> None:
    with pytest.raises(SalesNavigatorExportFailedError, match="or leave split_on_failure on"):
        next_step(one(JobStatus.TIMED_OUT), Remedies(split_on_failure=False), NOW)


def test_after_a_data_delay_the_same_window_is_submitted_again_later() -> None:
    later = NOW + HOUR
    plan = next_step(one(JobStatus.DATA_DELAY), REMEDIES, NOW)
    assert plan.step == Wait(later)
    assert plan.export.slices == (Slice(START, START + DAY - MILLISECOND, attempt=1, not_before=later),)
    assert plan.remedies == (
        "Job 7 ended with FAILED_DUE_TO_DATA_DELAY: submitting again, not before 2026-06-15T13:00:00.000Z.",
    )
    assert next_step(plan.export, REMEDIES, later - MILLISECOND).step == Wait(later)
    assert submits(next_step(plan.export, REMEDIES, later)) == [0]


def test_after_an_internal_error_the_same_window_is_submitted_again_at_once() -> None:
    plan = next_step(one(JobStatus.INTERNAL_ERROR), REMEDIES, NOW)
    assert submits(plan) == [0]
    assert plan.export.slices == (Slice(START, START + DAY - MILLISECOND, attempt=1),)
    assert plan.remedies == ("Job 7 ended with FAILED_DUE_TO_INTERNAL_ERROR: submitting again.",)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (JobStatus.DATA_DELAY, "LinkedIn's data is late. Retry later, or raise lag or resubmit_delay."),
        (JobStatus.INTERNAL_ERROR, "LinkedIn had an internal error. Retry later."),
    ],
)
def test_submitting_again_is_bounded_and_a_later_retry_may_help(status: JobStatus, advice: str) -> None:
    lived = live(START, START + DAY, Remedies(max_resubmissions=3), cycle([status]))
    assert lived.failed
    assert lived.submissions == 4
    assert str(lived.failed).endswith(f"with {status}. It was submitted 4 times. {advice}")
    assert lived.failed.retryable


def test_halves_may_be_submitted_again_as_often_as_any_window() -> None:
    statuses = [
        JobStatus.INTERNAL_ERROR,
        JobStatus.TIMED_OUT,
        *[JobStatus.INTERNAL_ERROR] * 2,
        JobStatus.COMPLETED,
    ]
    lived = live(
        START,
        START + DAY,
        Remedies(max_resubmissions=1, max_running=2),
        iter([*statuses, JobStatus.COMPLETED]),
    )
    assert not lived.failed
    assert sorted(lived.attempts.values()) == [2, 2, 2]


@pytest.mark.parametrize("status", ["FAILED", "FAILED_DUE_TO_BAD_WEATHER"])
def test_an_unknown_failure_has_no_remedy(status: str) -> None:
    with pytest.raises(SalesNavigatorExportFailedError, match=f"with {status}. The documents name no remedy"):
        next_step(one(status), REMEDIES, NOW)


@pytest.mark.parametrize("status", [status for status in JobStatus if has_failed(status)])
def test_without_remedies_every_failure_is_final(status: JobStatus) -> None:
    with pytest.raises(SalesNavigatorExportFailedError, match=status):
        next_step(one(status), NO_REMEDIES, NOW)


# --- one at a time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "index"),
    [
        ((None, None, None), 0),
        (("COMPLETED", None, None), 1),
        (("ENQUEUED", None), None),
        (("COMPLETED", "ARCHIVED", None), None),
        # 0.1.0 had three jobs at LinkedIn at once.
        (("ENQUEUED", "PROCESSING", "ENQUEUED", None), None),
    ],
)
def test_an_export_has_one_job_at_linkedin_at_a_time(
    statuses: tuple[str | None, ...], index: int | None
) -> None:
    export = many(*statuses)
    expected = Wait(None) if index is None else Submit((export.slices[index],))
    assert next_step(export, REMEDIES, NOW).step == expected


def test_what_is_not_waited_for_is_submitted_at_once() -> None:
    assert submits(next_step(many(None, "ENQUEUED", None), NO_REMEDIES, NOW)) == [0, 2]


def test_what_waits_for_late_data_does_not_hold_up_the_rest() -> None:
    plan = next_step(many(JobStatus.DATA_DELAY, None), REMEDIES, NOW)
    assert submits(plan) == [1]
    part = plan.export.slices[1]
    created = submitted(part, ExportJob(7, "ENQUEUED"), NOW)
    export = plan.export.with_slice(part, created)
    assert next_step(export, REMEDIES, NOW).step == Wait(None)
    export = export.with_slice(created, seen(created, "COMPLETED", NOW))
    assert next_step(export, REMEDIES, NOW).step == Wait(NOW + HOUR)


def test_what_is_due_again_and_has_no_room_is_no_reason_to_wake_up() -> None:
    """A moment that has passed would turn the wait into a busy loop."""
    export = changed(many("ENQUEUED", None), 1, not_before=NOW - HOUR)
    assert next_step(export, Remedies(max_running=1), NOW).step == Wait(None)


def test_one_failure_without_a_remedy_fails_the_export_whatever_else_runs() -> None:
    with pytest.raises(SalesNavigatorExportFailedError) as failed:
        next_step(many("COMPLETED", "ENQUEUED", "FAILED_SOMEHOW", JobStatus.TIMED_OUT), REMEDIES, NOW)
    assert failed.value.job_id == 102


def test_several_failures_are_remedied_in_one_step_and_the_completed_are_kept() -> None:
    export = many("COMPLETED", JobStatus.TIMED_OUT, JobStatus.INTERNAL_ERROR, "COMPLETED")
    plan = next_step(export, REMEDIES, NOW)
    assert [part.job_id for part in plan.export.slices] == [100, None, None, None, 103]
    assert submits(plan) == [1]
    assert len(plan.remedies) == 2


def test_a_submitted_job_counts_as_an_attempt_and_forgets_what_it_waited_for() -> None:
    export = changed(export_of(START, START + DAY), 0, attempt=1, not_before=NOW)
    assert submitted(export.slices[0], ExportJob(9, "ENQUEUED"), NOW) == Slice(
        START, START + DAY - MILLISECOND, job_id=9, status="ENQUEUED", attempt=2, submitted_at=NOW
    )


def test_a_job_linkedin_no_longer_knows_is_submitted_again() -> None:
    export = many(None, "COMPLETED")
    gone = lost(submitted(export.slices[0], ExportJob(7, "ENQUEUED"), NOW))
    assert gone.submitted_at is None
    export = export.with_slice(export.slices[0], gone)
    assert submits(next_step(export, REMEDIES, NOW)) == [0]


def test_a_crm_export_is_never_halved() -> None:
    crm = Export(
        ExportKind.CRM_VALIDATION,
        "urn:li:crmInstance:(A,b)",
        None,
        (Slice(START, job_id=7, status=JobStatus.TIMED_OUT, attempt=1),),
    )
    with pytest.raises(
        SalesNavigatorExportFailedError,
        match=r"job 7 \(from 2026-05-16T12:00:00.000Z\).*no window to halve",
    ):
        next_step(crm, REMEDIES, NOW)
    internal = changed(crm, 0, status=JobStatus.INTERNAL_ERROR)
    assert submits(next_step(internal, REMEDIES, NOW)) == [0]
