"""Waiting in the triggerer."""

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
    """Polls an export's jobs until the worker is needed. It never submits and never decides.

    Its one event is a :class:`~airflow_provider_snav.exports.polling.PollReport` as plain JSON. Neither the
    arguments nor the event hold a token or a download URL.

    :param export: an Export as JSON.
    :param max_running: jobs of the export that LinkedIn may have at once; with fewer, a worker submits one.
    :param poll_interval: seconds before the first poll; pauses grow as
        :class:`~airflow_provider_snav.exports.polling.PollSchedule` says.
    :param max_poll_interval: seconds between polls at most.
    :param deadline: epoch seconds; absolute, so that a restarted triggerer does not begin anew.
    :param snav_conn_id: a connection of type ``snav``.
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
        """The class path and the arguments, as Airflow stores them."""
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
        """Yield one event."""
        export = Export.from_json(self.export)
        deadline = dt.datetime.fromtimestamp(self.deadline, dt.UTC)
        try:
            report = await self._wait(export, deadline)
        except SalesNavigatorError as error:
            # The connection cannot be read, say. The worker meets the same error and raises it in full; or,
            # where only the triggerer lacks the connection, polls itself and comes back: not in a hurry.
            self.log.warning("Waiting ended early: %s", error)
            await asyncio.sleep(max(0.0, min(self.poll_interval, (deadline - now()).total_seconds())))
            report = PollReport(export, deadline, Outcome.POLL_FAILED, last_problem=str(error))
        yield TriggerEvent(report.to_event())

    async def on_kill(self) -> None:
        """Say what becomes of the jobs: LinkedIn documents no way to cancel one."""
        self.log.warning("The wait was stopped. %s", what_goes_on(Export.from_json(self.export)))

    async def _wait(self, export: Export, deadline: dt.datetime) -> PollReport:
        # Here, not above: DAG files import this module and shall not pay for the HTTP libraries.
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook

        # Made once: encoding the URL anew took 35 of the 550 microseconds of a poll.
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
