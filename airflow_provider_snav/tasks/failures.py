"""How every task ends when something fails."""

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
    """Complete every error with what became of the export and where the docs speak of it.

    Airflow retries only what a retry can mend.
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
    """Check a task's arguments while its DAG file is read; the last line of every operator's ``__init__``.

    ``execute`` checks what is still a template. It also checks a mapped task, which Airflow makes on the
    worker: there an error must say what became of the export, and Airflow must not retry it.

    :param task: has ``check_arguments``.
    :raises SalesNavigatorConfigurationError: an argument is wrong; the DAG file cannot be imported.
    """
    if is_mapped(task):
        return
    try:
        task.check_arguments()
    except SalesNavigatorError as error:
        if task.has_dag():
            error.because(f"Correct the task {task.task_id!r} in the DAG file. {see(error)}")
        # Airflow shows the last two calls of the traceback. Those within our checks would say nothing.
        raise error.with_traceback(None) from None


def before(done: str) -> Callable[[SalesNavigatorError], str]:
    """What an error means that came before anything was done.

    :param done: says so, as in "Nothing was submitted."
    """
    return lambda error: f"{done} A retry starts from the beginning." if error.retryable else done
