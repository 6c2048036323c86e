"""The arguments of operators, sensors and transfers that have no meaning of LinkedIn's."""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeAlias

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError

Duration: TypeAlias = float | dt.timedelta
"""Seconds, or a timedelta."""

# Far longer than a job lives, and short enough to be added to any date.
_LONGEST = dt.timedelta(days=365)


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
