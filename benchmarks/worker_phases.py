"""One phase of a task in a process of its own: ``python -m benchmarks.worker_phases PHASE``.

JSON in on the standard input, JSON out on the standard output: what Airflow keeps between two phases.
"""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any

_CONTRACT = "urn:li:contract:123456"
_START_AT, _END_AT = 1767225600000, 1767311999999
"""One day of 2026, in epoch milliseconds."""


def submit(_: Any) -> Any:
    """Ours, up to the deferral."""
    from airflow.sdk.exceptions import TaskDeferred

    task = _operator()
    try:
        task.execute({"task": task, "ti": SimpleNamespace()})
    except TaskDeferred as deferral:
        return deferral.trigger.serialize()
    raise RuntimeError("The task did not defer.")


def wait(serialized: Any) -> Any:
    """Ours, in the triggerer: holds no worker."""
    from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger

    async def event() -> Any:
        [event] = [event async for event in SalesNavigatorExportTrigger(**serialized[1]).run()]
        return event.payload

    return asyncio.run(event())


def resume(event: Any) -> Any:
    """Ours, after the trigger."""
    task = _operator()
    return task.execute_complete({"task": task, "ti": SimpleNamespace()}, event)


def post(_: Any) -> Any:
    """The http provider's operator, which submits."""
    from airflow.providers.http.operators.http import HttpOperator

    task = HttpOperator(
        task_id="task",
        endpoint="salesAnalyticsExportJobs?action=exportActivityData",
        headers={"Content-Type": "application/json"},
        data=json.dumps({"contract": _CONTRACT, "startAt": _START_AT, "endAt": _END_AT}),
        response_filter=lambda answer: answer.json()["value"]["id"],
    )
    return task.execute({"task": task, "ti": SimpleNamespace()})


def poke(job_id: Any) -> None:
    """The http provider's sensor, which waits."""
    from airflow.providers.http.sensors.http import HttpSensor

    task = HttpSensor(
        task_id="task",
        endpoint=f"salesAnalyticsExportJobs/{job_id}?contract=urn%3Ali%3Acontract%3A123456",
        response_check=lambda answer: answer.json()["status"] == "COMPLETED",
        poke_interval=1,
    )
    task.execute({"task": task, "ti": SimpleNamespace()})


def _operator() -> Any:
    from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator

    return SalesNavigatorAnalyticsExportOperator(
        task_id="task",
        contract=_CONTRACT,
        start_at=_START_AT,
        end_at=_END_AT + 1,
        deferrable=True,
        poll_interval=0.5,
    )


PHASES = {phase.__name__: phase for phase in (submit, wait, resume, post, poke)}

if __name__ == "__main__":
    # Airflow logs to the standard output.
    answer, sys.stdout = sys.stdout, sys.stderr
    result = PHASES[sys.argv[1]](json.load(sys.stdin))
    print(json.dumps(result), file=answer)
