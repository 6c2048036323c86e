"""Waiting in the triggerer."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import BaseTrigger, TriggerEvent
from airflow_provider_snav.api import calls
from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.models import Export, ExportJob
from airflow_provider_snav.api.polling import (
    Outcome,
    Pause,
    Poll,
    PollSchedule,
    Report,
    Tell,
    Tick,
    wait,
    what_goes_on,
)
from airflow_provider_snav.api.steps import Finished, resume

if TYPE_CHECKING:
    from airflow_provider_snav.api.wire import Call
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook


class SalesNavigatorExportTrigger(BaseTrigger):
    """Polls an export's jobs until the worker is needed. It never submits and never decides.

    Its one event is a :class:`~airflow_provider_snav.api.polling.Report` as plain JSON. Neither the arguments
    nor the event hold a token or a download URL.

    :param export: an Export as JSON.
    :param max_running: jobs of the export that LinkedIn may have at once; with fewer, a worker submits one.
    :param poll_interval: seconds before the first poll; pauses grow as
        :class:`~airflow_provider_snav.api.polling.PollSchedule` says.
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
            report = Report(export, deadline, Outcome.POLL_FAILED, last_problem=str(error))
        yield TriggerEvent(report.to_event())

    async def on_kill(self) -> None:
        """Say what becomes of the jobs: LinkedIn documents no way to cancel one."""
        self.log.warning("The wait was stopped. %s", what_goes_on(Export.from_json(self.export)))

    async def _wait(self, export: Export, deadline: dt.datetime) -> Report:
        # Here, not above: DAG files import this module and shall not pay for the HTTP libraries.
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook

        # Made once: encoding the URL anew took 35 of the 550 microseconds of a poll.
        reads = {index: calls.get_job(export, export.slices[index]) for index in export.running}
        async with SalesNavigatorAsyncHook(self.snav_conn_id) as hook:
            steps = wait(
                export,
                self.max_running,
                PollSchedule(self.poll_interval, self.max_poll_interval),
                deadline,
                now(),
                random.random,
            )
            tick: Tick | None = None
            while True:
                action = resume(steps, tick)
                match action:
                    case Pause(seconds):
                        await asyncio.sleep(seconds)
                        tick = Tick(now())
                    case Poll(index):
                        found = await self._poll(hook, reads[index])
                        tick = Tick(now(), found)
                    case Tell(sentence, is_warning):
                        (self.log.warning if is_warning else self.log.info)("%s", sentence)
                        tick = None
                    case Finished():
                        return action.value

    @staticmethod
    async def _poll(hook: SalesNavigatorAsyncHook, read: Call[ExportJob]) -> ExportJob | SalesNavigatorError:
        try:
            return await hook.run(read)
        except SalesNavigatorError as error:
            return error
