"""Checks of general arguments. They run when Airflow reads the DAG file, and again in the task."""

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
"""By the name of the argument."""

# Far longer than a job lives, and short enough to be added to any date.
_LONGEST = dt.timedelta(days=365)


def check_arguments(task: Any, checks: Checks) -> None:
    """Check every argument that is no template any more. In a running task, that is every argument.

    :param task: has the arguments as attributes, and ``template_fields``.
    :raises SalesNavigatorConfigurationError: of the first argument that is wrong.
    """
    for name, check in checks.items():
        value = getattr(task, name)
        if not (name in task.template_fields and is_template(value)):
            check(value, name)


def is_template(value: Any) -> bool:
    """True for what Airflow has yet to render or resolve: Jinja in any text, another task's output."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(map(is_template, value.values()))
    if isinstance(value, list | tuple):
        return any(map(is_template, value))
    if hasattr(value, "joinpath"):  # Airflow renders the text of an ObjectStoragePath, too
        return is_template(str(value))
    # Airflow's ResolveMixin: an XComArg, a DagParam, an argument of a mapped task group.
    return hasattr(value, "iter_references")


def optional(check: Check) -> Check:
    """The same check, but None is allowed."""
    return lambda value, name: None if value is None else check(value, name)


def duration(value: Any, name: str, least: dt.timedelta = dt.timedelta(0)) -> dt.timedelta:
    """Read a duration.

    :param value: seconds (int or float), or a timedelta.
    :param name: the argument, for the message.
    :param least: the shortest that is allowed.
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
    """Check that it is True or False; the text "False" would count as True.

    :raises SalesNavigatorConfigurationError: it is neither.
    """
    if not isinstance(value, bool):
        raise SalesNavigatorConfigurationError(f"{name}={value!r} must be True or False.")


def whole_number(value: Any, name: str, least: int) -> None:
    """Check that it is an int, ``least`` or more.

    :raises SalesNavigatorConfigurationError: it is not.
    """
    if type(value) is not int or value < least:
        raise SalesNavigatorConfigurationError(f"{name}={value!r} must be a whole number, {least} or more.")


def one_of(value: Any, name: str, allowed: tuple[str, ...]) -> None:
    """Check that it is one of a few words.

    :raises SalesNavigatorConfigurationError: it is another.
    """
    if value not in allowed:
        raise SalesNavigatorConfigurationError(f"{name}={value!r} is not {' or '.join(map(repr, allowed))}.")


def connection_id(value: Any, name: str) -> None:
    """Check that it can name a connection.

    :raises SalesNavigatorConfigurationError: it is empty or not text.
    """
    if not isinstance(value, str) or not value.strip():
        raise SalesNavigatorConfigurationError(f"{name}={value!r} must be the id of a connection.")
