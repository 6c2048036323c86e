"""A task that Airflow stops ends where it is: ``on_kill`` runs in a signal handler, as on a worker."""

from __future__ import annotations

import copy
import os
import signal
import socket
import threading
import time
from contextlib import nullcontext, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from stops import Interrupted, Silence, on_signal, stop_once
from task_runs import Store, context_of, exporting

from airflow_provider_snav._stopping import Stopping
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.errors import SalesNavigatorStoppedError
from airflow_provider_snav.api.messages import Request, Response
from airflow_provider_snav.hooks.requests_transport import RequestsTransport
from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorListContractsOperator,
    SalesNavigatorProfileAssociationsOperator,
)
from airflow_provider_snav.sandbox.faults import CallKind, Delay, http_error, throttled
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor

# Each test would last as long as its longest wait if the task did not stop.
pytestmark = pytest.mark.timeout(60)

HOUR = timedelta(hours=1)


SILENCE = "silence"


def sensing(**_: Any) -> Any:
    export = exporting(wait_for_completion=False)()
    submitted = export.execute(context_of(export))
    return SalesNavigatorExportSensor(task_id="sense", export=submitted, poke_interval=3600)


def looking_up(**_: Any) -> Any:
    keys = [{"instance_id": "a", "partner": "DYNAMICS", "record_id": str(number)} for number in range(900)]
    return SalesNavigatorProfileAssociationsOperator(task_id="look_up", keys=keys)


def listing(**_: Any) -> Any:
    return SalesNavigatorListContractsOperator(task_id="list")


WAITS = {
    "in a poll pause": (CallKind.CREATE, None, exporting(poll_interval=3600, max_poll_interval=3600)),
    "in a Retry-After of a poll": (CallKind.STATUS, throttled(retry_after=100), exporting()),
    "in a silent poll": (CallKind.STATUS, SILENCE, exporting()),
    "in a Retry-After of a creation": (CallKind.CREATE, throttled(retry_after=100), exporting()),
    "between two pokes": (CallKind.STATUS, None, sensing),
    "in a silent poke": (CallKind.STATUS, SILENCE, sensing),
    "in a silent look-up": (CallKind.ASSOCIATIONS, SILENCE, looking_up),
    "in a silent list": (CallKind.CONTRACTS, SILENCE, listing),
}


@pytest.mark.parametrize(("kind", "fault", "make"), WAITS.values(), ids=WAITS)
def test_a_stopped_task_ends_at_once_and_sends_nothing_more(
    snav_sandbox: Sandbox, kind: CallKind, fault: Any, make: Any
) -> None:
    snav_sandbox.settings.analytics_processing = 24 * HOUR
    task = make()
    silence = Silence(minutes=5)
    if fault:
        snav_sandbox.fault(kind, Delay(silence) if fault is SILENCE else fault)
    stop_once(lambda: silence.has_begun or any(request.kind is kind for request in snav_sandbox.requests))
    with on_signal(task.on_kill), pytest.raises(SalesNavigatorStoppedError) as raised:
        task.execute(context_of(task, Store()))
    sent = len(snav_sandbox.requests)
    message = str(raised.value)
    assert message.startswith("Airflow stopped this task.")
    assert "retry" in message.lower()
    assert "docs/errors.md#stopped" in message
    assert "may have created" not in message
    assert len(snav_sandbox.requests) == sent


def test_a_job_that_linkedin_is_creating_when_the_task_is_stopped_is_remembered(
    snav_sandbox: Sandbox,
) -> None:
    creation = Silence(seconds=1)
    snav_sandbox.fault("create", Delay(creation))
    task, store = exporting()(), Store()
    stop_once(lambda: creation.has_begun)
    with on_signal(task.on_kill), pytest.raises(SalesNavigatorStoppedError, match="continues this export"):
        task.execute(context_of(task, store))
    [job] = snav_sandbox.created_jobs
    assert store.export.job_ids == [job.job_id]


@pytest.mark.parametrize("creates", [True, False], ids=["a creation", "another POST"])
def test_the_whole_answer_to_a_creation_is_waited_for_and_to_nothing_else(creates: bool) -> None:
    """The number of an analytics job is in the body."""
    stopping, may_answer = Stopping(), threading.Event()

    def stop() -> None:
        # A creation is answered while it is given its seconds. Nothing else is answered at all.
        if creates:
            threading.Timer(0.2, may_answer.set).start()
        stopping.stop()

    stopping_soon = threading.Timer(0.2, stop)

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.flush()
            stopping_soon.start()
            may_answer.wait(30)
            with suppress(OSError):
                self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        transport = RequestsTransport(ConnectionSettings(base_url=url), stopping)
        answer = transport.send(Request("POST", url, {}, b"{}", creates=creates))
        may_answer.set()
        server.shutdown()
    assert isinstance(answer, Response) is creates


@pytest.mark.parametrize("creates", [True, False], ids=["a creation", "another request"])
def test_a_stop_while_a_request_is_sent_on_a_used_connection_spares_only_a_creation(creates: bool) -> None:
    stopping = Stopping()
    ours, servers = socket.socketpair()
    with ours, servers:
        stopping.watch(ours)
        with stopping.creating() if creates else nullcontext():
            stopping.stop()
            ours.settimeout(5)
            servers.settimeout(5)
            if creates:
                ours.sendall(b"POST")
                assert servers.recv(4) == b"POST"
                servers.sendall(b"{}")
                stopping.watch(ours)
                assert ours.recv(2) == b"{}"
            else:
                assert servers.recv(4) == b"", "the connection has ended"


@pytest.mark.parametrize("fault", [http_error(504), SILENCE], ids=["a failed answer", "no answer"])
def test_a_task_stopped_after_a_creation_went_unanswered_does_not_deny_the_job(
    snav_sandbox: Sandbox, fault: Any
) -> None:
    silence = Silence(minutes=5)
    snav_sandbox.fault("create", Delay(silence) if fault is SILENCE else fault, times=None)
    task = exporting()()
    stop_once(lambda: silence.has_begun or snav_sandbox.requests)
    with on_signal(task.on_kill), pytest.raises(SalesNavigatorStoppedError, match="may have created"):
        task.execute(context_of(task, Store()))


def test_a_task_that_airflow_interrupts_does_not_wait_for_its_threads(snav_sandbox: Sandbox) -> None:
    silence = Silence(minutes=5)
    snav_sandbox.fault("associations", Delay(silence), times=None)
    task = looking_up()

    def interrupt() -> None:
        raise Interrupted

    stop_once(lambda: silence.has_begun)
    with on_signal(interrupt), pytest.raises(Interrupted):
        task.execute(context_of(task))
    for thread in threading.enumerate():
        if thread.name.startswith("snav-associations"):
            thread.join()


def test_stopping_is_safe_in_a_signal_handler_at_any_line_of_any_wait() -> None:
    """With ``threading.Event`` in its place this test waits for ever."""
    for round_ in range(1000):
        stopping = Stopping()
        sleeper = threading.Thread(target=_sleep_until_stopped, args=[stopping])
        sender = threading.Thread(target=_send_signal_after, args=[round_ % 100 * 1e-5])
        with on_signal(stopping.stop), suppress(SalesNavigatorStoppedError):
            sleeper.start()
            sender.start()
            while True:
                stopping.sleep(1e-9)
        sender.join()
        sleeper.join()


def _sleep_until_stopped(stopping: Stopping) -> None:
    with suppress(SalesNavigatorStoppedError):
        stopping.sleep(3600)


def _send_signal_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGUSR1)


def test_an_operator_is_copied_with_a_stop_of_its_own() -> None:
    task = exporting()()
    task.on_kill()
    assert not copy.deepcopy(exporting()())._stopping.stopped
