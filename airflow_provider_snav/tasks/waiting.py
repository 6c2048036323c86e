"""The wait for an export: in the triggerer, or on the worker."""

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
    """Return the trigger that waits for an export. The arguments are those of :func:`~.polling.wait`."""
    # Imported here, because most tasks that import this module do not defer.
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
    """Write the notes and warnings of a wait to the task's log."""
    for note in report.notes:
        log.info("%s", note)
    for warning in report.warnings:
        log.warning("%s", warning)


def poll_on_worker(
    steps: Generator[PollStep, Any, T], export: Export, hook: SalesNavigatorHook, log: Any
) -> T:
    """Perform the steps of :mod:`~airflow_provider_snav.exports.polling` on the worker.

    :param log: the logger of structlog on Airflow 3, of ``logging`` on Airflow 2.
    :returns: the generator's result.
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
