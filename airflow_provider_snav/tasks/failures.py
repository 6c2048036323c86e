"""Completes the errors of a task, and decides whether Airflow retries it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_snav._compat import AirflowFailException
from airflow_provider_snav._guide import see
from airflow_provider_snav._private import is_mapped
from airflow_provider_snav.api.errors import SalesNavigatorError


@contextmanager
def explaining(fate: Callable[[SalesNavigatorError], str]) -> Iterator[None]:
    """Add to every error what became of the export, and the place in the error guide.

    :param fate: returns the sentence about the export.
    :raises SalesNavigatorError: a retry may succeed.
    :raises AirflowFailException: a retry would fail in the same way, so Airflow must not retry.
    """
    try:
        yield
    except SalesNavigatorError as error:
        consequence = fate(error)
        if not error.retryable:
            consequence = f"{consequence} Airflow does not retry this error.".lstrip()
        error.because(f"{consequence} {see(error)}".lstrip())
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error


def check_when_read(task: Any) -> None:
    """Check a task's arguments while Airflow reads its DAG file. Every ``__init__`` ends with this call.

    ``execute`` checks the templates. It also checks a mapped task, because Airflow creates a mapped task on
    the worker. There the error must say what became of the export, and Airflow must not retry.

    :param task: an operator or a sensor with ``check_arguments``.
    :raises SalesNavigatorConfigurationError: an argument is wrong. The DAG file has an import error.
    """
    if is_mapped(task):
        return
    try:
        task.check_arguments()
    except SalesNavigatorError as error:
        if task.has_dag():
            error.because(f"Correct the task {task.task_id!r} in the DAG file. {see(error)}")
        # Airflow shows the last two calls of the traceback. Calls inside the checks do not help the reader.
        raise error.with_traceback(None) from None


def before(done: str) -> Callable[[SalesNavigatorError], str]:
    """Return the ``fate`` for :func:`explaining` before the task has done anything.

    :param done: a sentence such as "Nothing was submitted."
    """
    return lambda error: f"{done} A retry starts from the beginning." if error.retryable else done
