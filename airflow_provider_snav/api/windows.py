"""Times and legal export windows.

LinkedIn's range is closed: both ends are exported. An Airflow interval is half-open: its end is not exported.
A window here is LinkedIn's closed range, built from a half-open interval, so that windows in a row have no
overlap and no gap. The rules come from
https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs
which states them for activity exports. This package applies them to all three types. It cuts windows at
midnight UTC if possible, because LinkedIn recommends day boundaries:
https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/design-considerations
"""

from __future__ import annotations

import datetime as dt
from calendar import timegm
from dataclasses import dataclass
from typing import TypeAlias

import pendulum
from dateutil.relativedelta import relativedelta

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorWindowError

MILLISECOND = dt.timedelta(milliseconds=1)
DAY = dt.timedelta(days=1)
SHORTEST = dt.timedelta(hours=1)
LONGEST = dt.timedelta(days=90)
OLDEST_YEARS = 2

REFRESH = DAY
"""How often LinkedIn refreshes the data of analytics exports (https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/faq)."""

CLOCK_TOLERANCE = dt.timedelta(minutes=5)
"""How far the clocks of a worker and of LinkedIn may differ."""

# This is March 1973, and no export is that old. A smaller number is seconds, or a date without its dashes.
LEAST_MILLISECONDS = 10**11

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# The two years before it have a leap day, so that a window of two years is never too long.
_SOME_MIDNIGHT = pendulum.datetime(2025, 1, 1)


Time: TypeAlias = str | int | dt.datetime
"""A time as a DAG author may write it; see :func:`parse_time`."""

Span: TypeAlias = dt.timedelta | relativedelta
"""A length of time. A ``pendulum.duration`` (a timedelta) and a ``relativedelta`` can have months."""


def to_ms(moment: dt.datetime) -> int:
    """Convert an aware datetime to epoch milliseconds, rounded down."""
    # Without a subtraction, whose result cannot be divided if the datetime is pendulum's.
    return timegm(moment.utctimetuple()) * 1000 + moment.microsecond // 1000


def from_ms(milliseconds: int) -> dt.datetime:
    """Convert epoch milliseconds to a UTC datetime."""
    return _EPOCH + milliseconds * MILLISECOND


def to_text(moment: dt.datetime) -> str:
    """Write ISO 8601 text in UTC with milliseconds, as used in XCom and in messages."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(value: Time, name: str) -> dt.datetime:
    """Read a time from an argument.

    :param value: an aware datetime, epoch milliseconds (int or digits), or ISO 8601 text. Text without
        an offset is UTC, so ``{{ ds }}`` works.
    :param name: the argument, for the message.
    :returns: a UTC datetime with whole milliseconds.
    :raises SalesNavigatorConfigurationError: the value is naive, cannot be read, or is a number too small for
        milliseconds.
    """
    try:
        # Inside the try, because every method of pandas.NaT, a datetime, raises ValueError.
        if not isinstance(value, dt.datetime) or value.utcoffset() is not None:
            return from_ms(_read_ms(value))
    except (OverflowError, TypeError, ValueError):
        raise SalesNavigatorConfigurationError(
            f"{name}={value!r} is not a time. Give ISO 8601 text such as '2026-01-31' or"
            " '2026-01-31T00:00:00Z', epoch milliseconds such as 1769817600000, or an aware datetime."
        ) from None
    raise SalesNavigatorConfigurationError(
        f"{name}={value.isoformat()} has no time zone. Give an aware datetime, for example"
        " pendulum.datetime(2026, 1, 31, tz='UTC')."
    )


def _read_ms(value: object) -> int:
    if isinstance(value, dt.datetime):
        return to_ms(value)
    if isinstance(value, str):
        text = value.strip()
        if not text.isdecimal():
            return to_ms(_parse_text(text))
        value = int(text)
    if isinstance(value, int) and not isinstance(value, bool) and value >= LEAST_MILLISECONDS:
        return value
    raise ValueError


def _parse_text(text: str) -> dt.datetime:
    # Only text that begins with a year, because pendulum reads the clock for "now".
    moment: object = pendulum.parse(text, exact=True) if text[:4].isdecimal() else None
    if isinstance(moment, dt.datetime):
        return moment
    if isinstance(moment, dt.date):
        return dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC)
    raise ValueError


@dataclass(frozen=True, slots=True)
class Window:
    """A closed range of time, as LinkedIn receives it.

    :param start_at: the first moment to export, an aware datetime.
    :param end_at: the last moment to export, one millisecond before the next window begins.
    :param shares_end: True for an interval of exactly one hour, LinkedIn's minimum. Its window cannot be a
        millisecond shorter, so its last moment is also the first moment of the next window.
    """

    start_at: dt.datetime
    end_at: dt.datetime
    shares_end: bool = False

    @classmethod
    def half_open(cls, start_at: dt.datetime, until: dt.datetime) -> Window:
        """Return the closed window of the interval from ``start_at`` up to, but without, ``until``."""
        if until - start_at == SHORTEST:
            return cls(start_at, until, shares_end=True)
        return cls(start_at, until - MILLISECOND)

    @property
    def until(self) -> dt.datetime:
        """The moment at which the next window begins."""
        return self.end_at if self.shares_end else self.end_at + MILLISECOND

    def __str__(self) -> str:
        return f"{to_text(self.start_at)} to {to_text(self.end_at)}"

    def check(self, now: dt.datetime) -> None:
        """Check the window's length and age.

        :raises SalesNavigatorWindowError: LinkedIn would refuse the window; the message says what to do.
        """
        self.check_length()
        self.check_age(now)

    def check_length(self) -> None:
        """Refuse a window that is empty, shorter than an hour or longer than 90 days; see :meth:`check`."""
        length = self.end_at - self.start_at
        if length <= dt.timedelta(0):
            raise SalesNavigatorWindowError(f"The window {self} is empty: start_at must lie before end_at.")
        if length < SHORTEST:
            raise SalesNavigatorWindowError(
                f"The window {self} is shorter than one hour, the least LinkedIn exports. Choose a longer"
                " one."
            )
        if length > LONGEST:
            raise SalesNavigatorWindowError(
                f"The window {self} is longer than 90 days, the most LinkedIn exports in one job. Choose"
                " a shorter one. SalesNavigatorAnalyticsExportOperator cuts a long interval into jobs."
            )

    def check_age(self, now: dt.datetime) -> None:
        """Refuse a window that begins more than two years ago; see :meth:`check`."""
        oldest = oldest_start(now)
        if self.start_at < oldest:
            raise SalesNavigatorWindowError(
                f"The window {self} begins more than two years ago; LinkedIn has no older data. The"
                f" earliest start_at now is {to_text(oldest)}."
            )

    def check_end(self, now: dt.datetime) -> None:
        """Refuse a window that ends in the future, because its export would be incomplete.

        :raises SalesNavigatorWindowError: the end is in the future; the message says what to do.
        """
        if self.until > now + CLOCK_TOLERANCE:
            raise SalesNavigatorWindowError(
                f"The window {self} ends in the future (it is {to_text(now)} now). Choose an end that has"
                " passed. In Airflow 3, {{ ds }} of a plain '@daily' schedule is the day the run starts: give"
                " window=timedelta(days=1) for the day before."
            )

    def ends_before_refresh(self, now: dt.datetime) -> bool:
        """True when LinkedIn may not have refreshed its data since the window ended."""
        return self.until > now - REFRESH

    def halves(self, *, whole_days: bool = False) -> tuple[Window, Window] | None:
        """Cut this window into two windows. Return None if it is too short.

        The cut is at the midnight (UTC) nearest to the middle. If no midnight leaves more than an hour on
        both sides, the cut is a whole number of hours after the start.

        :param whole_days: if True, cut only at midnight, and leave at least a day on both sides.
        """
        length = self.until - self.start_at
        cut = midnight(self.start_at + length / 2 + DAY / 2 - MILLISECOND)
        least = DAY if whole_days else SHORTEST + MILLISECOND
        if min(cut - self.start_at, self.until - cut) < least:
            hours = length // 2 // SHORTEST
            if whole_days or not hours:
                return None
            cut = self.start_at + hours * SHORTEST
        return Window.half_open(self.start_at, cut), Window.half_open(cut, self.until)


def midnight(moment: dt.datetime) -> dt.datetime:
    """Return the last midnight (UTC) that is not after ``moment``."""
    return moment.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def oldest_start(now: dt.datetime) -> dt.datetime:
    """Return the earliest start that LinkedIn accepts: two calendar years before ``now``."""
    return from_ms(to_ms(pendulum.instance(now).subtract(years=OLDEST_YEARS)))


def interval_before(end: dt.datetime, window: Span, lag: dt.timedelta) -> tuple[dt.datetime, dt.datetime]:
    """Return the half-open interval of length ``window`` before ``end``, moved back by ``lag``.

    A window of whole days, weeks, months or years begins and ends at midnight UTC. The interval begins where
    that of a run one ``window`` earlier ends, also if the months differ in length. So runs leave no gap.
    """
    until = pendulum.instance(end).in_timezone("UTC")
    start_at = until - window
    if is_whole_days(window):
        return midnight(start_at - lag), midnight(until - lag)
    return start_at - lag, until - lag


def check_window(window: Span) -> None:
    """Check a ``window``.

    :raises SalesNavigatorConfigurationError: it is not a length of time.
    :raises SalesNavigatorWindowError: it is shorter than an hour or longer than two years.
    """
    if not isinstance(window, dt.timedelta | relativedelta):
        raise SalesNavigatorConfigurationError(
            f"window={window!r} must be a timedelta, pendulum.duration or relativedelta, such as"
            " timedelta(days=1)."
        )
    try:
        start_at = _SOME_MIDNIGHT - window
    except (OverflowError, ValueError):
        start_at = pendulum.DateTime.min
    if start_at > _SOME_MIDNIGHT - SHORTEST:
        raise SalesNavigatorWindowError(
            f"window={window!r} is shorter than one hour, the least LinkedIn exports. Give a longer one."
        )
    if start_at < oldest_start(_SOME_MIDNIGHT):
        raise SalesNavigatorWindowError(
            f"window={window!r} is longer than two years. LinkedIn has no older data: give a shorter one."
        )


def is_whole_days(window: Span) -> bool:
    """Return True for whole days, weeks, months or years: a midnight minus such a time is a midnight."""
    before = _SOME_MIDNIGHT - window
    return before == midnight(before)


def split(start_at: dt.datetime, until: dt.datetime, *, whole_days: bool = False) -> tuple[Window, ...]:
    """Cut a half-open interval into windows of at most 90 days. All but the last end at midnight UTC.

    This does not check the age and the end of the windows, because a submitted job may become older than
    :meth:`Window.check_age` allows.

    :param whole_days: if True, the last window has at least a day.
    :raises SalesNavigatorWindowError: the interval is empty or too short.
    """
    # Whole milliseconds in UTC, because there a day always has 24 hours.
    start_at, until = from_ms(to_ms(start_at)), from_ms(to_ms(until))
    windows: list[Window] = []
    if until - start_at < SHORTEST:
        Window(start_at, until).check_length()
    least = DAY if whole_days else SHORTEST + MILLISECOND
    while until - start_at > LONGEST:
        cut = midnight(start_at + LONGEST)
        if until - cut < least:
            # Otherwise the last window would be illegal, share a moment, or begin within a day.
            cut -= DAY
        windows.append(Window.half_open(start_at, cut))
        start_at = cut
    return (*windows, Window.half_open(start_at, until))
