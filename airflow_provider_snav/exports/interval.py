"""The time to export: from the arguments of the DAG author, or from the run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeAlias

from airflow_provider_snav.api.errors import SalesNavigatorWindowError
from airflow_provider_snav.api.models import ExportType
from airflow_provider_snav.api.windows import Span, Window, interval_before, parse_time, split, to_text
from airflow_provider_snav.exports.export import MAX_SLICES

Interval: TypeAlias = tuple[dt.datetime, dt.datetime]
"""Half-open: the end is not part of it."""


def optional_time(value: Any, name: str) -> dt.datetime | None:
    """Read a time, or None. A template without a value renders to empty text or to 'None'.

    :raises SalesNavigatorConfigurationError: see :func:`~airflow_provider_snav.api.windows.parse_time`.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        return None
    return parse_time(value, name)


def given_interval(start_at: Any, end_at: Any) -> Interval | None:
    """Return the interval of the arguments; None without arguments.

    :raises SalesNavigatorConfigurationError: one of the two is not a time.
    :raises SalesNavigatorWindowError: only one of the two was given.
    """
    start, end = optional_time(start_at, "start_at"), optional_time(end_at, "end_at")
    if start is None and end is None:
        return None
    if start is None or end is None:
        missing = "start_at" if start is None else "end_at"
        raise SalesNavigatorWindowError(f"start_at and end_at go together: {missing} is missing.")
    return start, end


def run_interval(run: Mapping[str, Any], window: Span | None, lag: dt.timedelta) -> Interval:
    """Return the interval of a run: ``window`` before its end, or its data interval; moved back by ``lag``.

    :param run: Airflow's context. In Airflow 3, a run without a logical date has no data interval.
    :raises SalesNavigatorWindowError: the run has no time to export.
    """
    start, end = run.get("data_interval_start"), run.get("data_interval_end")
    last = end or run.get("logical_date") or getattr(run.get("dag_run"), "run_after", None)
    if window is not None and last:
        return interval_before(parse_time(last, "data_interval_end"), window, lag)
    if start and end and start != end:
        return parse_time(start, "data_interval_start") - lag, parse_time(end, "data_interval_end") - lag
    found = f"an empty data interval ({to_text(start)})" if start else "no data interval and no logical date"
    raise SalesNavigatorWindowError(
        f"This run has {found}, so there is no time to export. Either give start_at and end_at; or give"
        " window=timedelta(days=1), the time before the run; or schedule the DAG with"
        " CronDataIntervalTimetable('@daily', timezone='UTC'), whose runs have an interval."
    )


def windows_of(interval: Interval, export_type: str | None = None) -> tuple[Window, ...]:
    """Cut an interval into the windows of its jobs.

    :param export_type: decides where to cut. A template that is not rendered yet is allowed.
    :raises SalesNavigatorWindowError: it is empty, too short, or needs more jobs than an Export can have.
    """
    whole_days = [each for each in ExportType if each.has_whole_days]
    windows = split(*interval, whole_days=export_type in whole_days)
    if len(windows) > MAX_SLICES:
        start_at, until = interval
        raise SalesNavigatorWindowError(
            f"The time from {to_text(start_at)} to {to_text(until)} needs {len(windows)} jobs, and an export"
            f" has {MAX_SLICES} at most. LinkedIn has data of two years. Choose a shorter time."
        )
    return windows
