"""Run one task the ways Airflow runs it, without Airflow's database: on a worker, deferred, after a crash."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.module_loading import import_string
from airflow.sdk.serde import deserialize, serialize

from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.sandbox.faults import Answer
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.tasks.task_state import STATE_KEY

CONTRACT = "urn:li:contract:123456"

MIDNIGHT = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = MIDNIGHT - dt.timedelta(days=3)
UNTIL = MIDNIGHT - dt.timedelta(days=2)

Task = Callable[[], Any]

MAPPED = {"_airflow_from_mapped": True}
"""Makes a task as Airflow makes one of a mapped task: ``execute`` checks its arguments, not ``__init__``."""


class Killed(BaseException):
    """The worker is gone."""


class Store:
    """``context["task_state_store"]``: JSON in, JSON out.

    :param crash_after: the worker dies right after this many writes.
    """

    def __init__(self, crash_after: int | None = None) -> None:
        self.crash_after = crash_after
        self.written: list[Any] = []
        self._texts: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self._texts[key]) if key in self._texts else default

    def set(self, key: str, value: Any, *, retention: dt.timedelta | None = None) -> None:
        self._texts[key] = json.dumps(value)
        self.written.append(self.get(key))
        if len(self.written) == self.crash_after:
            raise Killed

    @property
    def export(self) -> Export:
        """The Export remembered last."""
        return Export.from_json(self.get(STATE_KEY)["export"])


class UnreachableStore(Store):
    def get(self, key: str, default: Any = None) -> Any:
        raise ConnectionError("the API server does not answer")


def context_of(task: Any, store: Store | None = None, *, max_tries: int = 0, **run: Any) -> Any:
    """What Airflow hands to ``execute``, as far as we look at it.

    :param store: None for an Airflow before 3.3.
    :param run: ``data_interval_start`` and the like; a run without a logical date has none of them.
    """
    context = {
        "task": task,
        "ti": SimpleNamespace(max_tries=max_tries),
        "run_id": "manual__1",
        "outlet_events": OutletEventAccessors(),
        **run,
    }
    return context if store is None else context | {"task_state_store": store}


def on_worker(make: Task, store: Store | None = None, **run: Any) -> Any:
    """One try that holds its worker."""
    task = make()
    return task.execute(context_of(task, store, **run))


def over_the_wire(value: Any) -> Any:
    """A value as it comes out of Airflow's database."""
    return deserialize(json.loads(json.dumps(serialize(value))))


def rebuilt(trigger: Any) -> Any:
    """A trigger as the triggerer makes it."""
    path, kwargs = trigger.serialize()
    return import_string(path)(**over_the_wire(kwargs))


async def events_of(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def deferred(make: Task, store: Store | None = None, **run: Any) -> Any:
    """One try that waits in the triggerer; like a worker's, each of its phases begins with a new operator."""
    method, event = "", None
    while True:
        task = make()
        context = context_of(task, store, **run)
        try:
            return (
                task.resume_execution(method, {"event": event}, context) if method else task.execute(context)
            )
        except TaskDeferred as deferral:
            assert not deferral.kwargs, "dags test loses what is kept beside the event"  # noqa: PT017
            [payload] = asyncio.run(events_of(rebuilt(deferral.trigger)))
            method, event = deferral.method_name, over_the_wire(payload)


@dataclass(frozen=True)
class Ending:
    """How a task ended: its jobs numbered from 1, without request ids and the times of its life."""

    jobs: int
    export: Any = None
    error: str = ""
    message: str = ""


def ending_of(sandbox: Sandbox, run: Callable[[], Any]) -> Ending:
    export, error, message = None, "", ""
    try:
        export = run()
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is compared
        error, message = type(failure).__name__, str(failure)
    numbers = {str(job_id): str(number) for number, job_id in enumerate(sandbox.jobs, 1)}

    def normal(text: str) -> str:
        text = re.sub(r" \[x-li-[^\]]*\]", "", text)
        text = re.sub(r'"(submitted|processing)_at": "[^"]*"', r'"\1_at": "then"', text)
        return re.sub(r"\b\d{6}\b", lambda found: numbers.get(found[0], found[0]), text)

    return Ending(len(sandbox.jobs), json.loads(normal(json.dumps(export))), error, normal(message))


def exporting(**arguments: Any) -> Task:
    """Make the export operator anew, as each process does."""
    given = {
        "task_id": "export",
        "contract": CONTRACT,
        "start_at": START,
        "end_at": UNTIL,
        "poll_interval": 0.02,
        "max_poll_interval": 0.05,
        "retries": 0,
    }
    return lambda: SalesNavigatorAnalyticsExportOperator(**given | arguments)


def still_queued(job_id: int) -> Answer:
    """A status answer that leaves every script and fault of the sandbox for the next poll."""
    body = json.dumps({"id": job_id, "status": "ENQUEUED"})
    return Answer(200, body.encode(), {"Content-Type": "application/json"})


def after_crash(
    sandbox: Sandbox, make: Task, arrange: Callable[[Sandbox], None], try_: Callable[..., Any], **run: Any
) -> Any:
    """The first try dies right after it has remembered its first job; ``try_`` is the second.

    What the second asks when it takes the job up again is answered ENQUEUED; then comes what is arranged.
    """
    store = Store(crash_after=1)
    with SalesNavigatorHook() as hook:
        before = hook.create_analytics_export("activity", CONTRACT, START, UNTIL)
    sandbox.reset()
    # The numbers of jobs count on.
    sandbox.fault("status", still_queued(before.job_id + 1))
    arrange(sandbox)
    with suppress(Killed, Exception):
        on_worker(make, store, **run)
    return try_(make, store, **run)


def completed_export(**arguments: Any) -> Mapping[str, Any]:
    """An Export whose jobs are done, from the sandbox the connection leads to."""
    export: Mapping[str, Any] = on_worker(exporting(**arguments))
    return export


def parts_of(count: int) -> Any:
    """An Export of this many jobs, each of two hours."""
    hook = SalesNavigatorHook()
    slices = []
    for number in range(count):
        first = START + number * dt.timedelta(hours=2)
        last = first + dt.timedelta(hours=2) - dt.timedelta(milliseconds=1)
        job = hook.create_analytics_export("activity", 123456, first, last)
        times = {"start_at": first.isoformat(), "end_at": last.isoformat()}
        slices.append(times | {"job_id": job.job_id, "status": "COMPLETED"})
    hook.close()
    return {
        "kind": "analytics",
        "export_type": "activity",
        "contract": "urn:li:contract:123456",
        "slices": slices,
    }
