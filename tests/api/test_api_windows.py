"""Times are read one way, and windows are legal, whole and without gaps."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorWindowError
from airflow_provider_snav.api.windows import (
    LONGEST,
    MILLISECOND,
    SHORTEST,
    Window,
    from_ms,
    midnight,
    oldest_start,
    parse_time,
    split,
    to_ms,
    to_text,
)

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
JANUARY_31 = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
BERLIN = ZoneInfo("Europe/Berlin")


class NoOffset(dt.tzinfo):
    """A time zone that does not know its offset: Python calls such a datetime naive."""

    def utcoffset(self, moment: dt.datetime | None) -> None:
        return None

    tzname = dst = utcoffset


class NotATime(dt.datetime):
    """Like ``pandas.NaT``: a datetime whose every method raises."""

    def utcoffset(self) -> None:
        raise ValueError("NaTType does not support utcoffset")

    def __repr__(self) -> str:
        return "NaT"


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (JANUARY_31, JANUARY_31),
        (dt.datetime(2026, 1, 31, 1, tzinfo=BERLIN), JANUARY_31),
        (dt.datetime(2026, 1, 30, 14, 30, tzinfo=dt.timezone(dt.timedelta(hours=-9.5))), JANUARY_31),
        (pendulum.datetime(2026, 1, 31, 1, tz="Europe/Berlin"), JANUARY_31),
        (1769817600000, JANUARY_31),
        ("1769817600000", JANUARY_31),
        (" 1769817600000 ", JANUARY_31),
        ("2026-01-31", JANUARY_31),
        (" 2026-01-31\n", JANUARY_31),
        ("2026-01", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("2026-01-31T00:00:00", JANUARY_31),
        ("2026-01-31 00:00:00", JANUARY_31),
        ("2026-01-31T00:00:00Z", JANUARY_31),
        ("2026-01-31T00:00:00.000000+00:00", JANUARY_31),
        ("2026-01-31T01:00:00+01:00", JANUARY_31),
        ("2026-01-30T18:30:00-05:30", JANUARY_31),
        ("20260131T000000Z", JANUARY_31),
        ("2026-01-31T00:00:00.999999Z", JANUARY_31 + 999 * MILLISECOND),
    ],
)
def test_a_time_is_read_however_a_dag_author_writes_it(
    value: str | int | dt.datetime, moment: dt.datetime
) -> None:
    read = parse_time(value, "start_at")
    assert read == moment
    assert read.tzinfo is dt.UTC
    assert type(read) is dt.datetime


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "None",
        "now",
        "today",
        "tomorrow",
        "yesterday",
        "P1D",
        "P1D/2026-01-31",
        "2026-01-30/2026-01-31",
        "2026-01-30/P1D",
        "12:00",
        "1/31/2026",
        "2026-02-30",
        "2026-01-31T25:00",
        "{{ ds }}",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "9" * 5000,
        10**17,
        10**30,
        True,
        False,
        None,
        1769817600000.0,
        b"2026-01-31",
        dt.date(2026, 1, 31),
        DAY,
        float("nan"),
        object,
        NotATime(2026, 1, 31, tzinfo=dt.UTC),
        dt.datetime.min.replace(tzinfo=dt.timezone(HOUR)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_time_is_refused_and_the_message_shows_how_to_write_one(value: object) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match=r"^start_at=.*is not a time\. Give ISO 8601"):
        parse_time(value, "start_at")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["20260131", "2026", "1769817600", 1769817600, 20260131, 0, -1, 10**11 - 1], ids=repr
)
def test_a_number_too_small_for_milliseconds_is_refused_and_not_taken_for_1970(value: str | int) -> None:
    """{{ ds_nodash }} and epoch seconds would otherwise ask for decades of data."""
    with pytest.raises(SalesNavigatorConfigurationError, match="epoch milliseconds such as 1769817600000"):
        parse_time(value, "end_at")


def test_the_smallest_number_taken_for_milliseconds_lies_in_1973() -> None:
    assert parse_time(10**11, "start_at") == dt.datetime(1973, 3, 3, 9, 46, 40, tzinfo=dt.UTC)


@pytest.mark.parametrize("zone", [None, NoOffset()])
def test_a_naive_datetime_is_refused_and_the_message_gives_an_aware_one(zone: dt.tzinfo | None) -> None:
    with pytest.raises(
        SalesNavigatorConfigurationError, match=r"^end_at=2026-01-31T00:00:00 has no time zone"
    ):
        parse_time(dt.datetime(2026, 1, 31, tzinfo=zone), "end_at")


@given(moment=st.datetimes(timezones=st.timezones()))
@example(moment=dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC))
def test_milliseconds_are_rounded_down(moment: dt.datetime) -> None:
    assume(1 < moment.year < 9999)
    assert dt.timedelta(0) <= moment.astimezone(dt.UTC) - from_ms(to_ms(moment)) < MILLISECOND


@given(milliseconds=st.integers(-(10**13), 10**14))
def test_milliseconds_survive_the_way_to_a_datetime_and_to_text_and_back(milliseconds: int) -> None:
    moment = from_ms(milliseconds)
    assert to_ms(moment) == to_ms(pendulum.instance(moment)) == milliseconds
    assert to_text(moment) == to_text(moment.astimezone(BERLIN))
    assert parse_time(to_text(moment), "start_at") == moment


def test_text_is_utc_with_milliseconds() -> None:
    assert to_text(dt.datetime(2026, 1, 31, 1, 2, 3, 4999, tzinfo=BERLIN)) == "2026-01-31T00:02:03.004Z"


def test_a_window_ends_on_the_last_millisecond_before_the_next_begins() -> None:
    window = Window.half_open(START, START + DAY)
    assert str(window) == "2026-01-01T00:00:00.000Z to 2026-01-01T23:59:59.999Z"
    assert not window.shares_end
    assert window.until == START + DAY


def test_a_window_of_exactly_one_hour_shares_its_last_millisecond() -> None:
    window = Window.half_open(START, START + HOUR)
    assert (window.end_at, window.until, window.shares_end) == (START + HOUR, START + HOUR, True)


def test_a_window_of_one_hour_and_a_millisecond_shares_nothing() -> None:
    window = Window.half_open(START, START + HOUR + MILLISECOND)
    assert (window.end_at, window.shares_end) == (START + HOUR, False)
    window.check(NOW)


@pytest.mark.parametrize("length", [HOUR, HOUR + MILLISECOND, DAY, LONGEST - MILLISECOND, LONGEST])
def test_a_window_from_one_hour_to_90_days_is_legal(length: dt.timedelta) -> None:
    Window(START, START + length).check(NOW)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (dt.timedelta(0), "is empty: start_at must lie before end_at"),
        (-MILLISECOND, "is empty: start_at must lie before end_at"),
        (-DAY, "is empty: start_at must lie before end_at"),
        (MILLISECOND, "shorter than one hour, the least LinkedIn exports. Choose a longer one"),
        (dt.timedelta(minutes=5), "shorter than one hour, the least LinkedIn exports. Choose a longer one"),
        (HOUR - MILLISECOND, "shorter than one hour, the least LinkedIn exports. Choose a longer one"),
        (
            LONGEST + MILLISECOND,
            "longer than 90 days, the most LinkedIn exports in one job. Choose a shorter",
        ),
        (
            dt.timedelta(days=91),
            "longer than 90 days, the most LinkedIn exports in one job. Choose a shorter",
        ),
    ],
)
def test_an_illegal_window_is_refused_and_the_message_names_it_the_rule_and_the_way_out(
    length: dt.timedelta, message: str
) -> None:
    window = Window(START, START + length)
    with pytest.raises(SalesNavigatorWindowError, match=message) as refused:
        window.check(NOW)
    assert str(window) in str(refused.value)
    assert not refused.value.retryable


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        (dt.datetime(2026, 6, 15, 12, 30, tzinfo=dt.UTC), dt.datetime(2024, 6, 15, 12, 30, tzinfo=dt.UTC)),
        # Two years that hold a leap day, two that do not, and a leap day without a counterpart.
        (dt.datetime(2026, 2, 28, tzinfo=dt.UTC), dt.datetime(2024, 2, 28, tzinfo=dt.UTC)),
        (dt.datetime(2027, 3, 1, tzinfo=dt.UTC), dt.datetime(2025, 3, 1, tzinfo=dt.UTC)),
        (dt.datetime(2028, 2, 29, tzinfo=dt.UTC), dt.datetime(2026, 2, 28, tzinfo=dt.UTC)),
    ],
)
def test_a_window_may_begin_exactly_two_calendar_years_ago_and_not_a_millisecond_earlier(
    now: dt.datetime, oldest: dt.datetime
) -> None:
    assert oldest_start(now) == oldest
    Window(oldest, oldest + DAY).check(now)
    with pytest.raises(SalesNavigatorWindowError, match="more than two years ago") as refused:
        Window(oldest - MILLISECOND, oldest + DAY).check(now)
    assert str(refused.value).endswith(f"The earliest start_at now is {to_text(oldest)}.")


def assert_covers(windows: tuple[Window, ...], start_at: dt.datetime, until: dt.datetime) -> None:
    """No gap, and no overlap but the one millisecond that windows of one hour share."""
    assert windows[0].start_at == start_at
    assert windows[-1].until == until
    for earlier, later in pairwise(windows):
        assert later.start_at == earlier.until
        assert later.start_at - earlier.end_at == (dt.timedelta(0) if earlier.shares_end else MILLISECOND)
    for window in windows:
        assert window.shares_end == (window.until - window.start_at == SHORTEST)


TWO_YEARS = NOW - oldest_start(NOW)
_milliseconds = st.integers(to_ms(NOW - TWO_YEARS), to_ms(NOW))


@given(a=_milliseconds, b=_milliseconds)
@example(a=to_ms(START), b=to_ms(START + HOUR))
@example(a=to_ms(NOW - TWO_YEARS), b=to_ms(NOW))
@example(a=to_ms(START), b=to_ms(START + LONGEST))
@example(a=to_ms(START), b=to_ms(START + LONGEST + MILLISECOND))
@example(a=to_ms(START), b=to_ms(START + LONGEST + HOUR - MILLISECOND))
@example(a=to_ms(START), b=to_ms(START + LONGEST + HOUR))
@example(a=to_ms(START), b=to_ms(START + LONGEST + HOUR + MILLISECOND))
def test_an_interval_is_cut_into_legal_windows_that_cover_exactly_it(a: int, b: int) -> None:
    start_at, until = from_ms(min(a, b)), from_ms(max(a, b))
    assume(until - start_at >= SHORTEST)
    windows = split(start_at, until)
    assert_covers(windows, start_at, until)
    assert len(windows) <= 10
    for window in windows:
        window.check(NOW)
    if len(windows) > 1:
        assert not any(window.shares_end for window in windows)
    assert all(at_midnight(window.start_at) for window in windows[1:])


@given(extra=st.integers(0, 3_600_000), full=st.integers(1, 8))
def test_a_rest_of_an_hour_or_less_is_not_left_to_the_last_window(extra: int, full: int) -> None:
    until = NOW - TWO_YEARS + full * LONGEST + extra * MILLISECOND
    assume(until <= NOW)
    windows = split(NOW - TWO_YEARS, until)
    assert_covers(windows, NOW - TWO_YEARS, until)
    assert windows[-1].until - windows[-1].start_at > SHORTEST


def test_ninety_days_are_one_window() -> None:
    assert split(START, START + LONGEST) == (Window(START, START + LONGEST - MILLISECOND),)


def test_an_interval_is_cut_by_elapsed_time_and_not_by_the_clock_on_the_wall() -> None:
    """Across a change of summer time, 90 days on the wall are an hour more than LinkedIn exports."""
    start_at = dt.datetime(2025, 9, 1, tzinfo=BERLIN)
    windows = split(start_at, dt.datetime(2025, 12, 31, tzinfo=BERLIN))
    for window in windows:
        assert window.start_at.tzinfo is dt.UTC
        window.check(NOW)
    assert_covers(windows, start_at.astimezone(dt.UTC), dt.datetime(2025, 12, 30, 23, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (dt.timedelta(0), "is empty"),
        (-DAY, "is empty"),
        (HOUR - MILLISECOND, "shorter than one hour"),
    ],
)
def test_an_interval_that_no_window_fits_is_refused(length: dt.timedelta, message: str) -> None:
    with pytest.raises(SalesNavigatorWindowError, match=message):
        split(START, START + length)


def test_an_interval_that_begins_too_early_is_refused_whatever_its_length() -> None:
    oldest = oldest_start(NOW)
    with pytest.raises(SalesNavigatorWindowError, match="two years"):
        split(oldest - MILLISECOND, NOW)[0].check_age(NOW)
    split(oldest, NOW)[0].check_age(NOW)
    assert split(oldest, NOW)[0].start_at == oldest


_intervals = st.tuples(st.integers(3_600_000, 90 * 86_400_000), st.integers(0, 86_400_000)).map(
    lambda drawn: Window.half_open(START + drawn[1] * MILLISECOND, START + sum(drawn) * MILLISECOND)
)


def at_midnight(moment: dt.datetime) -> bool:
    return moment == midnight(moment)


@given(window=_intervals)
@example(window=Window.half_open(START, START + 2 * HOUR))
@example(window=Window.half_open(START, START + 2 * HOUR - MILLISECOND))
@example(window=Window.half_open(START, START + 25 * HOUR))
def test_halves_are_legal_and_cover_their_window_and_there_are_none_below_two_hours(window: Window) -> None:
    halves = window.halves()
    if window.until - window.start_at < 2 * HOUR:
        assert halves is None
        return
    assert halves
    assert_covers(halves, window.start_at, window.until)
    for half in halves:
        half.check(NOW)
    if window.until - window.start_at >= 2 * DAY:
        assert at_midnight(halves[1].start_at)
    elif not at_midnight(halves[1].start_at):
        assert (halves[1].start_at - window.start_at) % HOUR == dt.timedelta(0)


@given(window=_intervals, choices=st.lists(st.integers(0, 1), min_size=16, max_size=16))
def test_halving_again_and_again_ends_at_a_window_below_two_hours(window: Window, choices: list[int]) -> None:
    steps = 0
    for choice in choices:
        halves = window.halves()
        if not halves:
            break
        window, steps = halves[choice], steps + 1
    assert window.halves() is None
    assert window.until - window.start_at < 2 * HOUR
    assert steps <= 13


@pytest.mark.parametrize(
    ("hours", "until", "cut"),
    [
        (0, 24, 12),
        (0, 25, 12),
        (0, 26, 24),
        (0, 48, 24),
        (0, 72, 24),
        (0, 96, 48),
        (6, 54, 24),
        (22, 40, 24),
        (23, 40, 31),
        (0, 2, 1),
    ],
)
def test_a_window_is_halved_at_the_midnight_nearest_to_its_middle_or_else_at_a_whole_hour(
    hours: int, until: int, cut: int
) -> None:
    halves = Window.half_open(START + hours * HOUR, START + until * HOUR).halves()
    assert halves
    assert halves[1].start_at == START + cut * HOUR


@given(window=_intervals)
@example(window=Window.half_open(START, START + 2 * DAY))
@example(window=Window.half_open(START, START + 2 * DAY - MILLISECOND))
@example(window=Window.half_open(START + 6 * HOUR, START + 3 * DAY - 6 * HOUR))
def test_seats_are_never_cut_within_a_day_nor_below_one(window: Window) -> None:
    halves = window.halves(whole_days=True)
    if halves:
        assert at_midnight(halves[1].start_at)
        assert min(half.until - half.start_at for half in halves) >= DAY
    else:
        assert window.until - window.start_at < 3 * DAY


def test_ninety_days_and_six_hours_of_seats_leave_no_rest_below_a_day() -> None:
    until = START + LONGEST + 6 * HOUR
    assert [window.until for window in split(START, until)] == [START + LONGEST, until]
    assert [window.until for window in split(START, until, whole_days=True)] == [
        START + LONGEST - DAY,
        until,
    ]


def test_an_hour_halved_off_shares_its_end_and_its_sister_begins_there() -> None:
    halves = Window.half_open(START, START + 2 * HOUR).halves()
    assert halves
    first, second = halves
    assert first.shares_end
    assert first.end_at == second.start_at == START + HOUR
    assert second.until == START + 2 * HOUR
