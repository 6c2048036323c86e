"""What an export covers, and which questions are refused before LinkedIn hears of them."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowFailException
from dateutil.relativedelta import relativedelta
from task_runs import MAPPED, MIDNIGHT, START, UNTIL, exporting, on_worker

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.sandbox.server import Sandbox

MILLISECOND = dt.timedelta(milliseconds=1)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NO_TIMES = {"start_at": None, "end_at": None}
INTERVAL = {"data_interval_start": START, "data_interval_end": UNTIL, "logical_date": START}
EMPTY = {"data_interval_start": UNTIL, "data_interval_end": UNTIL, "logical_date": UNTIL}


def ms(moment: dt.datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def submitted_windows(
    sandbox: Sandbox, arguments: dict[str, Any], **run: Any
) -> list[tuple[dt.datetime, ...]]:
    """First and last moment of every job as LinkedIn was told, after a run that waits for none."""
    on_worker(exporting(wait_for_completion=False, **arguments), **run)
    return [
        tuple(EPOCH + at * MILLISECOND for at in (job.start_at, job.end_at)) for job in sandbox.created_jobs
    ]


def refusal(sandbox: Sandbox, arguments: dict[str, Any], **run: Any) -> str:
    """The message of a task Airflow will not retry, when nothing at all was sent."""
    with pytest.raises(AirflowFailException) as failure:
        on_worker(exporting(**MAPPED, **arguments), **run)
    assert sandbox.requests == []
    return str(failure.value)


@pytest.mark.parametrize(
    "given",
    [
        lambda moment: moment,
        lambda moment: moment.astimezone(dt.timezone(dt.timedelta(hours=-7))),
        pendulum.instance,
        ms,
        lambda moment: str(ms(moment)),
        lambda moment: moment.isoformat(),
        lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        lambda moment: f"{moment:%Y-%m-%d}",
        lambda moment: f"{moment + dt.timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00",
    ],
    ids=["datetime", "zone", "pendulum", "ms", "ms text", "isoformat", "Z", "ds", "offset"],
)
def test_a_time_may_be_written_in_many_ways(snav_sandbox: Sandbox, given: Any) -> None:
    times = {"start_at": given(START), "end_at": given(UNTIL)}
    assert submitted_windows(snav_sandbox, times) == [(START, UNTIL - MILLISECOND)]


def test_without_times_the_data_interval_is_exported_up_to_its_last_millisecond(
    snav_sandbox: Sandbox,
) -> None:
    assert submitted_windows(snav_sandbox, NO_TIMES, **INTERVAL) == [(START, UNTIL - MILLISECOND)]


def test_two_runs_in_a_row_share_no_millisecond_and_leave_none_out(snav_sandbox: Sandbox) -> None:
    following = {"data_interval_start": UNTIL, "data_interval_end": UNTIL + DAY}
    submitted_windows(snav_sandbox, NO_TIMES, **INTERVAL)
    (_, last), (first, _) = submitted_windows(snav_sandbox, NO_TIMES, **following)
    assert first - last == MILLISECOND


def test_times_win_over_window_and_data_interval(snav_sandbox: Sandbox) -> None:
    times = {"start_at": START - DAY, "end_at": START, "window": 7 * DAY}
    assert submitted_windows(snav_sandbox, times, **INTERVAL) == [(START - DAY, START - MILLISECOND)]


def test_window_wins_over_the_data_interval_and_ends_where_it_ends(snav_sandbox: Sandbox) -> None:
    found = submitted_windows(snav_sandbox, NO_TIMES | {"window": 7 * DAY}, **INTERVAL)
    assert found == [(UNTIL - 7 * DAY, UNTIL - MILLISECOND)]


def test_window_lies_before_the_empty_interval_of_a_plain_daily_schedule(snav_sandbox: Sandbox) -> None:
    found = submitted_windows(snav_sandbox, NO_TIMES | {"window": DAY}, **EMPTY)
    assert found == [(UNTIL - DAY, UNTIL - MILLISECOND)]


def test_window_lies_before_the_logical_date_of_a_run_without_an_interval(snav_sandbox: Sandbox) -> None:
    run = {"data_interval_start": None, "data_interval_end": None, "logical_date": UNTIL}
    found = submitted_windows(snav_sandbox, NO_TIMES | {"window": DAY}, **run)
    assert found == [(UNTIL - DAY, UNTIL - MILLISECOND)]


@pytest.mark.parametrize(
    ("arguments", "run"),
    [(NO_TIMES, INTERVAL), (NO_TIMES | {"window": DAY}, EMPTY)],
    ids=["data interval", "window"],
)
@pytest.mark.parametrize("lag", [2 * DAY, 2 * 86_400], ids=["timedelta", "seconds"])
def test_lag_shifts_what_the_run_determines_into_the_past(
    snav_sandbox: Sandbox, arguments: dict[str, Any], run: dict[str, Any], lag: Any
) -> None:
    found = submitted_windows(snav_sandbox, arguments | {"lag": lag}, **run)
    assert found == [(START - 2 * DAY, UNTIL - 2 * DAY - MILLISECOND)]


def test_start_at_and_end_at_are_exported_as_they_are_without_lag(snav_sandbox: Sandbox) -> None:
    assert submitted_windows(snav_sandbox, {"lag": DAY}) == [(START, UNTIL - MILLISECOND)]


NOON = MIDNIGHT - DAY + dt.timedelta(hours=12)


@pytest.mark.parametrize(
    ("window", "starts", "ends"),
    [
        (DAY, NOON - 2.5 * DAY, NOON - 1.5 * DAY),
        (7 * DAY, NOON - 8.5 * DAY, NOON - 1.5 * DAY),
        (HOUR, NOON - DAY - HOUR, NOON - DAY),
        (25 * HOUR, NOON - DAY - 25 * HOUR, NOON - DAY),
    ],
    ids=["day", "week", "hour", "25 hours"],
)
@pytest.mark.parametrize(
    "run",
    [
        {"data_interval_start": NOON - DAY, "data_interval_end": NOON, "logical_date": NOON - DAY},
        {"data_interval_start": None, "data_interval_end": None, "logical_date": NOON},
        {"dag_run": SimpleNamespace(run_after=NOON)},
    ],
    ids=["interval", "logical date", "asset"],
)
def test_a_window_of_whole_days_ends_at_midnight_utc_and_any_other_where_the_run_says(
    snav_sandbox: Sandbox, window: dt.timedelta, starts: dt.datetime, ends: dt.datetime, run: Any
) -> None:
    [(first, last)] = submitted_windows(snav_sandbox, NO_TIMES | {"window": window, "lag": DAY}, **run)
    assert (first, last) == (starts, ends if window == HOUR else ends - MILLISECOND)


@pytest.mark.parametrize(
    "window", [pendulum.duration(months=1), relativedelta(months=1)], ids=["pendulum", "relativedelta"]
)
@pytest.mark.parametrize("lag", range(4))
def test_monthly_runs_with_a_window_of_a_month_leave_no_moment_out(
    snav_sandbox: Sandbox, window: Any, lag: int
) -> None:
    firsts = [pendulum.instance(MIDNIGHT).start_of("month").subtract(months=back) for back in range(12)]
    for first in firsts:
        run = {"data_interval_start": first, "data_interval_end": first, "logical_date": first}
        found = submitted_windows(snav_sandbox, NO_TIMES | {"window": window, "lag": lag * DAY}, **run)
    assert [start for start, _ in found][:-1] == [last + MILLISECOND for _, last in found][1:]
    assert found[0][0] == firsts[1] - lag * DAY


def test_a_data_interval_of_a_time_zone_with_summer_time_stays_as_the_timetable_says(
    snav_sandbox: Sandbox,
) -> None:
    first, until = START + 2 * HOUR, UNTIL + HOUR
    run = {"data_interval_start": first, "data_interval_end": until, "logical_date": first}
    assert submitted_windows(snav_sandbox, NO_TIMES, **run) == [(first, until - MILLISECOND)]


def test_templates_that_rendered_to_nothing_leave_the_data_interval(snav_sandbox: Sandbox) -> None:
    nothing = {"start_at": "None", "end_at": ""}
    assert submitted_windows(snav_sandbox, nothing, **INTERVAL) == [(START, UNTIL - MILLISECOND)]


def test_exactly_one_hour_shares_its_last_millisecond_and_the_export_says_so(snav_sandbox: Sandbox) -> None:
    export = on_worker(exporting(end_at=START + HOUR))
    [job] = snav_sandbox.created_jobs
    assert job.end_at - job.start_at == HOUR // MILLISECOND
    assert [part["shares_end"] for part in export["slices"]] == [True]


def test_200_days_become_three_jobs_without_gap_or_overlap(snav_sandbox: Sandbox) -> None:
    found = submitted_windows(snav_sandbox, {"start_at": UNTIL - 200 * DAY})
    assert len(found) == 3
    assert (found[0][0], found[-1][1]) == (UNTIL - 200 * DAY, UNTIL - MILLISECOND)
    assert all(after[0] - before[1] == MILLISECOND for before, after in pairwise(found))
    assert all(last - first < 90 * DAY for first, last in found)


@pytest.mark.parametrize("export_type", ["activity", "seat", "activity_outcome"])
def test_each_type_asks_for_its_own_action(snav_sandbox: Sandbox, export_type: str) -> None:
    actions = {
        "activity": "exportActivityData",
        "seat": "exportSeatData",
        "activity_outcome": "exportActivityOutcomeData",
    }
    on_worker(exporting(export_type=export_type, wait_for_completion=False))
    assert [job.action for job in snav_sandbox.created_jobs] == [actions[export_type]]


@pytest.mark.parametrize(
    "contract", [123456, "123456", " urn:li:contract:123456 "], ids=["number", "digits", "URN"]
)
def test_a_contract_is_its_urn_or_its_number(snav_sandbox: Sandbox, contract: Any) -> None:
    on_worker(exporting(contract=contract, wait_for_completion=False))
    assert [job.urn for job in snav_sandbox.created_jobs] == ["urn:li:contract:123456"]


THREE_WAYS_OUT = ("start_at and end_at", "window=timedelta(days=1)", "CronDataIntervalTimetable")


@pytest.mark.parametrize(
    ("arguments", "run", "says"),
    [
        (NO_TIMES, EMPTY, ("empty data interval", *THREE_WAYS_OUT)),
        (NO_TIMES, {}, ("no data interval and no logical date", *THREE_WAYS_OUT)),
        (NO_TIMES | {"window": DAY}, {}, ("no data interval and no logical date", "start_at and end_at")),
        ({"end_at": None}, INTERVAL, ("go together", "end_at is missing")),
        ({"start_at": "None"}, INTERVAL, ("go together", "start_at is missing")),
        ({"start_at": START.replace(tzinfo=None)}, {}, ("start_at=", "no time zone", "pendulum")),
        ({"start_at": "last tuesday"}, {}, ("start_at", "last tuesday")),
        ({"start_at": True}, {}, ("start_at", "True")),
        ({"start_at": START - 3 * 365 * DAY}, {}, ("more than two years ago", "earliest start_at")),
        ({"start_at": "1990-01-02"}, {}, ("has 64 at most", "data of two years")),
        ({"end_at": "2062-11-01"}, {}, ("has 64 at most", "data of two years")),
        ({"start_at": UNTIL, "end_at": START}, {}, ("start_at must lie before end_at",)),
        ({"end_at": START}, {}, ("start_at must lie before end_at",)),
        ({"end_at": START + dt.timedelta(minutes=5)}, {}, ("shorter than one hour",)),
        ({"contract": "Northwind"}, {}, ("contract='Northwind'", "urn:li:contract:123456")),
        ({"contract": ""}, {}, ("contract=''", "SalesNavigatorListContractsOperator")),
        ({"export_type": "seats"}, {}, ("export_type='seats'", "'seat'")),
        ({"poll_interval": 0}, {}, ("poll_interval=0", "from 0.001 seconds")),
        ({"poll_interval": "quick"}, {}, ("poll_interval='quick'", "seconds or a timedelta")),
        ({"poll_interval": 10**400}, {}, ("poll_interval=1000", "up to a year")),
        ({"poll_interval": float("nan")}, {}, ("poll_interval=nan", "from 0.001 seconds")),
        ({"max_poll_interval": float("inf")}, {}, ("max_poll_interval=inf", "up to a year")),
        ({"end_at": MIDNIGHT + 2 * DAY}, {}, ("ends in the future", "window=timedelta(days=1)")),
        ({"lag": None}, {}, ("lag=None must be seconds or a timedelta",)),
        ({"lag": dt.timedelta.max}, {}, ("lag=", "from 0 seconds up to a year")),
        ({"lag": -DAY}, {}, ("lag=", "from 0 seconds up to a year")),
        ({"window": dt.timedelta.max}, {}, ("window=", "longer than two years")),
        ({"window": -DAY}, {}, ("window=", "shorter than one hour")),
        ({"window": 1}, {}, ("window=1 must be a timedelta",)),
        ({"timeout": dt.timedelta.max}, {}, ("timeout=", "up to a year")),
        ({"timeout": dt.timedelta(0)}, {}, ("timeout=", "from 1 seconds")),
        ({"timeout": "3600"}, {}, ("timeout='3600' must be seconds or a timedelta",)),
        ({"resubmit_delay": dt.timedelta.max}, {}, ("resubmit_delay=", "up to a year")),
        ({"max_resubmissions": "3"}, {}, ("max_resubmissions='3' must be a whole number",)),
        ({"max_resubmissions": True}, {}, ("max_resubmissions=True must be a whole number",)),
        ({"max_resubmissions": None}, {}, ("max_resubmissions=None must be a whole number",)),
        ({"max_poll_interval": dt.timedelta(0)}, {}, ("max_poll_interval=", "from 0.001 seconds")),
    ],
    ids=[
        "empty interval",
        "no interval",
        "window of no date",
        "start only",
        "end only",
        "naive",
        "unreadable",
        "bool",
        "3 years ago",
        "36 years ago",
        "in 36 years",
        "backwards",
        "empty",
        "5 minutes",
        "contract",
        "no contract",
        "type",
        "poll 0",
        "poll text",
        "poll huge",
        "poll nan",
        "longest inf",
        "tomorrow",
        "no lag",
        "endless lag",
        "negative lag",
        "endless window",
        "negative window",
        "window number",
        "endless timeout",
        "no timeout",
        "timeout text",
        "endless delay",
        "resubmissions text",
        "resubmissions bool",
        "no resubmissions",
        "longest 0",
    ],
)
def test_a_question_linkedin_cannot_answer_is_one_clear_error_and_no_call(
    snav_sandbox: Sandbox, arguments: dict[str, Any], run: dict[str, Any], says: tuple[str, ...]
) -> None:
    message = refusal(snav_sandbox, arguments, **run)
    for part in says:
        assert part in message
    assert message.count("Nothing was submitted.") + message.count("No job was created.") == 1


@pytest.mark.parametrize(
    ("ends_in", "warns"),
    [(-DAY, False), (-DAY + HOUR, True), (dt.timedelta(minutes=4), True)],
    ids=["refreshed", "recent", "clocks differ"],
)
def test_an_end_that_linkedins_daily_refresh_may_not_have_reached_is_warned_about(
    snav_sandbox: Sandbox, capsys: pytest.CaptureFixture[str], ends_in: dt.timedelta, warns: bool
) -> None:
    until = now() + ends_in
    on_worker(exporting(start_at=until - DAY, end_at=until))
    warning = f"ends at {to_text(until - MILLISECOND)}, less than 24 hours ago"
    assert (warning in "".join(capsys.readouterr())) is warns


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_deferrable_task_is_refused_before_it_defers(snav_sandbox: Sandbox, deferrable: bool) -> None:
    assert "two years" in refusal(snav_sandbox, {"start_at": MIDNIGHT - 1000 * DAY, "deferrable": deferrable})


def test_a_contract_without_access_is_told_which_role_it_takes_and_creates_no_job(
    snav_sandbox: Sandbox,
) -> None:
    with pytest.raises(AirflowFailException, match=r"403.*administrator role.*No job was created"):
        on_worker(exporting(contract=345678))
    assert snav_sandbox.created_jobs == []
