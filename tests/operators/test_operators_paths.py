"""Every scenario ends the same on a worker, deferred, and when a crash came in between."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from task_runs import (
    CONTRACT,
    START,
    UNTIL,
    Ending,
    Store,
    after_crash,
    deferred,
    ending_of,
    exporting,
    on_worker,
    still_queued,
)

from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.sandbox.faults import (
    Answer,
    Fault,
    LoseAnswer,
    Reset,
    garbage_json,
    gateway_error,
    html_page,
    http_error,
    throttled,
)
from airflow_provider_snav.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("impatient")

HOUR = dt.timedelta(hours=1)
TOO_LARGE = "FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR"
TIMED_OUT = "FAILED_DUE_TO_TIMED_OUT"
DATA_DELAY = "FAILED_DUE_TO_DATA_DELAY"
INTERNAL_ERROR = "FAILED_DUE_TO_INTERNAL_ERROR"

Arrange = Callable[[Sandbox], None]


def jobs(*scripts: str | tuple[str, ...]) -> Arrange:
    """The jobs to be created answer these: one status, or several in turn; later ones complete."""

    def arrange(sandbox: Sandbox) -> None:
        for script in scripts:
            sandbox.script_statuses(*((script,) if isinstance(script, str) else script))
        sandbox.script_statuses("COMPLETED", jobs=20)

    return arrange


def polls(*faults: Fault | tuple[Fault, int | None]) -> Arrange:
    """Polls meet these; then the job completes. None stands for always."""

    def arrange(sandbox: Sandbox) -> None:
        jobs()(sandbox)
        for fault in faults:
            kind, times = fault if isinstance(fault, tuple) else (fault, 1)
            sandbox.fault("status", kind, times=times)

    return arrange


def creations(*faults: Fault, times: int | None = 1) -> Arrange:
    def arrange(sandbox: Sandbox) -> None:
        jobs()(sandbox)
        for fault in faults:
            sandbox.fault("create", fault, times=times)

    return arrange


def queue_of(foreign: int) -> Arrange:
    """So many jobs of others are in the contract's queue already."""

    def arrange(_: Sandbox) -> None:
        with SalesNavigatorHook() as hook:
            for _ in range(foreign):
                hook.create_analytics_export("seat", CONTRACT, START, UNTIL)

    return arrange


def later(arrange: Arrange) -> Arrange:
    """Polls come when the jobs are no longer quite new, and a 404 may be believed."""

    def arrange_later(sandbox: Sandbox) -> None:
        sandbox.advance(dt.timedelta(minutes=20))
        arrange(sandbox)

    return arrange_later


@dataclass(frozen=True)
class Scenario:
    """What LinkedIn does, and how the task is to end.

    :param error: the exception's type; empty when the export completes.
    :param says: each must be in its message.
    """

    name: str
    arrange: Arrange
    jobs: int
    error: str = ""
    says: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)


ONE_HOUR = {"end_at": START + HOUR}
# Seats, of which the sandbox has the fewest rows.
THREE_JOBS = {"start_at": START - dt.timedelta(days=197), "export_type": "seat"}
QUEUED = "LinkedIn runs one export of a contract at a time, and other exports were first."
LATER = "A retry continues this export and submits only the missing jobs."
NEVER = "Airflow does not retry this error."
FOR_GOOD = "AirflowFailException"
RETRIED = "SalesNavigatorExportFailedError"
# The header is whole seconds by the book; what reads it takes fractions, and a test need not wait.
SOON = {"Retry-After": "0.03", "Content-Type": "application/json"}

SCENARIOS = [
    Scenario("the job completes", jobs(("ENQUEUED", "PROCESSING", "COMPLETED")), 1),
    Scenario("the file is too large, once", jobs(TOO_LARGE), 3),
    Scenario("a half is too large again", jobs(TOO_LARGE, TOO_LARGE), 5),
    Scenario(
        "the file is too large and must not be split",
        jobs(TOO_LARGE),
        1,
        FOR_GOOD,
        (TOO_LARGE, "job 1", "split_on_failure", "No job is running", NEVER),
        {"split_on_failure": False},
    ),
    Scenario(
        "an hour is too large",
        jobs(TOO_LARGE),
        1,
        FOR_GOOD,
        (TOO_LARGE, "cannot be halved below one hour", NEVER),
        ONE_HOUR,
    ),
    Scenario("the job takes LinkedIn too long, once", jobs(TIMED_OUT), 3),
    Scenario(
        "an hour takes LinkedIn too long",
        jobs(TIMED_OUT),
        1,
        RETRIED,
        (TIMED_OUT, "job 1", LATER),
        ONE_HOUR,
    ),
    Scenario("the data is late, once", jobs(("PROCESSING", DATA_DELAY)), 2),
    Scenario(
        "the data stays late",
        jobs(DATA_DELAY, DATA_DELAY, DATA_DELAY),
        3,
        RETRIED,
        (DATA_DELAY, "job 3", "raise lag", LATER),
        {"max_resubmissions": 2},
    ),
    Scenario("LinkedIn fails inside, once", jobs(INTERNAL_ERROR), 2),
    Scenario(
        "LinkedIn fails inside and nothing may be submitted again",
        jobs(INTERNAL_ERROR),
        1,
        RETRIED,
        (INTERNAL_ERROR, "job 1", "Retry later", LATER),
        {"max_resubmissions": 0},
    ),
    Scenario("a status nobody knows comes first", jobs(("WARMING_UP", "COMPLETED")), 1),
    Scenario(
        "a failure nobody knows",
        jobs("FAILED_DUE_TO_SUNSPOTS"),
        1,
        RETRIED,
        ("FAILED_DUE_TO_SUNSPOTS", "no remedy", LATER),
    ),
    Scenario("polls are answered 503", polls((http_error(503), 7)), 1),
    Scenario("polls are answered with garbage", polls((garbage_json(), 7)), 1),
    Scenario("polls are answered with a page", polls((html_page(), 7)), 1),
    Scenario("polls are answered 200 with a page", polls((html_page(200), 7)), 1),
    Scenario("polls meet a reset connection", polls((Reset(), 7)), 1),
    Scenario("polls are throttled", polls((Answer(429, b"{}", SOON), 7)), 1),
    Scenario(
        "polls fail in every way there is",
        polls(
            http_error(503), garbage_json(), html_page(), Reset(), Answer(429, b"{}", SOON), html_page(504)
        ),
        1,
    ),
    Scenario(
        "the calls of the day are used up",
        polls((throttled(daily=True), None)),
        1,
        "SalesNavigatorRateLimitError",
        (
            "HTTP 429",
            "daily budget resets at",
            "LinkedIn continues job 1",
            "A retry before the reset fails the same way, a later one continues this export",
        ),
    ),
    Scenario(
        "the token is revoked",
        polls((http_error(401, service_error_code=65600), None)),
        1,
        FOR_GOOD,
        ("HTTP 401", "Put a new one into the connection's password", "LinkedIn continues job 1", NEVER),
    ),
    Scenario(
        "access is withdrawn",
        polls((http_error(403), None)),
        1,
        FOR_GOOD,
        ("HTTP 403", "administrator role", NEVER),
    ),
    Scenario("polls meet an empty 404", polls((gateway_error(404), 7)), 1),
    Scenario("polls meet a proxy's JSON 404", polls((gateway_error(404, "no such route"), 7)), 1),
    Scenario("polls meet a firewall's page with 403", polls((html_page(403), 7)), 1),
    Scenario("polls meet a bare 401", polls((gateway_error(401), 7)), 1),
    Scenario("polls are answered 408, 421, 423, 425", polls(*map(http_error, (408, 421, 423, 425))), 1),
    Scenario("polls are told when to come again", polls((Answer(503, b"", SOON), 7)), 1),
    Scenario("polls are told to come again much later", polls(Answer(503, b"", {"Retry-After": "0.5"})), 1),
    Scenario("polls are answered with another job", polls((still_queued(8), 7)), 1),
    Scenario("a job just submitted is not known yet", polls((http_error(404), 7)), 1),
    Scenario(
        "the job is gone",
        later(polls((http_error(404), None))),
        1,
        FOR_GOOD,
        ("HTTP 404", "LinkedIn no longer has a job of this export (1)", NEVER),
    ),
    Scenario("the job is gone for a moment", later(polls(http_error(404))), 1),
    Scenario(
        "the job takes longer than the timeout",
        jobs("PROCESSING"),
        1,
        "SalesNavigatorExportTimeoutError",
        ("not complete after timeout=0:00:01", "(job 1, PROCESSING)", LATER),
        {"timeout": dt.timedelta(seconds=1)},
    ),
    Scenario("a submission is answered 503", creations(http_error(503)), 1),
    Scenario("a submission is answered 423", creations(http_error(423)), 1),
    Scenario("a submission meets a firewall's page with 403", creations(html_page(403)), 1),
    Scenario("a submission is answered 504", creations(http_error(504)), 1),
    Scenario(
        "a submission is answered 504 again and again",
        creations(http_error(504), times=None),
        0,
        "SalesNavigatorServerError",
        ("HTTP 504", "LinkedIn may have created up to 2 jobs whose answers were lost", "A retry submits it."),
    ),
    Scenario("the answer to a submission is lost", creations(LoseAnswer()), 2),
    Scenario(
        "a submission is refused",
        creations(),
        0,
        FOR_GOOD,
        ("HTTP 403", "No job was created.", NEVER),
        {"contract": "345678"},
    ),
    Scenario("four jobs of others are in the queue", queue_of(4), 4 + 1),
    Scenario(
        "200 days wait for their turn, behind another's job and one after another",
        queue_of(1),
        1 + 3,
        arguments=THREE_JOBS,
    ),
    Scenario(
        "the job is in the queue longer than the timeout",
        jobs("ENQUEUED"),
        1,
        "SalesNavigatorExportTimeoutError",
        (
            f"(job 1, ENQUEUED). {QUEUED}",
            LATER,
        ),
        {"timeout": dt.timedelta(seconds=1)},
    ),
    Scenario("200 days complete", jobs(), 3, "", (), THREE_JOBS),
    Scenario("a part of 200 days is too large", jobs("COMPLETED", TOO_LARGE), 5, "", (), THREE_JOBS),
    Scenario(
        "a part of 200 days fails for good",
        jobs("COMPLETED", TOO_LARGE),
        2,
        FOR_GOOD,
        ("job 2", "No job is running.", NEVER),
        THREE_JOBS | {"split_on_failure": False},
    ),
]


@pytest.mark.parametrize("scenario", [pytest.param(each, id=each.name) for each in SCENARIOS])
def test_every_path_ends_the_same_when(scenario: Scenario, snav_sandbox: Sandbox) -> None:
    make = exporting(**{"resubmit_delay": dt.timedelta(seconds=0.02), **scenario.arguments})
    endings: dict[str, Ending] = {}
    for name, path in PATHS.items():
        snav_sandbox.reset()
        endings[name] = ending_of(snav_sandbox, lambda path=path: path(snav_sandbox, make, scenario.arrange))

    on_a_worker = endings.pop("on a worker")
    assert (on_a_worker.jobs, on_a_worker.error) == (scenario.jobs, scenario.error), on_a_worker.message
    for part in scenario.says:
        assert part in on_a_worker.message
    assert (on_a_worker.export is None) == bool(scenario.error)
    for name, ending in endings.items():
        assert ending == on_a_worker, name


def _on_worker(sandbox: Sandbox, make: Callable[[], Any], arrange: Arrange) -> Any:
    arrange(sandbox)
    return on_worker(make, Store())


def _deferred(sandbox: Sandbox, make: Callable[[], Any], arrange: Arrange) -> Any:
    arrange(sandbox)
    return deferred(lambda: _deferrable(make()), Store())


def _taken_up_on_worker(sandbox: Sandbox, make: Callable[[], Any], arrange: Arrange) -> Any:
    return after_crash(sandbox, make, arrange, on_worker)


def _taken_up_deferred(sandbox: Sandbox, make: Callable[[], Any], arrange: Arrange) -> Any:
    return after_crash(sandbox, lambda: _deferrable(make()), arrange, deferred)


def _deferrable(task: Any) -> Any:
    task.deferrable = True
    return task


PATHS = {
    "on a worker": _on_worker,
    "deferred": _deferred,
    "taken up after a crash": _taken_up_on_worker,
    "taken up after a crash, deferred": _taken_up_deferred,
}


@pytest.mark.parametrize("path", PATHS)
def test_the_log_says_once_that_a_job_waits_for_its_turn_and_how_long_it_took(
    snav_sandbox: Sandbox, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    PATHS[path](snav_sandbox, exporting(), jobs(("ENQUEUED", "ENQUEUED", "PROCESSING", "COMPLETED")))
    logged = "".join(capsys.readouterr())
    assert logged.count("waits for its turn: LinkedIn runs one export of a contract at a time.") == 1
    assert len(re.findall(r"was queued for \S+ and processed for \S+\.", logged)) == 1
