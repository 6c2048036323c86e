"""How operators and the sensor wait for an export: in the triggerer, or here on the worker."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_snav.api.messages import Sleep, drive
from airflow_provider_snav.api.models import ExportJob
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.exports.polling import Poll, PollReport, PollSchedule, PollStep, Tell

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
    from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger

T = TypeVar("T")


def trigger_for(
    export: Export, *, max_running: int, schedule: PollSchedule, deadline: dt.datetime, snav_conn_id: str
) -> SalesNavigatorExportTrigger:
    """The trigger that waits for an export. Its arguments are those of :func:`~.polling.wait`."""
    # Here, not above: most tasks that import this module do not defer.
    from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger

    return SalesNavigatorExportTrigger(
        export=export.to_json(),
        max_running=max_running,
        poll_interval=schedule.first,
        max_poll_interval=schedule.longest,
        deadline=deadline.timestamp(),
        snav_conn_id=snav_conn_id,
    )


def write_findings(report: PollReport, log: Any) -> None:
    """Write to the task's log what a wait found, wherever it was spent."""
    for note in report.notes:
        log.info("%s", note)
    for warning in report.warnings:
        log.warning("%s", warning)


def poll_on_worker(
    steps: Generator[PollStep, Any, T], export: Export, hook: SalesNavigatorHook, log: Any
) -> T:
    """Perform the steps of :mod:`~airflow_provider_snav.exports.polling`, holding the worker.

    :param log: structlog's on Airflow 3, logging's on 2.
    :raises SalesNavigatorStoppedError: Airflow stopped the task.
    """

    def perform(step: PollStep) -> ExportJob | None:
        match step:
            case Sleep(seconds):
                hook.stopping.sleep(seconds)
            case Poll(part):
                return hook.run(export.get_job(part))
            case Tell(sentence, is_warning):
                (log.warning if is_warning else log.info)("%s", sentence)
        return None

    return drive(steps, perform)
