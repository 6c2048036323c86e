"""A scripted server, a connection that leads to it, and hooks that do not wait."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hook_callers import CALLERS, TOKEN, TRIES, Caller
from scripted_server import ScriptedServer

from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens

TINY = RetryPolicy(tries=TRIES, first=0.001, fresh_token_waits=(0.001, 0.001, 0.001))


@pytest.fixture(autouse=True)
def _hooks_of_a_new_process_that_hardly_wait(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    for hook in (SalesNavigatorHook, SalesNavigatorAsyncHook):
        monkeypatch.setattr(hook, "retry_policy", TINY)
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let ``snav_default`` be a connection with this host and these fields."""

    def connect(host: str, *, password: str | None = TOKEN, login: str | None = None, **extra: Any) -> None:
        fields = {"conn_type": "snav", "host": host, "password": password, "login": login, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(fields))

    return connect


@pytest.fixture(params=CALLERS)
def call(request: pytest.FixtureRequest) -> Caller:
    """Call a method of one of the two hooks by its name."""
    return CALLERS[request.param]


@pytest.fixture
def told(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Callable[[BaseException | None], str]:
    """All that was logged or printed since the last call, and all an exception would show."""

    def told(error: BaseException | None = None) -> str:
        # What Airflow's own loggers print, they do not hand on to pytest.
        texts = [*capsys.readouterr()]
        texts += [logging.Formatter("%(message)s").format(record) for record in caplog.records]
        texts += [repr(record.args) for record in caplog.records]
        if error:
            texts += [*traceback.format_exception(error), repr(error), repr(vars(error))]
        return "\n".join(texts)

    return told
