"""How every task ends when something fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_snav._compat import AirflowFailException
from airflow_provider_snav.api.errors import SalesNavigatorError


@contextmanager
def reporting(fate: Callable[[SalesNavigatorError], str]) -> Iterator[None]:
    """Complete every error with what became of the export and where the docs speak of it.

    Airflow retries only what a retry can mend.
    """
    try:
        yield
    except SalesNavigatorError as error:
        consequence = fate(error)
        if not error.retryable:
            consequence = f"{consequence} Airflow does not retry this error.".lstrip()
        error.because(f"{consequence} {error.see}".lstrip())
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error


def before(done: str) -> Callable[[SalesNavigatorError], str]:
    """What an error means that came before anything was done.

    :param done: says so, as in "Nothing was submitted."
    """
    return lambda error: f"{done} A retry asks again." if error.retryable else done
