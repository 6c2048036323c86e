"""The trigger only waits, says what it saw in one event, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from task_runs import (
    Store,
    after_crash,
    context_of,
    deferred,
    events_of,
    exporting,
    on_worker,
    rebuilt,
)

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorError,
    SalesNavigatorExportTimeoutError,
)
from airflow_provider_snav.exports.plan import Remedies
from airflow_provider_snav.hooks import aiohttp_transport
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook
from airflow_provider_snav.sandbox.faults import http_error
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger

pytestmark = pytest.mark.usefixtures("impatient")


def trigger_for(export: Any, *, left: float = 60, **changes: Any) -> SalesNavigatorExportTrigger:
    given = {
        "export": export,
        "max_running": Remedies().max_running,
        "poll_interval": 0.02,
        "max_poll_interval": 0.05,
        "deadline": now().timestamp() + left,
        "snav_conn_id": "snav_default",
    }
    return SalesNavigatorExportTrigger(**given | changes)


@pytest.fixture
def submitted(snav_sandbox: Sandbox) -> Any:
    """An Export whose job is at work."""
    snav_sandbox.script_statuses("PROCESSING", "PROCESSING", "COMPLETED")
    return on_worker(exporting(wait_for_completion=False))


def wait_for(trigger: SalesNavigatorExportTrigger) -> Any:
    [event] = asyncio.run(events_of(trigger))
    return event


def test_its_arguments_are_plain_json_without_token_or_url(snav_sandbox: Sandbox) -> None:
    with pytest.raises(TaskDeferred) as deferral:
        exporting(deferrable=True)().execute(context_of(None, Store()))
    path, kwargs = deferral.value.trigger.serialize()
    assert path == f"{SalesNavigatorExportTrigger.__module__}.{SalesNavigatorExportTrigger.__qualname__}"
    text = json.dumps(kwargs)
    assert json.loads(text) == kwargs
    assert "http" not in text
    for secret in (snav_sandbox.access_token, snav_sandbox.client_secret):
        assert secret not in text


@pytest.mark.parametrize(
    ("told", "paced"),
    [((15, dt.timedelta(minutes=5)), (15, 300)), ((60, 30), (60, 60))],
    ids=["as told", "first pause the longest"],
)
def test_it_polls_at_the_pace_the_operator_was_told(
    snav_sandbox: Sandbox, told: tuple[Any, Any], paced: tuple[float, float]
) -> None:
    first, longest = told
    make = exporting(deferrable=True, poll_interval=first, max_poll_interval=longest)
    with pytest.raises(TaskDeferred) as deferral:
        make().execute(context_of(None, Store()))
    trigger = deferral.value.trigger
    assert (trigger.poll_interval, trigger.max_poll_interval) == paced


def test_a_trigger_rebuilt_from_its_row_is_the_same(submitted: Any) -> None:
    trigger = trigger_for(submitted)
    _, given = trigger.serialize()
    again = rebuilt(trigger)
    assert {name: getattr(again, name) for name in given} == {name: getattr(trigger, name) for name in given}


def test_its_one_event_says_what_it_saw(submitted: Any, snav_sandbox: Sandbox) -> None:
    event = wait_for(trigger_for(submitted))
    assert event["status"] == "ready"
    assert [part["status"] for part in event["export"]["slices"]] == ["COMPLETED"]
    assert (event["polls"], event["failed_polls"], event["last_problem"]) == (3, 0, None)
    assert len(event["request_ids"]) == 3
    assert json.loads(json.dumps(event)) == event
    assert "http" not in json.dumps(event)


def test_a_status_is_logged_when_it_is_new_and_not_for_each_poll(
    submitted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = submitted["slices"][0]["job_id"]
    event = wait_for(trigger_for(submitted))
    logged = "".join(capsys.readouterr())
    assert event["polls"] == 3
    assert logged.count(f"Job {job_id}: PROCESSING") == 1
    assert logged.count(f"Job {job_id}: COMPLETED") == 1


def test_200_triggers_look_the_connection_up_once(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = on_worker(exporting(wait_for_completion=False))
    looked_up = []
    read = SalesNavigatorAsyncHook._read

    async def counting(hook: SalesNavigatorAsyncHook) -> Any:
        looked_up.append(hook)
        return await read(hook)

    monkeypatch.setattr(SalesNavigatorAsyncHook, "_read", counting)

    async def run() -> None:
        await asyncio.gather(*(events_of(trigger_for(export)) for _ in range(200)))

    asyncio.run(run())
    assert len(looked_up) == 1


def test_it_never_submits(snav_sandbox: Sandbox) -> None:
    snav_sandbox.script_statuses("FAILED_DUE_TO_INTERNAL_ERROR")
    export = on_worker(exporting(wait_for_completion=False))
    assert wait_for(trigger_for(export))["status"] == "ready"
    assert {request.method for request in snav_sandbox.requests[1:]} == {"GET"}


def test_failed_polls_are_tolerated_and_told(submitted: Any, snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("status", http_error(503), times=6)
    event = wait_for(trigger_for(submitted))
    assert (event["status"], event["polls"], event["failed_polls"]) == ("ready", 3, 3)
    assert "HTTP 503" in event["last_problem"]


def test_failed_polls_are_tolerated_until_the_deadline(submitted: Any, snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("status", http_error(503), times=None)
    event = wait_for(trigger_for(submitted, left=1))
    assert (event["status"], event["polls"]) == ("timeout", 0)
    assert event["failed_polls"] > 1


def test_a_triggerer_that_was_down_past_the_deadline_polls_once_more(
    submitted: Any, snav_sandbox: Sandbox
) -> None:
    assert wait_for(trigger_for(submitted, left=-3600))["status"] == "timeout"
    assert len(snav_sandbox.requests) == 2
    snav_sandbox.settings.speed = 1e9
    export = on_worker(exporting(wait_for_completion=False))
    assert wait_for(trigger_for(export, left=-3600))["status"] == "ready"


def test_a_restarted_trigger_keeps_the_deadline(submitted: Any) -> None:
    trigger = trigger_for(submitted, left=-1)
    for again in (trigger, rebuilt(trigger)):
        assert wait_for(again)["status"] == "timeout"


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "success"}, "ready", ["ready"]],
    ids=["none", "empty", "stranger", "text", "list"],
)
def test_an_event_that_is_none_of_ours_is_an_error_and_no_call(snav_sandbox: Sandbox, event: Any) -> None:
    task = exporting()()
    with pytest.raises(SalesNavigatorError, match="event cannot be read"):
        task.execute_complete(context_of(task, Store()), event)
    assert snav_sandbox.requests == []


def test_an_event_of_ours_with_an_unknown_status_is_an_error(submitted: Any, snav_sandbox: Sandbox) -> None:
    event = wait_for(trigger_for(submitted)) | {"status": "success"}
    task = exporting()()
    with pytest.raises(SalesNavigatorError, match="event cannot be read"):
        task.execute_complete(context_of(task, Store()), event)


def test_a_missing_connection_ends_in_an_event_and_the_worker_says_what_is_missing(
    submitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SNAV_DEFAULT")
    event = wait_for(trigger_for(submitted))
    assert event["status"] == "poll_failed"
    assert "no connection 'snav_default'" in event["last_problem"]
    task = exporting()()
    with pytest.raises(
        SalesNavigatorConfigurationError, match=r"no connection 'snav_default'.*LinkedIn continues job"
    ):
        task.execute_complete(context_of(task, Store()), event)


def test_a_missing_connection_is_told_by_the_deadline_however_rare_the_polls(
    submitted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SNAV_DEFAULT")
    assert wait_for(trigger_for(submitted, left=0.1, poll_interval=3600))["status"] == "poll_failed"
    assert "Waiting ended early: There is no connection 'snav_default'" in "".join(capsys.readouterr())


def test_a_connection_only_the_triggerer_lacks_is_worked_around_until_the_deadline(
    submitted: Any, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    snav_sandbox.reset()
    snav_sandbox.settings.speed = 1
    tries = 0

    async def without_connection(trigger: Any) -> list[Any]:
        nonlocal tries
        tries += 1
        with monkeypatch.context() as patch:
            patch.delenv("AIRFLOW_CONN_SNAV_DEFAULT")
            return [event.payload async for event in trigger.run()]

    monkeypatch.setattr("task_runs.events_of", without_connection)
    with pytest.raises(SalesNavigatorExportTimeoutError):
        deferred(exporting(deferrable=True, timeout=dt.timedelta(seconds=1), poll_interval=0.2), Store())
    # Paced by poll_interval, not as fast as Airflow can defer.
    assert 2 <= tries <= 8


def test_a_cancelled_wait_is_cancelled_and_closes_its_session(submitted: Any, snav_sandbox: Sandbox) -> None:
    snav_sandbox.reset()
    snav_sandbox.settings.speed = 1
    export = on_worker(exporting(wait_for_completion=False))

    async def cancel() -> None:
        wait = asyncio.create_task(events_of(trigger_for(export)))
        while len(snav_sandbox.requests) < 3:  # noqa: ASYNC110 - the sandbox is in another thread
            await asyncio.sleep(0.01)
        [held] = aiohttp_transport._loop_sessions.values()
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert held.session.closed
        assert not aiohttp_transport._loop_sessions

    asyncio.run(cancel())


def test_200_triggers_of_one_loop_share_one_session_and_close_it(snav_sandbox: Sandbox) -> None:
    export = on_worker(exporting(wait_for_completion=False))
    most = 0

    async def run() -> list[Any]:
        nonlocal most
        waits = [asyncio.create_task(events_of(trigger_for(export, poll_interval=0.2))) for _ in range(200)]
        while not all(wait.done() for wait in waits):
            if aiohttp_transport._loop_sessions:
                [shared] = aiohttp_transport._loop_sessions.values()
                most = max(most, shared.users)
            await asyncio.sleep(0.01)
        return [event for wait in waits for event in wait.result()]

    events = asyncio.run(run())
    assert [event["status"] for event in events] == ["ready"] * 200
    assert most >= 200
    assert not aiohttp_transport._loop_sessions


def test_a_killed_wait_says_what_becomes_of_the_job(
    submitted: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(trigger_for(submitted).on_kill())
    job_id = submitted["slices"][0]["job_id"]
    assert f"LinkedIn continues job {job_id} and keeps its files for seven days." in "".join(
        capsys.readouterr()
    )


def test_a_killed_wait_without_a_job_says_so(submitted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    [part] = submitted["slices"]
    waiting = submitted | {"slices": [part | {"job_id": None, "status": None}]}
    asyncio.run(trigger_for(waiting).on_kill())
    assert "No job is running." in "".join(capsys.readouterr())


def test_a_resumed_task_logs_what_the_trigger_saw(
    snav_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    snav_sandbox.fault("status", http_error(503), times=2)
    deferred(exporting(deferrable=True), Store())
    logged = "".join(capsys.readouterr())
    assert "1 failed; last request ids: " in logged
    assert "last problem: Could not read the status" in logged


def test_a_crash_while_deferred_resumes_in_the_trigger_with_a_new_deadline(snav_sandbox: Sandbox) -> None:
    export = after_crash(snav_sandbox, exporting(deferrable=True), lambda _: None, deferred)
    assert [part["status"] for part in export["slices"]] == ["COMPLETED"]
