"""What becomes of an export by hand and with this provider, until its job is done."""

from __future__ import annotations

from datetime import timedelta

from comparison_rows import row
from comparison_scenario import Both, nothing

from airflow_provider_snav.sandbox.faults import LoseAnswer, Reset, http_error, throttled
from airflow_provider_snav.sandbox.server import Sandbox

MILLISECOND = 1


@row(
    "LinkedIn takes half an hour",
    by_hand="each poll starts the task again; a sensor with a `response_check` does not defer",
    with_the_provider="deferred, holds no worker",
)
def test_a_long_wait_holds_no_worker(both: Both) -> None:
    by_hand, ours = both(lambda sandbox: sandbox.script_statuses(*["PROCESSING"] * 4, "COMPLETED"))
    assert by_hand.answered("status") == [200] * 5
    assert by_hand.run.log.count("starting task_id=wait") == 5
    assert "running trigger" not in by_hand.run.log
    assert len(ours.answered("status")) >= 5
    assert ours.run.log.count("starting task_id=export") == 1
    assert ours.run.log.count("running trigger") == 1


@row(
    "A poll is answered 503, another not at all",
    by_hand="continues after a 503 in its allow-list; a broken connection uses up one of the task's retries",
    with_the_provider="continues to poll until the deadline",
)
def test_polls_that_fail_cost_no_retry(both: Both) -> None:
    def arrange(sandbox: Sandbox) -> None:
        sandbox.fault("status", http_error(503))
        sandbox.fault("status", Reset())

    by_hand, ours = both(arrange)
    assert by_hand.answered("status") == [503, None, 200]
    assert by_hand.run.tries("wait") == 2
    assert ours.answered("status")[:3] == [503, None, 200]
    assert ours.run.tries("export") == 1
    assert [by_hand.run.state, ours.run.state] == ["success", "success"]


@row(
    "The access token has expired",
    by_hand="fails; every retry sends the same token",
    with_the_provider="renews it, if the connection has a refresh token, and continues",
)
def test_an_expired_token_is_renewed(both: Both) -> None:
    by_hand, ours = both(lambda sandbox: sandbox.revoke_token(sandbox.access_token))
    assert by_hand.run.state == "failed"
    assert by_hand.answered("create") == [401, 401, 401]
    assert ours.run.state == "success"
    assert ours.answered("create") == [401, 200]
    assert ours.run.tries("export") == 1


@row(
    "The calls of the day are used up (429)",
    by_hand="continues to poll",
    with_the_provider="fails at once, says when the budget resets; a later retry continues with the job",
)
def test_a_daily_limit_ends_the_wait(both: Both) -> None:
    by_hand, ours = both(lambda sandbox: sandbox.fault("status", throttled(daily=True), times=10))
    assert by_hand.answered("status") == [429] * 10 + [200]
    assert by_hand.run.tries("wait") == 1
    assert ours.run.state == "failed"
    assert len(ours.answered("status")) < 10
    assert "daily budget resets at" in ours.run.log
    assert "a later one continues this export" in ours.run.log
    assert len(ours.jobs) == 1


@row(
    "The answer to a submission is lost",
    by_hand="the retry submits again: two jobs",
    with_the_provider="sends it once more at most: two jobs; LinkedIn offers no key that would prevent it",
)
def test_a_lost_answer_costs_a_second_job(both: Both) -> None:
    for outcome in both(lambda sandbox: sandbox.fault("create", LoseAnswer())):
        assert outcome.run.state == "success"
        assert len(outcome.jobs) == 2


@row(
    "`FAILED_DUE_TO_DATA_DELAY`",
    by_hand="fails, until someone clears the run",
    with_the_provider="submits again after `resubmit_delay`",
)
def test_late_data_is_asked_for_again(both: Both) -> None:
    def late(sandbox: Sandbox) -> None:
        sandbox.script_statuses("FAILED_DUE_TO_DATA_DELAY")

    by_hand, ours = both(late, nothing)
    assert [run.state for run in by_hand.runs] == ["failed", "success"]
    assert len(by_hand.jobs) == 2
    assert [run.state for run in ours.runs] == ["success", "success"]
    assert [job.statuses_served[-1] for job in ours.jobs] == [
        "FAILED_DUE_TO_DATA_DELAY",
        "COMPLETED",
        "COMPLETED",
    ]


@row(
    "`FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR`",
    by_hand="fails; a cleared run requests the same interval again",
    with_the_provider="halves the window and continues",
)
def test_a_file_too_large_is_split(both: Both) -> None:
    def too_large(sandbox: Sandbox) -> None:
        sandbox.script_statuses("FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR")

    by_hand, ours = both(too_large, too_large)
    assert [run.state for run in by_hand.runs] == ["failed", "failed"]
    first, second = by_hand.jobs
    assert (first.start_at, first.end_at) == (second.start_at, second.end_at)
    assert ours.run.state == "success"
    whole, early, late = ours.jobs[-3:]
    assert (whole.start_at, whole.end_at) == (early.start_at, late.end_at)
    assert early.end_at + MILLISECOND == late.start_at


@row(
    "An interval of more than 90 days",
    by_hand="LinkedIn's 400, at every retry",
    with_the_provider="several jobs of one task",
)
def test_a_long_interval_becomes_several_jobs(both: Both) -> None:
    by_hand, ours = both(nothing, schedule="_half_yearly")
    assert by_hand.run.state == "failed"
    assert by_hand.answered("create") == [400, 400, 400]
    assert ours.run.state == "success"
    assert len(ours.landed) == len(ours.jobs) == 3


@row(
    "Airflow 3's plain `@daily`, an empty interval",
    by_hand="LinkedIn's 400, at every retry",
    with_the_provider="fails before any call, says how to fix it, is not retried",
)
def test_an_empty_interval_fails_before_any_call(both: Both) -> None:
    by_hand, ours = both(nothing, schedule="_plain_daily")
    assert by_hand.answered("create") == [400, 400, 400]
    assert ours.answers == []
    assert ours.run.tries("export") == 1
    assert "window=timedelta(days=1)" in ours.run.log


@row(
    "One interval follows another",
    by_hand="both contain the millisecond between them, and its rows",
    with_the_provider="they have no overlap and no gap",
)
def test_neighbouring_intervals_share_nothing(both: Both) -> None:
    by_hand, ours = both(nothing)
    day = timedelta(days=1) // timedelta(milliseconds=MILLISECOND)
    [job] = by_hand.jobs
    # LinkedIn's range is closed: its last millisecond is the first of the next.
    assert job.end_at == job.start_at + day
    [job] = ours.jobs
    assert job.end_at + MILLISECOND == job.start_at + day
