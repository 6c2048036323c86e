"""Polling on a worker, for the operators and the sensor; the trigger does the same with ``asyncio``."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_snav._clock import now
from airflow_provider_snav.api import calls
from airflow_provider_snav.api.errors import SalesNavigatorError, SalesNavigatorStoppedError
from airflow_provider_snav.api.models import Export, ExportJob
from airflow_provider_snav.api.polling import Action, Pause, Poll, Report, Tell, Tick
from airflow_provider_snav.api.steps import Finished, resume

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

T = TypeVar("T")


def write_findings(report: Report, log: Any) -> None:
    """Write to the task's log what a wait found, wherever it was spent."""
    for note in report.notes:
        log.info("%s", note)
    for warning in report.warnings:
        log.warning("%s", warning)


def poll_on_worker(steps: Generator[Action, Any, T], export: Export, hook: SalesNavigatorHook, log: Any) -> T:
    """Do what the steps of :mod:`~airflow_provider_snav.api.polling` name, holding the worker.

    :raises SalesNavigatorStoppedError: Airflow stopped the task.
    :param log: structlog's on Airflow 3, logging's on 2.
    """
    tick: Tick | None = None
    while True:
        action = resume(steps, tick)
        match action:
            case Pause(seconds):
                hook.stopping.sleep(seconds)
                tick = Tick(now())
            case Poll(index):
                found: ExportJob | SalesNavigatorError
                try:
                    found = hook.run(calls.get_job(export, export.slices[index]))
                except SalesNavigatorStoppedError:
                    raise
                except SalesNavigatorError as error:
                    found = error
                tick = Tick(now(), found)
            case Tell(sentence, is_warning):
                (log.warning if is_warning else log.info)("%s", sentence)
                tick = None
            case Finished():
                return action.value
