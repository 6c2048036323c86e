"""A sandbox, the commands in this process, and a browser that presses a button at once."""

from __future__ import annotations

import io
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CONTRACT, WEEK, Export, Ran, Run

from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.cli import export
from airflow_provider_snav.cli.main import main
from airflow_provider_snav.exports.polling import PollSchedule
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.sandbox.server import Sandbox


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(SalesNavigatorHook, "retry_policy", RetryPolicy(tries=2, first=0.001))
    # The commands look into Airflow's database, whose home of these tests has none.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    for name in ("SNAV_CLIENT_ID", "SNAV_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture
def run(snav_sandbox: Sandbox, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Perform one command; ``stdin`` is what its standard input holds, or another stream."""

    def run(*arguments: str, stdin: Any = "") -> Ran:
        # The command would set it for the whole of the process, and so for the tests that follow.
        monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin) if isinstance(stdin, str) else stdin)
        capfd.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(str(end.code))
        return Ran(code, *capfd.readouterr())

    return run


@pytest.fixture
def callback(snav_sandbox: Sandbox) -> str:
    """A redirect address on a free port, registered with the application."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        uri = f"http://localhost:{free.getsockname()[1]}/callback"
    snav_sandbox.settings.redirect_uris = (uri,)
    return uri


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], object]], None]:
    """What the browser that ``login`` opens does with the address."""

    def use(answer: Callable[[str], object]) -> None:
        def open_(address: str) -> bool:
            threading.Thread(target=answer, args=(address,), daemon=True).start()
            return True

        monkeypatch.setattr(webbrowser, "open", open_)

    return use


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(export, "schedule_of", lambda _: PollSchedule(0.02, 0.05))
    monkeypatch.setattr("airflow_provider_snav.landing.download.PAUSES", (0.01,))
    return tmp_path / "state" / "airflow-provider-snav"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def activity(run: Run, lake: Path) -> Export:
    """Export a week of activity into the lake."""
    return lambda *more: run("export", "activity", *CONTRACT, *WEEK, "--into", str(lake), *more)
