"""Arguments with an older name that still works; docs/support.md says for how long."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from airflow_provider_snav._compat import AirflowProviderDeprecationWarning
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError


def renamed(name: str, value: Any, **older: Any) -> Any:
    """Return the value of an argument that has older names.

    An older name logs a deprecation warning with the line of the DAG file.

    :param value: the value under the present name; None without one.
    :param older: the value under each older name; None without one.
    :raises SalesNavigatorConfigurationError: two names have a value.
    """
    for old, given in older.items():
        if given is None:
            continue
        if value is not None:
            raise SalesNavigatorConfigurationError(f"{old} is the older name of {name}. Give {name} alone.")
        told = f"The argument {old} is deprecated. Its new name is {name}."
        warnings.warn(told, AirflowProviderDeprecationWarning, stacklevel=_calls_to_the_dag_file())
        value = given
    return value


def _calls_to_the_dag_file() -> int:
    """Count the calls up to the DAG file. The number of calls inside Airflow differs between versions."""
    level, frame = 0, inspect.currentframe()
    while frame and frame.f_globals["__name__"].partition(".")[0] in ("airflow", "airflow_provider_snav"):
        level, frame = level + 1, frame.f_back
    return level
