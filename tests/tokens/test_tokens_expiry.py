"""What is known of a member token's end, and who says it in time, against the sandbox."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from task_runs import deferred, exporting, on_worker

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import AirflowFailException
from airflow_provider_snav.api.errors import SalesNavigatorAuthenticationError, SalesNavigatorError
from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.api.oauth import TokenStatus
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.hooks import token_warning
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.hooks.token_warning import warn_before_expiry
from airflow_provider_snav.sandbox.faults import Answer, CallKind, Reset, garbage_json, html_page, http_error
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for hook in (SalesNavigatorHook, SalesNavigatorAsyncHook):
        monkeypatch.setattr(hook, "retry_policy", RetryPolicy(tries=2, first=0.001))
    forget_tokens()
    token_warning._looked.clear()
    yield
    forget_tokens()


@pytest.fixture
def fields(snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Change the connection's extra, which has no ``expires_at`` unless it is given."""

    def change(**extra: Any) -> None:
        connection = json.loads(snav_sandbox.connection_json())
        connection["extra"] |= {"expires_at": None, **extra}
        monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(connection))

    return change


ACTIVITY = Export.from_json(
    {
        "kind": "analytics",
        "export_type": "activity",
        "contract": "urn:li:contract:1",
        "slices": [{"start_at": "2026-11-01T00:00:00Z", "end_at": "2026-11-02T00:00:00Z"}],
    }
)


def introspections(sandbox: Sandbox) -> int:
    return sum(each.kind is CallKind.INTROSPECTION for each in sandbox.requests)


def status() -> TokenStatus:
    with SalesNavigatorHook() as hook:
        return hook.token_status()


def test_linkedin_says_when_the_token_expires_and_what_it_may_do(snav_sandbox: Sandbox) -> None:
    told = status()
    assert told.active
    assert told.scopes == ("r_sales_nav_analytics", "r_sales_nav_display")
    assert told.expires_at
    assert told.days_left(now()) == 59
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    assert (status().active, status().sentence(now())) == (False, "LinkedIn says that it was revoked.")


@pytest.mark.parametrize(
    "written",
    [1_798_704_000, "1798704000", "2026-12-31T08:00:00Z", 1_798_704_000_000],
    ids=["seconds", "text of seconds", "text", "milliseconds"],
)
def test_without_a_client_secret_the_connection_says_it(
    fields: Any, snav_sandbox: Sandbox, written: object
) -> None:
    fields(client_secret=None, expires_at=written)
    assert status().expires_at == dt.datetime(2026, 12, 31, 8, tzinfo=dt.UTC)
    assert not introspections(snav_sandbox)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"client_secret": None}, "It is unknown when the member token expires"),
        ({"client_secret": "wrong"}, "Could not ask LinkedIn when the member token expires (HTTP 401)"),
        ({"expires_at": "next week"}, "expires_at='next week' is not a time"),
        ({"token_url": "http://127.0.0.1:9/token"}, "It is unknown when the member token expires"),
    ],
)
def test_where_nobody_can_say_it_the_error_says_why(
    fields: Any, extra: dict[str, object], sentence: str
) -> None:
    fields(**extra)
    with pytest.raises(SalesNavigatorError) as failure:
        status()
    assert sentence in str(failure.value)
    assert "wrong" not in str(failure.value)


@pytest.mark.parametrize(
    "fault",
    [
        Reset(),
        html_page(502),
        http_error(429),
        garbage_json(),
        Answer(200, b'{"active": true, "expires_at": 1e300}'),
    ],
)
def test_where_linkedin_cannot_be_asked_the_connection_is_believed(
    fields: Any, snav_sandbox: Sandbox, fault: Any
) -> None:
    fields(expires_at="2027-01-31")
    snav_sandbox.fault("introspection", fault)
    assert status().expires_at == dt.datetime(2027, 1, 31, tzinfo=dt.UTC)
    assert introspections(snav_sandbox) == 1


def test_a_token_of_another_application_is_not_called_inactive() -> None:
    assert TokenStatus.from_wire({"active": False}).is_of_another_application
    assert not TokenStatus.from_wire({"active": False, "status": "expired"}).is_of_another_application


# --- warnings ---------------------------------------------------------------------------------------------


def warnings(caplog: pytest.LogCaptureFixture, times: int = 1, export: Export = ACTIVITY) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING), SalesNavigatorHook() as hook:
        for _ in range(times):
            warn_before_expiry(hook, export, logging.getLogger("task"))
    return [record.getMessage() for record in caplog.records if record.name == "task"]


def test_a_token_that_ends_soon_is_warned_of_once_a_process_and_day(
    fields: Any, snav_sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    snav_sandbox.settings.member_token_ttl = 10 * DAY
    snav_sandbox.reset()
    fields()
    [warning] = warnings(caplog, times=3)
    assert "It expires on " in warning
    assert ", in 9 days." in warning
    assert "connection 'snav_default'" in warning
    assert introspections(snav_sandbox) == 1
    tomorrow = now() + DAY
    monkeypatch.setattr(token_warning, "now", lambda: tomorrow)
    assert len(warnings(caplog)) == 1


def test_a_token_that_lives_on_is_not_warned_of(
    fields: Any, snav_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fields()
    assert warnings(caplog) == []
    assert introspections(snav_sandbox) == 1
    token_warning._looked.clear()
    fields(expires_at=(now() + 30 * DAY).isoformat())
    assert warnings(caplog) == []
    assert introspections(snav_sandbox) == 1, "the connection says enough"


def test_an_old_note_beside_a_new_token_is_not_believed(
    fields: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fields(expires_at=(now() - DAY).isoformat())
    assert warnings(caplog) == []


def test_a_note_that_has_passed_beside_a_token_that_works_is_said_to_be_wrong(
    fields: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fields(expires_at=(now() - 8 * DAY).isoformat(), client_secret=None)
    [warning] = warnings(caplog)
    assert "LinkedIn still accepts the member token" in warning
    assert "Correct expires_at in the connection 'snav_default'" in warning
    assert "before then" not in warning


def test_a_sensor_says_nothing_of_a_token_that_linkedin_refuses(
    fields: Any, snav_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    export = on_worker(exporting(wait_for_completion=False))
    token_warning._looked.clear()
    fields(expires_at=(now() - 8 * DAY).isoformat(), client_secret=None)
    snav_sandbox.fault("status", http_error(401), times=None)
    sensor = SalesNavigatorExportSensor(task_id="wait", export=export)
    with caplog.at_level(logging.WARNING), pytest.raises(AirflowFailException, match="no longer accepts"):
        sensor.poke({})
    assert "still accepts" not in caplog.text


def test_a_token_that_linkedin_calls_revoked_is_left_to_the_next_call(
    fields: Any, snav_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fields(expires_at=(now() + 9 * DAY).isoformat())
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    assert warnings(caplog) == []


def test_a_token_that_is_refreshed_by_itself_is_not_warned_of(
    fields: Any, snav_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fields(refresh_token=snav_sandbox.refresh_token, expires_at=now().isoformat())
    assert warnings(caplog) == []
    assert not snav_sandbox.requests


@pytest.mark.parametrize("deferrable", [False, True])
def test_export_tasks_and_the_sensor_warn(
    fields: Any, snav_sandbox: Sandbox, capsys: pytest.CaptureFixture[str], deferrable: bool
) -> None:
    fields(expires_at=(now() + 10 * DAY).isoformat(), client_secret=None)
    run = deferred if deferrable else on_worker
    tasks = (
        exporting(deferrable=deferrable),
        lambda: SalesNavigatorExportSensor(task_id="wait", export=export, deferrable=deferrable),
    )
    for task in tasks:
        token_warning._looked.clear()
        export = run(task)
        assert "".join(capsys.readouterr()).count("The member token expires soon.") == 1


def test_crm_exports_need_no_member_token_and_do_not_warn(
    snav_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    crm = replace(ACTIVITY, kind=ExportKind.CRM_VALIDATION, export_type=None)
    assert warnings(caplog, export=crm) == []
    assert not snav_sandbox.requests


def test_a_look_up_that_fails_costs_a_task_one_request_and_nothing_else(
    fields: Any, snav_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fields()
    snav_sandbox.fault(None, http_error(503), times=None)
    assert warnings(caplog, times=2) == []
    assert len(snav_sandbox.requests) == 1
    token_warning._looked.clear()
    fields(client_secret="wrong", expires_at=(now() + 3 * DAY).isoformat())
    [warning] = warnings(caplog)
    assert "in 2 days" in warning
    token_warning._looked.clear()
    fields(expires_at="soon")
    assert warnings(caplog) == []


# --- a 401 ------------------------------------------------------------------------------------------------


SINCE = r"It expired on .* UTC, 8 days ago\.$"


def expired(sandbox: Sandbox) -> None:
    sandbox.settings.member_token_ttl = -8 * DAY
    sandbox.reset()


@pytest.mark.parametrize("kind", [SalesNavigatorHook, SalesNavigatorAsyncHook])
def test_a_401_of_an_expired_token_says_since_when(snav_sandbox: Sandbox, kind: type) -> None:
    expired(snav_sandbox)
    hook = kind()

    def list_contracts() -> None:
        result = hook.list_contracts()
        if asyncio.iscoroutine(result):
            asyncio.run(result)

    with pytest.raises(SalesNavigatorAuthenticationError, match=SINCE) as refused:
        list_contracts()
    assert str(refused.value).count("LinkedIn no longer accepts the member access token") == 1


def test_a_401_says_what_the_connection_knows_where_linkedin_cannot_be_asked(
    fields: Any, snav_sandbox: Sandbox
) -> None:
    fields(client_secret=None, expires_at=(now() - 8 * DAY).isoformat())
    expired(snav_sandbox)
    with pytest.raises(SalesNavigatorAuthenticationError, match=SINCE):
        SalesNavigatorHook().list_contracts()


def test_a_401_stays_itself_where_nobody_knows_more(fields: Any, snav_sandbox: Sandbox) -> None:
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    with pytest.raises(SalesNavigatorAuthenticationError, match="LinkedIn says that it was revoked"):
        SalesNavigatorHook().list_contracts()
    fields(client_secret="wrong")
    with pytest.raises(SalesNavigatorAuthenticationError, match=r"give the connection a refresh_token\.$"):
        SalesNavigatorHook().list_contracts()
