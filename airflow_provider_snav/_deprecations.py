"""Arguments that still work under an older name; docs/support.md says for how long."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from airflow_provider_snav._compat import AirflowProviderDeprecationWarning
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError


def renamed(name: str, value: Any, **older: Any) -> Any:
    """The value of an argument, which may have been given by an older name.

    The warning names the line of the DAG file.

    :param value: what was given by its present name, None for nothing.
    :param older: what was given by each older name, None for nothing.
    :raises SalesNavigatorConfigurationError: it was given by two names.
    """
    for old, given in older.items():
        if given is None:
            continue
        if value is not None:
            raise SalesNavigatorConfigurationError(f"{old} is the older name of {name}. Give {name} alone.")
        told = f"The argument {old} is deprecated and called {name} now."
        warnings.warn(told, AirflowProviderDeprecationWarning, stacklevel=_calls_to_the_dag_file())
        value = given
    return value


def _calls_to_the_dag_file() -> int:
    """How far above the caller it is: beyond calls of Airflow, whose number differs between versions."""
    level, frame = 0, inspect.currentframe()
    while frame and frame.f_globals["__name__"].partition(".")[0] in ("airflow", "airflow_provider_snav"):
        level, frame = level + 1, frame.f_back
    return level
