"""Times and legal export windows.

LinkedIn's range is closed: both ends are exported. An Airflow interval is half-open: its end belongs to
the next one. A window here is LinkedIn's closed range, built from a half-open one so that neighbours
neither overlap nor leave a gap. The rules are those of the document "Sales Analytics Export Jobs",
stated there for activity exports and applied to all three types.
"""

from __future__ import annotations

import datetime as dt
from calendar import timegm
from dataclasses import dataclass
from typing import TypeAlias

import pendulum

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorWindowError

MILLISECOND = dt.timedelta(milliseconds=1)
SHORTEST = dt.timedelta(hours=1)
LONGEST = dt.timedelta(days=90)
OLDEST_YEARS = 2

# In March 1973; no export reaches that far back. A smaller number is seconds, or a date without its dashes.
LEAST_MILLISECONDS = 10**11

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


Time: TypeAlias = str | int | dt.datetime
"""A time as a DAG author may write it; see :func:`parse_time`."""


def to_ms(moment: dt.datetime) -> int:
    """Epoch milliseconds, rounded down, of an aware datetime."""
    # Not by subtraction: pendulum's datetimes subtract to something that does not divide.
    return timegm(moment.utctimetuple()) * 1000 + moment.microsecond // 1000


def from_ms(milliseconds: int) -> dt.datetime:
    """The UTC datetime of epoch milliseconds."""
    return _EPOCH + milliseconds * MILLISECOND


def to_text(moment: dt.datetime) -> str:
    """ISO 8601 text in UTC with milliseconds, the form times take in XCom and in messages."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(value: Time, name: str) -> dt.datetime:
    """Read one time as a DAG author may write it.

    :param value: an aware datetime, epoch milliseconds (int or digits), or ISO 8601 text. Text without
        an offset is UTC, so ``{{ ds }}`` works.
    :param name: the argument, for the message.
    :returns: a UTC datetime with whole milliseconds.
    :raises SalesNavigatorConfigurationError: the value is naive, cannot be read, or is a number too small for
        milliseconds.
    """
    if isinstance(value, dt.datetime) and value.utcoffset() is None:
        raise SalesNavigatorConfigurationError(
            f"{name}={value.isoformat()} has no time zone. Give an aware datetime, for example"
            " pendulum.datetime(2026, 1, 31, tz='UTC')."
        )
    try:
        return from_ms(_read_ms(value))
    except (OverflowError, TypeError, ValueError):
        raise SalesNavigatorConfigurationError(
            f"{name}={value!r} is not a time. Give ISO 8601 text such as '2026-01-31' or"
            " '2026-01-31T00:00:00Z', epoch milliseconds such as 1769817600000, or an aware datetime."
        ) from None


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
    # Only what begins with a year: pendulum reads the clock for "now".
    moment: object = pendulum.parse(text, exact=True) if text[:4].isdecimal() else None
    if isinstance(moment, dt.datetime):
        return moment
    if isinstance(moment, dt.date):
        return dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC)
    raise ValueError


@dataclass(frozen=True, slots=True)
class Window:
    """A closed range of time, exactly as sent to LinkedIn.

    :param start_at: first moment exported.
    :param end_at: last moment exported, one millisecond before the next window begins.
    :param shares_end: True for a window cut from exactly one hour. It cannot be a millisecond shorter
        than LinkedIn's minimum, so its last moment is also the first of the next window.
    """

    start_at: dt.datetime
    end_at: dt.datetime
    shares_end: bool = False

    @classmethod
    def half_open(cls, start_at: dt.datetime, until: dt.datetime) -> Window:
        """The closed window of the interval from ``start_at`` up to, not including, ``until``."""
        if until - start_at == SHORTEST:
            return cls(start_at, until, shares_end=True)
        return cls(start_at, until - MILLISECOND)

    @property
    def until(self) -> dt.datetime:
        """Where the next window begins."""
        return self.end_at if self.shares_end else self.end_at + MILLISECOND

    def __str__(self) -> str:
        return f"{to_text(self.start_at)} to {to_text(self.end_at)}"

    def check(self, now: dt.datetime) -> None:
        """Refuse what LinkedIn would refuse.

        :raises SalesNavigatorWindowError: says which rule is broken and how to mend it.
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
                f"The window {self} is shorter than one hour, the least LinkedIn exports. Ask for a longer"
                " one."
            )
        if length > LONGEST:
            raise SalesNavigatorWindowError(
                f"The window {self} is longer than 90 days, the most LinkedIn exports in one job. Ask for"
                " shorter ones; SalesNavigatorAnalyticsExportOperator cuts a long interval by itself."
            )

    def check_age(self, now: dt.datetime) -> None:
        """Refuse a window that begins more than two years ago; see :meth:`check`."""
        oldest = oldest_start(now)
        if self.start_at < oldest:
            raise SalesNavigatorWindowError(
                f"The window {self} begins more than two years ago; LinkedIn has no older data. The"
                f" earliest start_at now is {to_text(oldest)}."
            )

    def halves(self) -> tuple[Window, Window] | None:
        """Two windows that cover this one, cut at a whole hour from its start; None below two hours."""
        hours = (self.until - self.start_at) // 2 // SHORTEST
        if not hours:
            return None
        middle = self.start_at + hours * SHORTEST
        return Window.half_open(self.start_at, middle), Window.half_open(middle, self.until)


def oldest_start(now: dt.datetime) -> dt.datetime:
    """The earliest start LinkedIn accepts: two calendar years ago."""
    return from_ms(to_ms(pendulum.instance(now).subtract(years=OLDEST_YEARS)))


def split(start_at: dt.datetime, until: dt.datetime) -> tuple[Window, ...]:
    """Cut a half-open interval into windows of legal length, each at most 90 days.

    How old the first may be is asked apart, by :meth:`Window.check_age`: of an export already submitted it
    no longer matters.

    :raises SalesNavigatorWindowError: the interval is empty or too short.
    """
    # Whole milliseconds in UTC, where adding a day is adding 24 hours.
    start_at, until = from_ms(to_ms(start_at)), from_ms(to_ms(until))
    windows: list[Window] = []
    if until - start_at < SHORTEST:
        Window(start_at, until).check_length()
    while start_at < until:
        rest = until - start_at
        length = min(rest, LONGEST)
        if dt.timedelta(0) < rest - length <= SHORTEST:
            # The last window would be illegal, or share a moment: leave it a day more.
            length -= dt.timedelta(days=1)
        windows.append(Window.half_open(start_at, start_at + length))
        start_at += length
    return tuple(windows)
