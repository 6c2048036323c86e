"""A crash costs nothing: what a task remembers, when it believes it, and when it begins anew."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from task_runs import (
    START,
    UNTIL,
    Killed,
    Store,
    UnreachableStore,
    context_of,
    deferred,
    exporting,
    on_worker,
    still_queued,
)

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.errors import (
    SalesNavigatorConnectionError,
    SalesNavigatorError,
    SalesNavigatorExportFailedError,
    SalesNavigatorExportTimeoutError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.api.windows import oldest_start
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.exports.plan import Remedies
from airflow_provider_snav.exports.polling import PollReport
from airflow_provider_snav.sandbox.faults import (
    Answer,
    LoseAnswer,
    gateway_error,
    html_page,
    http_error,
    throttled,
)
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.tasks.task_state import STATE_KEY

pytestmark = pytest.mark.usefixtures("impatient")

# Seats, of which the sandbox has the fewest rows.
DAYS_200 = {"start_at": UNTIL - dt.timedelta(days=200), "export_type": "seat"}
TOO_LARGE = "FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR"
INTERNAL_ERROR = "FAILED_DUE_TO_INTERNAL_ERROR"
DATA_DELAY = "FAILED_DUE_TO_DATA_DELAY"


def job_ids(export: Any) -> list[int]:
    return [part["job_id"] for part in export["slices"]]


@pytest.fixture(params=[on_worker, deferred], ids=["worker", "deferred"])
def path(request: pytest.FixtureRequest) -> Any:
    """One try, either way."""

    def run(make: Any, store: Store | None = None, **run: Any) -> Any:
        def task() -> Any:
            made = make()
            made.deferrable = request.param is deferred
            return made

        return request.param(task, store, **run)

    return run


def test_every_submission_is_remembered_before_the_next_call_is_made(snav_sandbox: Sandbox) -> None:
    asked: list[int] = []

    class Watching(Store):
        def set(self, key: str, value: Any, **options: Any) -> None:
            super().set(key, value, **options)
            asked.append(len(snav_sandbox.requests))

    store = Watching()
    on_worker(exporting(**DAYS_200, wait_for_completion=False), store)
    known = [sum(part["job_id"] is not None for part in each["export"]["slices"]) for each in store.written]
    assert known[:3] == [1, 2, 3]
    assert asked[:3] == [1, 2, 3]
    assert store.export.job_ids == [job.job_id for job in snav_sandbox.created_jobs]


def test_the_state_is_written_before_the_task_defers(snav_sandbox: Sandbox) -> None:
    store = Store()
    with pytest.raises(TaskDeferred) as deferral:
        exporting(deferrable=True)().execute(context_of(None, store))
    assert store.get(STATE_KEY)["export"] == deferral.value.trigger.serialize()[1]["export"]


@pytest.mark.parametrize("crash_after", range(1, 9))
def test_a_crash_after_any_write_costs_no_job(snav_sandbox: Sandbox, path: Any, crash_after: int) -> None:
    # Three windows of which the second is halved: five jobs, and more writes than are tried here.
    for status in ("COMPLETED", TOO_LARGE, "COMPLETED"):
        snav_sandbox.script_statuses(status)
    store = Store(crash_after)
    with pytest.raises(Killed):
        path(exporting(**DAYS_200), store)
    export = path(exporting(**DAYS_200), store)
    assert len(snav_sandbox.created_jobs) == 5
    assert {part["status"] for part in export["slices"]} == {"COMPLETED"}
    assert len(job_ids(export)) == 4


def test_a_retry_of_a_finished_export_uses_its_jobs_again(snav_sandbox: Sandbox, path: Any) -> None:
    store = Store()
    first = path(exporting(), store)
    assert path(exporting(), store) == first
    assert len(snav_sandbox.created_jobs) == 1


def test_clearing_a_finished_export_exports_anew(snav_sandbox: Sandbox, path: Any) -> None:
    store = Store()
    first = path(exporting(), store)
    # What clearing does: the tries start over, on top of those there were.
    second = path(exporting(), store, max_tries=1)
    assert job_ids(first) != job_ids(second)
    assert len(snav_sandbox.created_jobs) == 2


def test_clearing_after_the_retries_were_lowered_exports_anew(snav_sandbox: Sandbox, path: Any) -> None:
    store = Store()
    path(exporting(retries=2), store, max_tries=2)
    # The first try is over, and one retry may follow the second.
    path(exporting(retries=1), store, max_tries=2)
    assert len(snav_sandbox.created_jobs) == 2


def test_clearing_an_unfinished_export_takes_it_up(snav_sandbox: Sandbox, path: Any) -> None:
    store = Store(crash_after=1)
    with pytest.raises(Killed):
        path(exporting(), store)
    path(exporting(), store, max_tries=1)
    assert len(snav_sandbox.created_jobs) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"contract": 234567},
        {"export_type": "seat"},
        {"start_at": START - dt.timedelta(days=1)},
        {"end_at": UNTIL + dt.timedelta(days=1)},
    ],
    ids=["contract", "type", "start", "end"],
)
def test_an_export_of_something_else_never_meets_these_jobs(
    snav_sandbox: Sandbox, path: Any, other: dict[str, Any]
) -> None:
    store = Store()
    first = path(exporting(), store)
    second = path(exporting(**other), store)
    assert job_ids(first) != job_ids(second)


def test_settings_of_the_wait_may_change_between_tries(snav_sandbox: Sandbox, path: Any) -> None:
    store = Store(crash_after=1)
    with pytest.raises(Killed):
        path(exporting(), store)
    path(exporting(timeout=dt.timedelta(minutes=1), max_resubmissions=9, poll_interval=0.03), store)
    assert len(snav_sandbox.created_jobs) == 1


@pytest.mark.parametrize("garbage", ["a text", 7, [], {}], ids=["text", "number", "list", "empty"])
def test_a_state_that_cannot_be_read_submits_nothing(snav_sandbox: Sandbox, path: Any, garbage: Any) -> None:
    store = Store()
    store.set(STATE_KEY, garbage)
    with pytest.raises(SalesNavigatorError, match=r"cannot be read.*Delete that task state.*Nothing was"):
        path(exporting(), store)
    assert snav_sandbox.requests == []


@pytest.mark.parametrize("missing", ["export", "epoch"])
def test_a_state_that_lost_a_part_submits_nothing(snav_sandbox: Sandbox, path: Any, missing: str) -> None:
    store = Store()
    path(exporting(), store)
    state = store.get(STATE_KEY)
    del state[missing]
    store.set(STATE_KEY, state)
    with pytest.raises(SalesNavigatorError, match="cannot be read"):
        path(exporting(), store)
    assert len(snav_sandbox.created_jobs) == 1


def test_a_store_that_cannot_be_asked_submits_nothing(snav_sandbox: Sandbox, path: Any) -> None:
    with pytest.raises(
        SalesNavigatorError, match=r"could not be read.*submitted\. A retry starts from the beginning"
    ):
        path(exporting(), UnreachableStore())
    assert snav_sandbox.requests == []


class ReadOnlyStore(Store):
    def set(self, key: str, value: Any, **_: Any) -> None:
        raise ConnectionError("the API server does not answer")


def test_a_job_that_could_not_be_remembered_is_named_and_no_resumption_promised(
    snav_sandbox: Sandbox, path: Any
) -> None:
    with pytest.raises(SalesNavigatorError) as raised:
        path(exporting(), ReadOnlyStore())
    [job] = snav_sandbox.created_jobs
    assert "could not be written (ConnectionError)" in str(raised.value)
    assert f"LinkedIn continues job {job.job_id}" in str(raised.value)
    assert "A retry submits the whole export again." in str(raised.value)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (html_page(404), "not an answer of Sales Navigator"),
        (gateway_error(404), "not an answer of Sales Navigator"),
        (gateway_error(410, "no such route"), "not an answer of Sales Navigator"),
        (http_error(404), "was submitted minutes ago"),
        (still_queued(8), "LinkedIn answered with job 8"),
    ],
    ids=["a page", "empty", "a proxy's JSON", "just submitted", "another job"],
)
def test_what_does_not_prove_that_a_job_is_gone_submits_nothing(
    snav_sandbox: Sandbox, path: Any, fault: Answer, says: str
) -> None:
    store = Store(crash_after=1)
    with pytest.raises(Killed):
        path(exporting(), store)
    snav_sandbox.fault("status", fault, times=2)
    with pytest.raises(SalesNavigatorServerError, match=says):
        path(exporting(), store)
    path(exporting(), store)
    assert len(snav_sandbox.created_jobs) == 1


def test_a_job_whose_answer_was_lost_is_not_denied(snav_sandbox: Sandbox, path: Any) -> None:
    snav_sandbox.fault("create", LoseAnswer(), times=None)
    with pytest.raises(SalesNavigatorConnectionError) as raised:
        path(exporting(), Store())
    assert len(snav_sandbox.created_jobs) == 2
    assert "LinkedIn may have created up to 2 jobs whose answers were lost" in str(raised.value)
    assert "No job was created" not in str(raised.value)


def test_an_export_that_has_grown_too_old_to_submit_is_taken_up_all_the_same(
    snav_sandbox: Sandbox, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = dt.datetime.now(dt.UTC)
    start = oldest_start(present) + dt.timedelta(minutes=1)
    question = {"start_at": start, "end_at": start + dt.timedelta(days=1)}
    store = Store(crash_after=1)
    with pytest.raises(Killed):
        path(exporting(**question), store)
    later = present + dt.timedelta(minutes=2)
    monkeypatch.setattr("airflow_provider_snav.operators.sales_navigator.now", lambda: later)
    path(exporting(**question), store)
    assert len(snav_sandbox.created_jobs) == 1


def test_a_job_that_cannot_be_looked_up_is_not_submitted_again(snav_sandbox: Sandbox, path: Any) -> None:
    store = Store(crash_after=1)
    with pytest.raises(Killed):
        path(exporting(), store)
    snav_sandbox.fault("status", http_error(503), times=2)
    with pytest.raises(SalesNavigatorServerError, match="LinkedIn continues job"):
        path(exporting(), store)
    path(exporting(), store)
    assert len(snav_sandbox.created_jobs) == 1


def test_a_job_linkedin_no_longer_knows_is_submitted_again(snav_sandbox: Sandbox, path: Any) -> None:
    store = Store(crash_after=1)
    with pytest.raises(Killed):
        path(exporting(), store)
    snav_sandbox.advance(dt.timedelta(days=8))
    export = path(exporting(), store)
    assert job_ids(export) == [snav_sandbox.created_jobs[-1].job_id]
    assert len(snav_sandbox.created_jobs) == 2


def test_a_finished_job_that_expired_before_the_retry_is_submitted_again(snav_sandbox: Sandbox) -> None:
    store = Store()
    on_worker(exporting(), store)
    snav_sandbox.advance(dt.timedelta(days=8))
    export = on_worker(exporting(), store)
    assert job_ids(export) == [snav_sandbox.created_jobs[-1].job_id]


def test_a_retry_submits_the_part_that_failed_and_keeps_those_that_did_not(
    snav_sandbox: Sandbox, path: Any
) -> None:
    for status in ("COMPLETED", INTERNAL_ERROR, "COMPLETED"):
        snav_sandbox.script_statuses(status)
    store = Store()
    make = exporting(**DAYS_200, max_resubmissions=0)
    with pytest.raises(SalesNavigatorExportFailedError, match="submits only the missing jobs"):
        path(make, store)
    export = path(make, store)
    first, failed, again, third = (job.job_id for job in snav_sandbox.created_jobs)
    assert job_ids(export) == [first, again, third]
    assert failed not in job_ids(export)


def test_a_retry_has_all_resubmissions_again(snav_sandbox: Sandbox, path: Any) -> None:
    snav_sandbox.script_statuses(INTERNAL_ERROR, jobs=3)
    store = Store()
    make = exporting(max_resubmissions=1)
    with pytest.raises(SalesNavigatorExportFailedError):
        path(make, store)
    path(make, store)
    assert len(snav_sandbox.created_jobs) == 4


def test_a_retry_after_a_timeout_waits_for_the_same_job_with_a_fresh_deadline(
    snav_sandbox: Sandbox, path: Any
) -> None:
    snav_sandbox.settings.speed = 1
    store = Store()
    make = exporting(timeout=dt.timedelta(seconds=1))
    with pytest.raises(SalesNavigatorExportTimeoutError, match="A retry continues this export"):
        path(make, store)
    snav_sandbox.settings.speed = 12_000
    path(make, store)
    assert len(snav_sandbox.created_jobs) == 1


def test_the_wait_ends_a_timeout_after_its_try_began_however_often_it_is_resumed(
    snav_sandbox: Sandbox,
) -> None:
    snav_sandbox.script_statuses("PROCESSING")
    make = exporting(deferrable=True, timeout=dt.timedelta(hours=5))
    earliest = now().timestamp() + 5 * 3600
    with pytest.raises(TaskDeferred) as first:
        make().execute(context_of(None, Store()))
    trigger = first.value.trigger
    assert earliest <= trigger.deadline <= now().timestamp() + 5 * 3600
    woken = PollReport(Export.from_json(trigger.export), dt.datetime.fromtimestamp(trigger.deadline, dt.UTC))
    with pytest.raises(TaskDeferred) as second:
        make().execute_complete(context_of(None, Store()), woken.to_event())
    assert second.value.trigger.deadline == pytest.approx(trigger.deadline, abs=0.001)


@pytest.mark.parametrize(
    ("arguments", "store"), [({"durable": False}, Store()), ({}, None)], ids=["not durable", "older Airflow"]
)
def test_without_a_memory_each_try_submits_and_its_error_says_so(
    snav_sandbox: Sandbox, path: Any, arguments: dict[str, Any], store: Store | None
) -> None:
    snav_sandbox.script_statuses(INTERNAL_ERROR)
    make = exporting(max_resubmissions=0, **arguments)
    with pytest.raises(SalesNavigatorExportFailedError, match="A retry submits the whole export again"):
        path(make, store)
    path(make, store)
    assert len(snav_sandbox.created_jobs) == 2
    assert not (store and store.written)


def test_a_lost_answer_does_not_hide_the_jobs_that_run(snav_sandbox: Sandbox, path: Any) -> None:
    snav_sandbox.fault("create", still_queued(7))
    snav_sandbox.fault("create", LoseAnswer(), times=None)
    with pytest.raises(SalesNavigatorConnectionError) as raised:
        path(exporting(**DAYS_200, wait_for_completion=False), Store())
    for part in ("may have created up to 2 jobs whose answers were lost", "LinkedIn continues job 7"):
        assert part in str(raised.value)


def test_all_of_an_export_nobody_waits_for_is_submitted_at_once(snav_sandbox: Sandbox) -> None:
    start = UNTIL - dt.timedelta(days=700)
    export = on_worker(exporting(wait_for_completion=False, start_at=start, export_type="seat"))
    assert job_ids(export) == [job.job_id for job in snav_sandbox.created_jobs]
    assert len(job_ids(export)) > Remedies().max_running


def test_clearing_an_export_nobody_waited_for_exports_anew(snav_sandbox: Sandbox) -> None:
    store = Store()
    first = on_worker(exporting(wait_for_completion=False), store)
    second = on_worker(exporting(wait_for_completion=False), store, max_tries=1)
    assert [job_ids(first), job_ids(second)] == [[job.job_id] for job in snav_sandbox.created_jobs]


def test_an_export_nobody_waits_for_is_remembered_too(snav_sandbox: Sandbox) -> None:
    snav_sandbox.script_statuses("PROCESSING")
    store = Store()
    first, second = (on_worker(exporting(wait_for_completion=False), store) for _ in range(2))
    assert job_ids(first) == job_ids(second) == [job.job_id for job in snav_sandbox.created_jobs]
    assert second["slices"][0]["status"] == "PROCESSING"


class StaleStore(Store):
    """What Airflow does with the writes of a try that is over: it refuses them from the ``over_at``-th on."""

    def __init__(self, over_at: int) -> None:
        super().__init__()
        self.over_at = over_at

    def set(self, key: str, value: Any, **options: Any) -> None:
        if len(self.written) >= self.over_at:
            raise ConnectionError("404: the task instance has another try")
        super().set(key, value, **options)


def test_a_try_that_is_over_submits_nothing_after_its_next_wait(snav_sandbox: Sandbox, path: Any) -> None:
    store = StaleStore(over_at=2)
    with pytest.raises(
        SalesNavigatorError, match="Either Airflow has ended this try, or its API server"
    ) as raised:
        path(exporting(**DAYS_200), store)
    [job] = snav_sandbox.created_jobs
    assert f"A retry continues the stored jobs ({job.job_id})" in str(raised.value)
    store.over_at = 99
    path(exporting(**DAYS_200), store)
    assert len(snav_sandbox.created_jobs) == 3


def test_a_try_that_is_over_does_not_send_a_creation_again(snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("create", throttled(retry_after=0))
    with pytest.raises(SalesNavigatorError, match="could not be written"):
        on_worker(exporting(), StaleStore(over_at=0))
    assert not snav_sandbox.created_jobs


def test_a_job_that_could_not_be_stored_is_named_and_so_is_what_was_stored_before(
    snav_sandbox: Sandbox,
) -> None:
    class Watching(StaleStore):
        def set(self, key: str, value: Any, **options: Any) -> None:
            if len(snav_sandbox.created_jobs) == 2:
                self.over_at = 0
            super().set(key, value, **options)

    with pytest.raises(SalesNavigatorError) as raised:
        on_worker(exporting(**DAYS_200), Watching(over_at=99))
    first, second = (job.job_id for job in snav_sandbox.created_jobs)
    assert f"LinkedIn continues job {second}" in str(raised.value)
    assert f"A retry continues the stored jobs ({first}) and submits the rest" in str(raised.value)


@pytest.mark.parametrize("status", [DATA_DELAY, INTERNAL_ERROR])
def test_a_crash_while_a_failed_job_waits_to_be_submitted_again_forgets_neither_the_wait_nor_the_count(
    snav_sandbox: Sandbox, path: Any, status: str
) -> None:
    snav_sandbox.script_statuses(status)
    store = Store(crash_after=3)
    with pytest.raises(Killed):
        path(exporting(resubmit_delay=0.2), store)
    [waiting] = store.export.slices
    assert (waiting.job_id, waiting.attempt, waiting.not_before is not None) == (
        None,
        1,
        status == DATA_DELAY,
    )
    path(exporting(resubmit_delay=0.2), store)
    assert len(snav_sandbox.created_jobs) == 2
    [again] = store.export.slices
    assert again.attempt == 2
    assert again.submitted_at
    assert again.submitted_at >= (waiting.not_before or START)


def test_a_job_that_failed_was_created_whatever_is_still_to_be_submitted(
    snav_sandbox: Sandbox, path: Any
) -> None:
    snav_sandbox.script_statuses(DATA_DELAY)
    with pytest.raises(SalesNavigatorExportTimeoutError) as raised:
        path(exporting(resubmit_delay=3600, timeout=1), Store())
    assert "No job is running. A retry continues this export" in str(raised.value)


@pytest.mark.parametrize("half", ["cannot be submitted", "fails"])
def test_the_halves_of_a_window_outlive_a_try_in_which_one_of_them(
    snav_sandbox: Sandbox, path: Any, half: str
) -> None:
    class Refusing(Store):
        def set(self, key: str, value: Any, **options: Any) -> None:
            super().set(key, value, **options)
            if half == "cannot be submitted" and len(self.export.slices) == 2:
                snav_sandbox.fault("create", http_error(503), times=None)

    snav_sandbox.script_statuses(TOO_LARGE)
    if half == "fails":
        snav_sandbox.script_statuses(INTERNAL_ERROR)
    two_days = exporting(start_at=UNTIL - dt.timedelta(days=2), export_type="seat", max_resubmissions=0)
    store = Refusing()
    with pytest.raises(SalesNavigatorError) as raised:
        path(two_days, store)
    assert "No job was created" not in str(raised.value)
    assert "A retry continues this export and submits only the missing jobs." in str(raised.value)
    failed = len(snav_sandbox.created_jobs)
    snav_sandbox.clear_faults()
    half = "is submitted"
    assert [part["status"] for part in path(two_days, store)["slices"]] == ["COMPLETED"] * 2
    assert len(snav_sandbox.created_jobs) == failed + 2


def test_a_404_for_a_submission_does_not_deny_the_jobs_that_run(snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("create", still_queued(7))
    snav_sandbox.fault("create", http_error(404))
    with pytest.raises(AirflowFailException) as raised:
        on_worker(exporting(**DAYS_200, wait_for_completion=False), Store())
    assert "LinkedIn continues job 7" in str(raised.value)
    assert "no longer has" not in str(raised.value)
