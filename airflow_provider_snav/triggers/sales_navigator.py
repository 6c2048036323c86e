"""The trigger, which polls the jobs of an export in the triggerer."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import BaseTrigger, TriggerEvent
from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.messages import Sleep, adrive
from airflow_provider_snav.api.models import ExportJob
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.exports.polling import (
    Outcome,
    Poll,
    PollReport,
    PollSchedule,
    PollStep,
    Tell,
    wait,
    what_goes_on,
)


class SalesNavigatorExportTrigger(BaseTrigger):
    """Polls the jobs of an export until the worker has something to do. It never submits a job.

    The trigger yields one event: a :class:`~airflow_provider_snav.exports.polling.PollReport` as JSON. The
    arguments and the event hold no token and no download URL.

    :param export: an Export as JSON.
    :param max_running: the number of jobs of the export that may be at LinkedIn at the same time, queued or
        processed. The trigger ends when there are fewer and the worker can submit another job.
    :param poll_interval: seconds before the first poll. Later pauses are longer: see
        :class:`~airflow_provider_snav.exports.polling.PollSchedule`.
    :param max_poll_interval: seconds. The longest pause between two polls.
    :param deadline: epoch seconds. A restarted triggerer keeps the same deadline.
    :param snav_conn_id: the id of a connection of type ``snav``.
    """

    def __init__(
        self,
        *,
        export: Mapping[str, Any],
        max_running: int,
        poll_interval: float,
        max_poll_interval: float,
        deadline: float,
        snav_conn_id: str,
    ) -> None:
        super().__init__()
        self.export = export
        self.max_running = max_running
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.deadline = deadline
        self.snav_conn_id = snav_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which Airflow stores in its database."""
        return (
            "airflow_provider_snav.triggers.sales_navigator.SalesNavigatorExportTrigger",
            {
                "export": self.export,
                "max_running": self.max_running,
                "poll_interval": self.poll_interval,
                "max_poll_interval": self.max_poll_interval,
                "deadline": self.deadline,
                "snav_conn_id": self.snav_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield one event. A SalesNavigatorError ends the wait and goes into the event."""
        export = Export.from_json(self.export)
        deadline = dt.datetime.fromtimestamp(self.deadline, dt.UTC)
        try:
            report = await self._wait(export, deadline)
        except SalesNavigatorError as error:
            # For example, the triggerer cannot read the connection. The worker polls once: it raises the same
            # error, or it defers again. The pause keeps this from happening many times a second.
            self.log.warning("Waiting ended early: %s", error)
            await asyncio.sleep(max(0.0, min(self.poll_interval, (deadline - now()).total_seconds())))
            report = PollReport(export, deadline, Outcome.POLL_FAILED, last_problem=str(error))
        yield TriggerEvent(report.to_event())

    async def on_kill(self) -> None:
        """Log what becomes of the jobs. LinkedIn documents no call that cancels a job."""
        self.log.warning("The wait was stopped. %s", what_goes_on(Export.from_json(self.export)))

    async def _wait(self, export: Export, deadline: dt.datetime) -> PollReport:
        # Imported here, because DAG files import this module and must not load the HTTP libraries.
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook

        # Built once: encoding the URL for each poll took 35 of its 550 microseconds.
        reads = {part.job_id: export.get_job(part) for part in export.running}

        async def perform(step: PollStep) -> ExportJob | None:
            match step:
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                case Poll(part):
                    return await hook.run(reads[part.job_id])
                case Tell(sentence, is_warning):
                    (self.log.warning if is_warning else self.log.info)("%s", sentence)
            return None

        schedule = PollSchedule(self.poll_interval, self.max_poll_interval)
        async with SalesNavigatorAsyncHook(self.snav_conn_id) as hook:
            return await adrive(
                wait(export, self.max_running, schedule, deadline, now, random.random), perform
            )
