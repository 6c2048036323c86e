"""The sensor waits for what others submitted, applies no remedy, and is a sensor in all else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from task_runs import MAPPED, START, UNTIL, context_of, deferred, exporting, on_worker, still_queued

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorRateLimitError
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.exports.polling import PollReport
from airflow_provider_snav.sandbox.faults import (
    Reset,
    garbage_json,
    gateway_error,
    html_page,
    http_error,
    throttled,
)
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

pytestmark = pytest.mark.usefixtures("impatient")

Path = Callable[..., Any]


@pytest.fixture(params=["worker", "deferred"])
def sense(request: pytest.FixtureRequest) -> Path:
    """Run the sensor one way or the other."""

    def run(export: Mapping[str, Any], **arguments: Any) -> Any:
        def make() -> SalesNavigatorExportSensor:
            given = {"task_id": "wait", "export": export, "poke_interval": 0.02, "timeout": 60}
            return SalesNavigatorExportSensor(
                **given | {"deferrable": request.param == "deferred"} | arguments
            )

        return (deferred if request.param == "deferred" else on_worker)(make)

    return run


def submitted(sandbox: Sandbox, *statuses: str, **arguments: Any) -> Any:
    """What an export operator that does not wait returns; each job then answers these."""
    if statuses:
        sandbox.script_statuses(*statuses, jobs=3)
    return on_worker(exporting(wait_for_completion=False, **arguments))


def test_the_finished_export_is_returned_and_can_be_landed(
    snav_sandbox: Sandbox, sense: Path, tmp_path: Any
) -> None:
    finished = sense(submitted(snav_sandbox, "ENQUEUED", "PROCESSING", "COMPLETED"))
    assert [part["status"] for part in finished["slices"]] == ["COMPLETED"]
    transfer = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=finished, destination=tmp_path.as_uri()
    )
    [landed] = transfer.execute(context_of(transfer))
    [job] = snav_sandbox.created_jobs
    assert landed["rows"] == snav_sandbox.files(job.job_id)[0].rows


def test_every_job_of_a_long_export_is_waited_for(snav_sandbox: Sandbox, sense: Path) -> None:
    export = submitted(
        snav_sandbox, "PROCESSING", "COMPLETED", start_at=UNTIL - dt.timedelta(days=200), export_type="seat"
    )
    assert [part["status"] for part in sense(export)["slices"]] == ["COMPLETED"] * 3
    assert len(snav_sandbox.created_jobs) == 3


def test_the_log_says_once_that_a_job_waits_for_its_turn_and_how_long_it_took(
    snav_sandbox: Sandbox, sense: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sense(submitted(snav_sandbox, "ENQUEUED", "ENQUEUED", "PROCESSING", "COMPLETED"))
    logged = "".join(capsys.readouterr())
    assert logged.count("waits for its turn") == logged.count("was queued for") == 1


def test_jobs_behind_another_in_the_queue_are_not_polled(snav_sandbox: Sandbox, sense: Path) -> None:
    snav_sandbox.script_statuses("ENQUEUED", "PROCESSING", "PROCESSING", "COMPLETED")
    snav_sandbox.script_statuses("PROCESSING", "COMPLETED")
    snav_sandbox.script_statuses("COMPLETED")
    sense(submitted(snav_sandbox, start_at=UNTIL - dt.timedelta(days=200), export_type="seat"))
    assert [len(job.statuses_served) for job in snav_sandbox.created_jobs] == [4, 2, 1]


def test_what_is_complete_already_does_not_defer(snav_sandbox: Sandbox) -> None:
    export = submitted(snav_sandbox, "COMPLETED")
    sensor = SalesNavigatorExportSensor(task_id="wait", export=export, deferrable=True)
    finished = sensor.execute(context_of(sensor))
    assert [part["status"] for part in finished["slices"]] == ["COMPLETED"]


def test_what_is_not_complete_defers_at_once(snav_sandbox: Sandbox) -> None:
    export = submitted(snav_sandbox, "PROCESSING")
    sensor = SalesNavigatorExportSensor(task_id="wait", export=export, deferrable=True)
    with pytest.raises(TaskDeferred):
        sensor.execute(context_of(sensor))
    assert len(snav_sandbox.requests) == 2


def test_a_deferred_sensor_waits_until_its_timeout_however_often_it_is_resumed(snav_sandbox: Sandbox) -> None:
    export = submitted(snav_sandbox, "PROCESSING")

    def trigger_of(method: str, *event: Any) -> Any:
        sensor = SalesNavigatorExportSensor(task_id="wait", export=export, deferrable=True, timeout=5 * 3600)
        with pytest.raises(TaskDeferred) as deferral:
            getattr(sensor, method)(context_of(sensor), *event)
        return deferral.value.trigger

    earliest = now().timestamp() + 5 * 3600
    deadline = trigger_of("execute").deadline
    assert earliest <= deadline <= now().timestamp() + 5 * 3600
    woken = PollReport(Export.from_json(export), dt.datetime.fromtimestamp(deadline, dt.UTC))
    assert trigger_of("execute_complete", woken.to_event()).deadline == pytest.approx(deadline, abs=0.001)


@pytest.mark.parametrize(
    ("poke_interval", "exponential_backoff", "first", "longest"),
    [(30, True, 30, 600), (30, False, 30, 30), (0, False, 0.1, 0.1), (900, True, 900, 900)],
    ids=["with backoff", "without", "no pause at all", "slower than max_wait"],
)
def test_deferred_polls_are_paced_by_the_arguments_every_sensor_has(
    snav_sandbox: Sandbox, poke_interval: float, exponential_backoff: bool, first: float, longest: float
) -> None:
    sensor = SalesNavigatorExportSensor(
        task_id="wait",
        export=submitted(snav_sandbox, "PROCESSING"),
        deferrable=True,
        poke_interval=poke_interval,
        max_wait=dt.timedelta(minutes=10),
        exponential_backoff=exponential_backoff,
    )
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute(context_of(sensor))
    trigger: Any = deferral.value.trigger
    assert (trigger.poll_interval, trigger.max_poll_interval) == (first, longest)


def test_in_reschedule_mode_a_poke_frees_the_worker(snav_sandbox: Sandbox) -> None:
    export = submitted(snav_sandbox, "PROCESSING", "COMPLETED")

    def poke() -> Any:
        sensor = SalesNavigatorExportSensor(task_id="wait", export=export, mode="reschedule")
        context = context_of(sensor)
        context["ti"].get_first_reschedule_date = lambda _: dt.datetime.now(dt.UTC)
        return sensor.execute(context)

    with pytest.raises(AirflowRescheduleException):
        poke()
    assert [part["status"] for part in poke()["slices"]] == ["COMPLETED"]


@pytest.mark.parametrize("before", [(), ("PROCESSING",)], ids=["at once", "later"])
@pytest.mark.parametrize(
    "status",
    [
        "FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR",
        "FAILED_DUE_TO_TIMED_OUT",
        "FAILED_DUE_TO_DATA_DELAY",
        "FAILED_DUE_TO_INTERNAL_ERROR",
        "FAILED_DUE_TO_SUNSPOTS",
    ],
)
def test_a_failed_job_is_not_retried_and_its_error_names_who_has_remedies(
    snav_sandbox: Sandbox, sense: Path, before: tuple[str, ...], status: str
) -> None:
    export = submitted(snav_sandbox, *before, status)
    with pytest.raises(AirflowFailException) as failure:
        sense(export)
    message = str(failure.value)
    [job] = snav_sandbox.created_jobs
    for part in (status, f"job {job.job_id}", "Clear the export task", "wait_for_completion=True"):
        assert part in message


def test_an_export_with_jobs_yet_to_be_submitted_is_refused(snav_sandbox: Sandbox, sense: Path) -> None:
    export = submitted(snav_sandbox)
    export["slices"].append(export["slices"][0] | {"job_id": None, "status": None})
    with pytest.raises(
        AirflowFailException, match="jobs of this Export are not submitted, and a sensor does not submit jobs"
    ):
        sense(export)


def test_what_is_no_export_is_refused_without_a_word_about_jobs(snav_sandbox: Sandbox, sense: Path) -> None:
    message = r"not an Export.* Nothing was sent to LinkedIn"
    with pytest.raises(AirflowFailException, match=message) as refused:
        sense(None, **MAPPED)
    assert "jobs continue" not in str(refused.value)


def test_a_job_linkedin_no_longer_knows_wants_the_export_cleared(snav_sandbox: Sandbox, sense: Path) -> None:
    export = submitted(snav_sandbox)
    snav_sandbox.advance(dt.timedelta(days=8))
    with pytest.raises(AirflowFailException, match=r"no longer has the job.*Clear the export task"):
        sense(export)


@pytest.mark.parametrize("before", [(), ("PROCESSING",)], ids=["at once", "later"])
@pytest.mark.parametrize("lenience", ["soft_fail", "never_fail"])
def test_a_lenient_sensor_skips_when_a_job_failed(
    snav_sandbox: Sandbox, sense: Path, before: tuple[str, ...], lenience: str
) -> None:
    export = submitted(snav_sandbox, *before, "FAILED_DUE_TO_INTERNAL_ERROR")
    with pytest.raises(AirflowSkipException):
        sense(export, **{lenience: True})


@pytest.mark.parametrize("times", [None, 2], ids=["at once", "later"])
def test_a_sensor_that_never_fails_skips_when_the_calls_of_the_day_are_used_up(
    snav_sandbox: Sandbox, sense: Path, times: int | None
) -> None:
    export = submitted(snav_sandbox, "PROCESSING")
    if times:
        snav_sandbox.fault("status", http_error(503), times=times)
    snav_sandbox.fault("status", throttled(daily=True), times=None)
    with pytest.raises(AirflowSkipException):
        sense(export, never_fail=True)


@pytest.mark.parametrize("soft_fail", [False, True])
def test_what_passes_tomorrow_is_left_to_a_retry_of_the_task(
    snav_sandbox: Sandbox, sense: Path, soft_fail: bool
) -> None:
    export = submitted(snav_sandbox, "PROCESSING")
    snav_sandbox.fault("status", throttled(daily=True), times=None)
    with pytest.raises(SalesNavigatorRateLimitError, match="A retry waits for them again"):
        sense(export, soft_fail=soft_fail)


def test_a_wait_whose_polls_failed_says_so_when_the_time_is_up(snav_sandbox: Sandbox) -> None:
    export = submitted(snav_sandbox)
    snav_sandbox.fault("status", http_error(503), times=None)
    make = partial(SalesNavigatorExportSensor, task_id="wait", export=export, deferrable=True)
    with pytest.raises(AirflowSensorTimeout, match="HTTP 503"):
        deferred(partial(make, poke_interval=0.02, timeout=0.2))


def test_the_time_is_up(snav_sandbox: Sandbox, sense: Path) -> None:
    export = submitted(snav_sandbox, "PROCESSING")
    with pytest.raises(AirflowSensorTimeout):
        sense(export, timeout=0.2)


def test_a_soft_sensor_skips_when_the_time_is_up(snav_sandbox: Sandbox, sense: Path) -> None:
    export = submitted(snav_sandbox, "PROCESSING")
    with pytest.raises(AirflowSkipException):
        sense(export, timeout=0.2, soft_fail=True)


def test_a_connection_that_is_not_found_is_told_at_once_and_retried(
    snav_sandbox: Sandbox, sense: Path
) -> None:
    export = submitted(snav_sandbox, "PROCESSING")
    with pytest.raises(SalesNavigatorConfigurationError, match=r"no connection 'nowhere'.*A retry waits"):
        sense(export, snav_conn_id="nowhere")


def test_failed_polls_that_pass_by_themselves_are_waited_out(snav_sandbox: Sandbox, sense: Path) -> None:
    export = submitted(snav_sandbox, "COMPLETED")
    passing = (
        *(http_error(503), garbage_json(), html_page(), Reset(), html_page(200), http_error(500)),
        *(html_page(403), gateway_error(404), gateway_error(401, "Unauthorized"), http_error(423)),
        *(http_error(404), still_queued(8)),  # a job just submitted is not gone; another job's status
    )
    for fault in passing:
        snav_sandbox.fault("status", fault)
    assert sense(export)["slices"][0]["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (http_error(401, service_error_code=65600), "Put a new one into the connection's password"),
        (http_error(403), "administrator role"),
        (http_error(404), "HTTP 404"),
    ],
    ids=["401", "403", "404"],
)
def test_what_no_waiting_mends_ends_the_wait_for_good(
    snav_sandbox: Sandbox, sense: Path, fault: Any, says: str
) -> None:
    export = submitted(snav_sandbox, "PROCESSING")
    snav_sandbox.advance(dt.timedelta(minutes=20))
    snav_sandbox.fault("status", http_error(503), times=2)
    snav_sandbox.fault("status", fault, times=None)
    with pytest.raises(AirflowFailException, match=says):
        sense(export)


@pytest.mark.parametrize("wrong", [None, {}, "urn:li:contract:1", [1], {"kind": "analytics"}], ids=repr)
def test_what_is_no_export_is_refused_before_any_call(snav_sandbox: Sandbox, sense: Path, wrong: Any) -> None:
    with pytest.raises(AirflowFailException, match="This is not an Export"):
        sense(wrong, **MAPPED)
    assert snav_sandbox.requests == []


def test_a_part_that_is_complete_is_not_asked_about_again(snav_sandbox: Sandbox, sense: Path) -> None:
    snav_sandbox.script_statuses("COMPLETED")
    snav_sandbox.script_statuses("PROCESSING", "PROCESSING", "COMPLETED")
    export = submitted(snav_sandbox, start_at=START - dt.timedelta(days=100), export_type="seat")
    sense(export)
    assert [len(job.statuses_served) for job in snav_sandbox.created_jobs] == [1, 3]
