"""Checks arguments: when Airflow reads the DAG file, and again in the task."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError

Duration: TypeAlias = float | dt.timedelta
"""Seconds, or a timedelta."""

Check: TypeAlias = Callable[[Any, str], object]
"""Takes a value and the argument's name; raises SalesNavigatorConfigurationError if the value is wrong."""

Checks: TypeAlias = dict[str, Check]
"""The key is the name of the argument."""

# Much longer than any job, and short enough to be added to any date.
_LONGEST = dt.timedelta(days=365)


def check_arguments(task: Any, checks: Checks) -> None:
    """Check every argument that is not a template. In a running task no argument is a template.

    :param task: an object with the arguments as attributes, and with ``template_fields``.
    :raises SalesNavigatorConfigurationError: an argument is wrong. The error is about the first one.
    """
    for name, check in checks.items():
        value = getattr(task, name)
        if not (name in task.template_fields and is_template(value)):
            check(value, name)


def is_template(value: Any) -> bool:
    """Return True if Airflow must still render or resolve the value: Jinja text, or another task's output."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(map(is_template, value.values()))
    if isinstance(value, list | tuple):
        return any(map(is_template, value))
    if hasattr(value, "joinpath"):  # Airflow also renders the text of an ObjectStoragePath
        return is_template(str(value))
    # Airflow's ResolveMixin: an XComArg, a DagParam, an argument of a mapped task group.
    return hasattr(value, "iter_references")


def optional(check: Check) -> Check:
    """Return the same check, but with None allowed."""
    return lambda value, name: None if value is None else check(value, name)


def duration(value: Any, name: str, least: dt.timedelta = dt.timedelta(0)) -> dt.timedelta:
    """Read a duration.

    :param value: seconds (int or float), or a timedelta.
    :param name: the argument, for the message.
    :param least: the shortest duration allowed.
    :raises SalesNavigatorConfigurationError: it is neither, shorter than ``least``, or longer than a year.
    """
    try:
        length = value if isinstance(value, dt.timedelta) else dt.timedelta(seconds=value)
    except (OverflowError, TypeError, ValueError):
        length = None
    if length is None or isinstance(value, bool) or not least <= length <= _LONGEST:
        raise SalesNavigatorConfigurationError(
            f"{name}={value!r} must be seconds or a timedelta, from {least.total_seconds():g} seconds up to a"
            " year."
        )
    return length


def switch(value: Any, name: str) -> None:
    """Check that the value is True or False, because the text "False" would count as True.

    :raises SalesNavigatorConfigurationError: it is neither.
    """
    if not isinstance(value, bool):
        raise SalesNavigatorConfigurationError(f"{name}={value!r} must be True or False.")


def whole_number(value: Any, name: str, least: int) -> None:
    """Check that the value is an int, ``least`` or more.

    :raises SalesNavigatorConfigurationError: it is not.
    """
    if type(value) is not int or value < least:
        raise SalesNavigatorConfigurationError(f"{name}={value!r} must be a whole number, {least} or more.")


def one_of(value: Any, name: str, allowed: tuple[str, ...]) -> None:
    """Check that the value is one of ``allowed``.

    :raises SalesNavigatorConfigurationError: it is not.
    """
    if value not in allowed:
        raise SalesNavigatorConfigurationError(f"{name}={value!r} is not {' or '.join(map(repr, allowed))}.")


def connection_id(value: Any, name: str) -> None:
    """Check that the value can be the id of a connection.

    :raises SalesNavigatorConfigurationError: it is empty or not text.
    """
    if not isinstance(value, str) or not value.strip():
        raise SalesNavigatorConfigurationError(f"{name}={value!r} must be the id of a connection.")
