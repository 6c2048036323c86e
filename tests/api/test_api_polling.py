"""Waiting: quick at first, slower later, patient with blips, and over at the deadline."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import pytest
from api_script import changed
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_snav.api import errors
from airflow_provider_snav.api.messages import Sleep, drive
from airflow_provider_snav.api.models import ExportJob, ExportType, JobStatus
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.exports.plan import NO_REMEDIES, Remedies
from airflow_provider_snav.exports.polling import (
    Outcome,
    Poll,
    PollReport,
    PollSchedule,
    PollStep,
    Tell,
    describe,
    timed_out,
    wait,
)

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
SCHEDULE = PollSchedule(10, 60)
DOWN = errors.SalesNavigatorServerError("Could not ask (HTTP 503).", status_code=503)
NO_LINE = errors.SalesNavigatorConnectionError("Could not ask: timed out.")


def export_of(*statuses: str | None) -> Export:
    """Days, whose jobs 100, 101, ... have these statuses; None is not submitted."""
    return Export(
        ExportKind.ANALYTICS,
        "urn:li:contract:1",
        ExportType.ACTIVITY,
        tuple(
            Slice(
                NOW - (index + 2) * DAY,
                NOW - (index + 1) * DAY,
                job_id=100 + index if status else None,
                status=status,
            )
            for index, status in enumerate(statuses)
        ),
    )


@dataclass
class Waited:
    """What a wait did."""

    report: Any = None
    now: dt.datetime = NOW
    pauses: list[float] = field(default_factory=list)
    polled: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def play(
    export: Export,
    results: Iterable[str | errors.SalesNavigatorError],
    *,
    timeout: dt.timedelta = HOUR,
    remedies: Remedies | None = None,
    random: Callable[[], float] = lambda: 0.0,
) -> Waited:
    """Wait with a clock that only pauses move; each poll takes the next result, a status or an error."""
    waited, script = Waited(), iter(results)

    def perform(step: PollStep) -> ExportJob | None:
        match step:
            case Sleep(seconds):
                assert seconds >= 0
                waited.pauses.append(seconds)
                waited.now += dt.timedelta(seconds=seconds)
            case Tell(sentence):
                waited.told.append(sentence)
            case Poll(part):
                assert part.job_id is not None
                waited.polled.append(part.job_id - 100)
                result = next(script)
                if not isinstance(result, str):
                    raise result
                return ExportJob(part.job_id, result, request_id=f"id-{len(waited.polled)}")
        return None

    limit = (remedies or Remedies()).max_running
    waited.report = drive(wait(export, limit, SCHEDULE, NOW + timeout, lambda: waited.now, random), perform)
    return waited


def limited(retry_after: float | None = None, *, daily: bool = False) -> errors.SalesNavigatorRateLimitError:
    return errors.SalesNavigatorRateLimitError("Slow down.", retry_after=retry_after, daily=daily)


# --- the schedule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "processing", "enqueued"),
    [(0, 20, 20), (1, 39, 50), (5, 63, 170), (30, 126, 300), (120, 232, 300), (600, 300, 300)],
)
def test_pauses_grow_with_the_square_root_of_the_time_and_faster_in_the_queue(
    minutes: int, processing: int, enqueued: int
) -> None:
    schedule = PollSchedule(20, 300)
    assert schedule.pause(minutes * 60, 0) == pytest.approx(processing, abs=1)
    assert schedule.pause(minutes * 60, 0, enqueued=True) == pytest.approx(enqueued, abs=1)


@given(
    first=st.floats(0.01, 1000),
    longest=st.floats(0.01, 10_000),
    waited=st.floats(0, 10**9),
    jitter=st.floats(0, 1),
    enqueued=st.booleans(),
)
def test_jitter_takes_off_a_fifth_at_most_and_adds_nothing_to_the_cap(
    first: float, longest: float, waited: float, jitter: float, enqueued: bool
) -> None:
    schedule = PollSchedule(first, longest)
    full = schedule.pause(waited, 0, enqueued=enqueued)
    assert 0.8 * full * 0.999 <= schedule.pause(waited, jitter, enqueued=enqueued) <= full <= longest
    assert schedule.pause(waited + 1, 0, enqueued=enqueued) >= full


# --- LinkedIn's queue -------------------------------------------------------------------------------------


def test_pauses_begin_anew_when_linkedin_begins_to_process_the_job_and_only_then() -> None:
    statuses = ["ENQUEUED", "ENQUEUED", "PROCESSING", "PROCESSING", "ENQUEUED", "PROCESSING", "COMPLETED"]
    waited = play(export_of("ENQUEUED"), statuses)
    assert waited.pauses == pytest.approx([10, 15, 22.5, 10, 15.6, 18.96, 21.82], abs=0.01)


@pytest.mark.parametrize(
    ("statuses", "results", "polled"),
    [
        pytest.param(
            ["ENQUEUED"] * 3,
            ["ENQUEUED", "PROCESSING", "COMPLETED", "PROCESSING", "COMPLETED", "COMPLETED"],
            [0, 0, 0, 1, 1, 2],
            id="the first of the queue alone",
        ),
        pytest.param(
            ["PROCESSING"] * 3,
            ["PROCESSING", "COMPLETED", "PROCESSING", "COMPLETED", "COMPLETED"],
            [0, 1, 2, 0, 2],
            id="all that run side by side",
        ),
        pytest.param(
            ["ENQUEUED", "WARMING_UP", "ENQUEUED"],
            ["ENQUEUED", "COMPLETED", "COMPLETED", "COMPLETED"],
            [0, 1, 0, 2],
            id="a status nobody knows is no queue",
        ),
        pytest.param(
            ["ENQUEUED"] * 3, ["COMPLETED"] * 3, [0, 1, 2], id="what is complete already, in the same round"
        ),
    ],
)
def test_of_several_jobs_those_that_wait_behind_another_are_not_polled(
    statuses: list[str], results: list[str], polled: list[int]
) -> None:
    waited = play(export_of(*statuses), results, remedies=NO_REMEDIES)
    assert waited.polled == polled
    assert waited.report.export.is_completed


def test_the_job_submitted_first_is_the_first_of_the_queue() -> None:
    export = changed(export_of("ENQUEUED", "ENQUEUED"), 0, submitted_at=NOW)
    export = changed(export, 1, submitted_at=NOW - HOUR)
    assert play(export, ["COMPLETED", "COMPLETED"], remedies=NO_REMEDIES).polled == [1, 0]


def test_the_log_says_once_that_a_job_waits_for_its_turn_and_how_long_it_took() -> None:
    export = changed(export_of("ENQUEUED"), 0, submitted_at=NOW)
    waited = play(export, ["ENQUEUED", "ENQUEUED", "PROCESSING", "COMPLETED"])
    assert waited.told == [
        "Job 100 waits for its turn: LinkedIn runs one export of a contract at a time.",
        "Job 100: PROCESSING",
        "Job 100: COMPLETED",
    ]
    assert waited.report.notes == ("Job 100 was queued for 0:00:48 and processed for 0:00:10.",)


@pytest.mark.parametrize(
    ("status", "processing_at", "took"),
    [
        ("ENQUEUED", None, "queued and processed in 0:00:10."),
        # The documents know no queue for CRM validation: such a job begins as PROCESSING.
        ("PROCESSING", NOW, "processed for 0:00:10."),
    ],
)
def test_a_time_that_was_not_seen_is_not_told(
    status: str, processing_at: dt.datetime | None, took: str
) -> None:
    export = changed(export_of(status), 0, submitted_at=NOW, processing_at=processing_at)
    assert play(export, [JobStatus.TIMED_OUT]).report.notes == (f"Job 100 was {took}",)


# --- how a wait ends --------------------------------------------------------------------------------------


def test_a_wait_ends_when_all_jobs_are_completed() -> None:
    waited = play(export_of("ENQUEUED", "ENQUEUED"), ["PROCESSING", "COMPLETED", "COMPLETED"])
    assert waited.report.outcome is Outcome.READY
    assert waited.report.export.is_completed
    assert waited.polled == [0, 0, 1]
    assert waited.pauses == [10, 10]
    assert (waited.report.polls, waited.report.failed_polls) == (3, 0)


@pytest.mark.parametrize(
    "export",
    [
        pytest.param(export_of("COMPLETED"), id="completed"),
        pytest.param(export_of("ENQUEUED", JobStatus.DATA_DELAY), id="failed"),
        pytest.param(export_of("COMPLETED", None), id="to-be-submitted"),
    ],
)
def test_a_wait_with_nothing_to_wait_for_ends_at_once(export: Export) -> None:
    waited = play(export, [])
    assert waited.report == PollReport(export, NOW + HOUR)
    assert not waited.pauses


@pytest.mark.parametrize(
    "status", [*(s for s in map(str, JobStatus) if s.startswith("FAILED")), "FAILED_SOMEHOW"]
)
def test_a_failed_job_ends_the_wait_after_its_round(status: str) -> None:
    """The worker decides on remedies; it gets the latest news of the other jobs with it."""
    waited = play(export_of("ENQUEUED", "ENQUEUED"), [status, "PROCESSING"])
    assert waited.report.outcome is Outcome.READY
    assert [part.status for part in waited.report.export.slices] == [status, "PROCESSING"]
    assert [part.job_id for part in waited.report.export.slices] == [100, 101]


def test_a_wait_ends_when_there_is_room_for_the_next_job() -> None:
    waited = play(export_of("ENQUEUED", None), ["PROCESSING", "COMPLETED"], remedies=Remedies(max_running=1))
    assert waited.report.outcome is Outcome.READY
    assert not waited.report.export.is_completed


def test_a_wait_ends_when_a_delayed_job_may_be_submitted_again() -> None:
    due = NOW + dt.timedelta(seconds=25)
    export = changed(export_of("ENQUEUED", None), 1, not_before=due)
    waited = play(export, repeat("PROCESSING"), remedies=Remedies(max_running=2))
    assert waited.report.outcome is Outcome.READY
    assert waited.now == due
    assert waited.pauses == [10, 10, 5]


def test_a_wait_for_late_data_alone_polls_nothing() -> None:
    due = NOW + dt.timedelta(minutes=30)
    waited = play(changed(export_of(None), 0, not_before=due), [])
    assert waited.report.outcome is Outcome.READY
    assert waited.now == due
    assert waited.polled == []


def test_an_unknown_status_is_polled_on_until_the_deadline() -> None:
    waited = play(export_of("ENQUEUED"), repeat("ARCHIVED"))
    assert waited.report.outcome is Outcome.TIMEOUT
    assert waited.report.export.slices[0].status == "ARCHIVED"
    assert waited.now == NOW + HOUR


@given(timeout=st.integers(1, 100_000), jitters=st.lists(st.floats(0, 1), min_size=1, max_size=5))
@example(timeout=10, jitters=[0.0])
def test_the_deadline_is_met_to_the_moment_and_after_a_last_poll(timeout: int, jitters: list[float]) -> None:
    seconds = dt.timedelta(seconds=timeout)
    values = iter(jitters * 10_000)
    waited = play(export_of("ENQUEUED"), repeat("PROCESSING"), timeout=seconds, random=lambda: next(values))
    assert waited.report.outcome is Outcome.TIMEOUT
    assert abs(waited.now - (NOW + seconds)) < dt.timedelta(milliseconds=1)
    assert len(waited.polled) == len(waited.pauses)
    assert max(waited.pauses) <= SCHEDULE.longest


def test_what_the_last_poll_finds_counts() -> None:
    waited = play(export_of("ENQUEUED"), ["COMPLETED"], timeout=dt.timedelta(seconds=5))
    assert waited.report.outcome is Outcome.READY
    assert waited.pauses == [5]


@pytest.mark.parametrize("status", ["COMPLETED", "PROCESSING"])
def test_a_deadline_that_passed_while_the_triggerer_was_down_still_gets_one_poll(status: str) -> None:
    waited = play(export_of("ENQUEUED"), [status], timeout=-HOUR)
    assert waited.report.outcome is (Outcome.READY if status == "COMPLETED" else Outcome.TIMEOUT)
    assert waited.polled == [0]
    assert waited.pauses == [0]


# --- failed polls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [DOWN, NO_LINE, limited()], ids=lambda problem: type(problem).__name__)
def test_failed_polls_are_tolerated_however_many_in_a_row(problem: errors.SalesNavigatorError) -> None:
    waited = play(export_of("ENQUEUED"), [*[problem] * 50, "PROCESSING", problem, "COMPLETED"])
    assert waited.report.outcome is Outcome.READY
    assert (waited.report.polls, waited.report.failed_polls) == (2, 51)
    assert waited.report.last_problem == str(problem)


def test_failed_polls_are_tolerated_up_to_the_deadline() -> None:
    waited = play(export_of("ENQUEUED"), repeat(DOWN))
    assert waited.report.outcome is Outcome.TIMEOUT
    assert waited.now == NOW + HOUR


def test_a_poll_that_fails_for_one_job_does_not_keep_the_others_waiting() -> None:
    waited = play(export_of("PROCESSING", "PROCESSING"), [DOWN, "COMPLETED", "COMPLETED"])
    assert waited.polled == [0, 1, 0]
    assert waited.report.export.is_completed


@pytest.mark.parametrize(
    "problem",
    [
        errors.SalesNavigatorAuthenticationError("No", status_code=401),
        errors.SalesNavigatorPermissionError("No", status_code=403),
        errors.SalesNavigatorNotFoundError("No", status_code=404),
        errors.SalesNavigatorBadRequestError("No", status_code=400),
        errors.SalesNavigatorCredentialError("No"),
        limited(43200, daily=True),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_poll_that_fails_for_good_ends_the_wait(problem: errors.SalesNavigatorError) -> None:
    waited = play(export_of("PROCESSING", "PROCESSING"), ["PROCESSING", problem])
    assert waited.report.outcome is Outcome.POLL_FAILED
    assert waited.report.last_problem == str(problem)
    assert waited.report.failed_polls == 1
    assert waited.report.export.slices[0].status == "PROCESSING"


def test_retry_after_is_waited_for_once() -> None:
    waited = play(export_of("ENQUEUED"), [limited(300), "PROCESSING", "COMPLETED"])
    assert waited.pauses == [10, 300, 10]


def test_the_longest_retry_after_of_a_round_counts() -> None:
    waited = play(export_of(*["PROCESSING"] * 3), [limited(300), limited(200), DOWN, *["COMPLETED"] * 3])
    assert waited.pauses == [10, 300]


def test_a_short_retry_after_does_not_quicken_the_polls() -> None:
    assert play(export_of("ENQUEUED"), [limited(1), "COMPLETED"]).pauses == [10, 15]


def test_a_retry_after_beyond_the_deadline_is_cut_there() -> None:
    waited = play(export_of("ENQUEUED"), [limited(86400), "COMPLETED"])
    assert waited.pauses == [10, 3590]
    assert waited.report.outcome is Outcome.READY


def test_a_sensor_waits_for_all_jobs_of_an_export() -> None:
    export = export_of(*["ENQUEUED"] * 64)
    assert play(export, ["COMPLETED"] * 64, remedies=NO_REMEDIES).report.export.is_completed


# --- the event --------------------------------------------------------------------------------------------

_reports = st.builds(
    PollReport,
    export=st.lists(st.sampled_from([None, "ENQUEUED", "COMPLETED", "ARCHIVED"]), min_size=1, max_size=3).map(
        lambda statuses: export_of(*statuses)
    ),
    deadline=st.integers(0, 10**9).map(lambda ms: NOW + dt.timedelta(milliseconds=ms)),
    outcome=st.sampled_from(Outcome),
    polls=st.integers(0),
    failed_polls=st.integers(0),
    last_problem=st.none() | st.text(),
    request_ids=st.lists(st.text(), max_size=5).map(tuple),
    warnings=st.lists(st.text(), max_size=2).map(tuple),
    notes=st.lists(st.text(), max_size=2).map(tuple),
)


@given(report=_reports)
def test_an_event_is_plain_json_and_carries_everything(report: PollReport) -> None:
    event = report.to_event()
    assert json.loads(json.dumps(event)) == event
    assert PollReport.from_event(event) == report


GOOD: dict[str, Any] = PollReport(export_of("ENQUEUED"), NOW).to_event()


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="none"),
        pytest.param({}, id="empty"),
        pytest.param("ready", id="text"),
        pytest.param(7, id="number"),
        pytest.param([GOOD], id="list"),
        pytest.param({"status": "ready"}, id="status-alone"),
        pytest.param({**GOOD, "status": "success"}, id="another-status"),
        pytest.param({**GOOD, "status": None}, id="no-status"),
        pytest.param({**GOOD, "export": {}}, id="no-export"),
        pytest.param({**GOOD, "deadline": "soon"}, id="no-deadline"),
        pytest.param({**GOOD, "request_ids": None}, id="no-ids"),
        *(
            pytest.param({key: value for key, value in GOOD.items() if key != name}, id=f"without-{name}")
            for name in GOOD
            if name not in ("warnings", "notes")  # an event stored before there were any is still good
        ),
    ],
)
def test_an_event_that_cannot_be_read_is_an_error_and_never_a_success(event: Any) -> None:
    with pytest.raises(errors.SalesNavigatorError, match="the state of the export is unknown") as refused:
        PollReport.from_event(event)
    assert type(refused.value) is errors.SalesNavigatorError
    assert refused.value.retryable


def test_the_post_mortem_tells_the_polls_the_last_ids_and_the_last_problem() -> None:
    report = play(export_of("ENQUEUED"), [*["PROCESSING"] * 6, DOWN, "COMPLETED"]).report
    assert report.post_mortem() == (
        "7 polls, 1 failed; last request ids: id-3, id-4, id-5, id-6, id-8; last problem: Could not ask"
        " (HTTP 503)."
    )
    assert PollReport(export_of("ENQUEUED"), NOW).post_mortem() == "0 polls, 0 failed; last request ids: none"


def test_a_crm_export_that_begins_later_than_asked_is_warned_about_once_it_is_complete() -> None:
    crm = Export(
        ExportKind.CRM_VALIDATION, "urn:li:crmInstance:(A,b)", None, (Slice(NOW - 60 * DAY, job_id=7),)
    )
    report = PollReport(crm, NOW)
    later = NOW - 30 * DAY
    report.seen(report.export.slices[0], ExportJob(7, "PROCESSING", export_start_at=later), NOW)
    report.seen(report.export.slices[0], ExportJob(7, "COMPLETED", export_start_at=NOW - 60 * DAY), NOW)
    report.seen(report.export.slices[0], ExportJob(7, "COMPLETED"), NOW)
    assert report.warnings == ()
    report.seen(report.export.slices[0], ExportJob(7, "COMPLETED", export_start_at=later), NOW)
    (warning,) = report.warnings
    assert "from 2026-05-16T12:00:00.000Z, later than the requested 2026-04-16T12:00:00.000Z" in warning


def test_a_timeout_names_the_export_and_what_it_still_waits_for() -> None:
    assert str(timed_out(export_of("COMPLETED", "PROCESSING"), 6 * HOUR)) == (
        "The activity export of urn:li:contract:1 was not complete after timeout=6:00:00: still waiting for"
        " 2026-06-12T12:00:00.000Z to 2026-06-13T12:00:00.000Z (job 101, PROCESSING)."
    )


def test_a_timeout_in_the_queue_says_so_for_analytics_alone() -> None:
    part = Slice(NOW - DAY, job_id=7, status="ENQUEUED")
    crm = Export(ExportKind.CRM_VALIDATION, "urn:li:crmInstance:(A,b)", None, (part,))
    assert "one export of a contract at a time" not in str(timed_out(crm, HOUR))
    assert "one export of a contract at a time" in str(timed_out(export_of("ENQUEUED"), HOUR))


def test_a_poll_is_described_without_its_url() -> None:
    job = ExportJob(7, "COMPLETED", ("https://www.linkedin.com/ambry/?x=AQ",), NOW, 3999)
    assert describe(job) == "Job 7: COMPLETED, 3999 rows, file available until 2026-06-15T12:00:00.000Z"
    assert describe(ExportJob(7, "ENQUEUED")) == "Job 7: ENQUEUED"
