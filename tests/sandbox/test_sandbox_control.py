"""The handle on a sandbox, the command and the pytest plugin."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

import airflow_provider_snav
from airflow_provider_snav.sandbox.faults import Cut, Delay, Reset
from airflow_provider_snav.sandbox.server import Sandbox

Call = Callable[..., requests.Response]
ROOT = Path(airflow_provider_snav.__file__).parents[1]
COMMAND = [sys.executable, "-m", "airflow_provider_snav.sandbox"]


def test_a_port_is_free_again_when_the_sandbox_has_ended() -> None:
    with Sandbox() as first:
        requests.get(first.base_url, timeout=10)
    with Sandbox(first.port) as second:
        assert second.base_url == first.base_url


def test_a_sandbox_ends_at_once_whatever_its_clients_wait_for() -> None:
    with Sandbox() as sandbox:
        sandbox.fault("unknown", Delay(timedelta(days=1)))
        waiting = socket.create_connection(("127.0.0.1", sandbox.port))
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        # By the time a second connection is answered, the first has been read.
        requests.get(sandbox.base_url + "/salesContracts", timeout=10)
    with waiting, contextlib.suppress(ConnectionResetError):
        assert waiting.recv(1) == b""


def test_a_taken_port_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"):
        Sandbox(sandbox.port)


def test_a_setting_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="velocity"):
        Sandbox(velocity=3)


@pytest.mark.parametrize(
    ("switches", "password", "login", "extra"),
    [
        ({}, True, True, {"token_url", "client_secret", "expires_at"}),
        ({"client_credentials": False}, True, False, {"token_url", "expires_at"}),
        (
            {"access_token": False, "refresh_token": True},
            False,
            True,
            {"token_url", "client_secret", "refresh_token"},
        ),
    ],
)
def test_a_connection_carries_the_credentials_asked_for(
    sandbox: Sandbox, switches: dict[str, bool], password: bool, login: bool, extra: set[str]
) -> None:
    connection = json.loads(sandbox.connection_json(**switches))
    assert (connection["conn_type"], connection["host"]) == ("snav", sandbox.base_url)
    assert connection.get("password") == (sandbox.access_token if password else None)
    assert connection.get("login") == (sandbox.client_id if login else None)
    assert set(connection["extra"]) == extra | {"download_hosts"}


def test_a_request_is_recorded_as_it_came(sandbox: Sandbox, call: Call, create: Callable[..., int]) -> None:
    job_id = create()
    call("GET", f"/salesAnalyticsExportJobs/{job_id}?contract=urn%3Ali%3Acontract%3A123456")
    created, polled = sandbox.requests
    assert (created.kind, created.method, created.status) == ("create", "POST", 200)
    assert created.query == "action=exportActivityData"
    assert json.loads(created.body)["contract"] == "urn:li:contract:123456"
    assert (polled.kind, polled.path) == ("status", f"/v2/salesAnalyticsExportJobs/{job_id}")
    assert polled.query == "contract=urn%3Ali%3Acontract%3A123456"
    assert polled.headers["authorization"] == (f"Bearer {sandbox.access_token}",)


def test_no_token_and_no_download_url_is_logged_or_shown(
    sandbox: Sandbox,
    call: Call,
    create: Callable[..., int],
    status: Callable[[int], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    job_id = create()
    url = status(job_id)["downloadUrl"]
    sandbox.fault("download", Cut(10))
    for _ in range(2):
        with call("GET", url, stream=True):
            pass
    sandbox.fault("contracts", Reset())
    with pytest.raises(requests.ConnectionError):
        call("GET", "/salesContracts?q=contractsByMember")
    call("GET", f"/salesContract?token={sandbox.access_token}")
    lines = [
        record.getMessage() for record in caplog.records if record.name == "airflow_provider_snav.sandbox"
    ]
    assert lines == [
        "POST /v2/salesAnalyticsExportJobs?action=exportActivityData: 200",
        f"GET /v2/salesAnalyticsExportJobs/{job_id}?contract=urn%3Ali%3Acontract%3A123456: 200",
        "GET /ambry/: 200",
        "GET /ambry/: 200",
        "GET /v2/salesContracts?q=contractsByMember: connection reset",
        "GET /v2/salesContract: 404",
    ]
    shown = repr(sandbox.requests)
    assert sandbox.access_token not in shown
    assert url.partition("?")[2] not in shown


def test_a_reset_forgets_everything_but_the_access_token(
    sandbox: Sandbox, call: Call, create: Callable[..., int], status: Callable[[int], Any]
) -> None:
    status(create())
    sandbox.script_statuses("PROCESSING")
    sandbox.revoke_token(sandbox.access_token)
    sandbox.reset()
    assert (sandbox.requests, sandbox.jobs) == ([], {})
    assert status(create())["status"] == "COMPLETED"


def test_cleared_faults_bite_no_more(sandbox: Sandbox, create: Callable[..., int]) -> None:
    sandbox.fault(None, Reset(), times=None)
    with pytest.raises(requests.ConnectionError):
        create()
    sandbox.clear_faults()
    assert create() in sandbox.jobs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    command = [*COMMAND, "--port", "0", "--speed", "1e9", "--any-token"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        base_url, token, export = (process.stdout.readline().rstrip() for _ in range(3))
        headers = {
            "Authorization": f"Bearer {token.removeprefix('Access token: ')}",
            "X-RestLi-Protocol-Version": "2.0.0",
        }
        path = "/salesNavigatorProfileAssociations/(instanceId:a,partner:b,recordId:c)"
        url = base_url.removeprefix("Sales Navigator sandbox: ") + path
        assert requests.get(url, headers=headers, timeout=10).status_code == 200
        process.send_signal(number)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert log.endswith(f"GET /v2{path}: 200\n")
    exported = subprocess.run(
        ["/bin/sh", "-c", f'{export}; printf %s "$AIRFLOW_CONN_SNAV_DEFAULT"'],
        capture_output=True,
        check=True,
    )
    assert json.loads(exported.stdout)["conn_type"] == "snav"


def test_the_command_refuses_a_taken_port_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [*COMMAND, "--port", str(port)], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert refused.returncode == 1
    [sentence] = refused.stderr.splitlines()
    assert sentence.startswith(f"Port {port} cannot be used (")
    assert sentence.endswith("Address already in use); choose another with --port.")


BLOCK_STARLETTE = """
    import sys

    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("starlette", "uvicorn"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Blocked())
"""


def _pytest(folder: Path, conftest: str, test: str) -> str:
    """Run one test file with the plugin loaded as its entry point would, and return what pytest said."""
    (folder / "conftest.py").write_text(textwrap.dedent(conftest))
    (folder / "test_it.py").write_text(textwrap.dedent(test))
    return subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider"),
            *("-p", "airflow_provider_snav.sandbox.pytest_plugin", "--rootdir", str(folder), str(folder)),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_the_fixture_gives_a_fresh_sandbox_and_the_connection_to_it(tmp_path: Path) -> None:
    output = _pytest(
        tmp_path,
        "",
        """
        import json
        import os
        import pytest

        @pytest.mark.parametrize("n", [1, 2])
        def test_it(snav_sandbox, n):
            assert not snav_sandbox.requests
            assert json.loads(os.environ["AIRFLOW_CONN_SNAV_DEFAULT"])["host"] == snav_sandbox.base_url

        def test_the_environment_is_as_before():
            assert "AIRFLOW_CONN_SNAV_DEFAULT" not in os.environ
        """,
    )
    assert "3 passed" in output, output


def test_the_plugin_imports_nothing_but_pytest_until_the_fixture_is_used(tmp_path: Path) -> None:
    output = _pytest(
        tmp_path,
        "",
        """
        import sys

        def test_it():
            heavy = {"starlette", "uvicorn", "airflow", "requests", "aiohttp", "anyio"}
            assert not heavy & set(sys.modules)
            ours = {name for name in sys.modules if name.startswith("airflow_provider_snav")}
            assert ours == {
                "airflow_provider_snav",
                "airflow_provider_snav.sandbox",
                "airflow_provider_snav.sandbox.pytest_plugin",
            }
        """,
    )
    assert "1 passed" in output, output


def test_without_starlette_pytest_runs_and_only_the_fixture_says_what_to_install(tmp_path: Path) -> None:
    output = _pytest(
        tmp_path,
        BLOCK_STARLETTE,
        """
        def test_of_something_else():
            pass

        def test_of_ours(snav_sandbox):
            pass
        """,
    )
    assert "1 passed, 1 error" in output, output
    assert "pip install 'airflow-provider-snav[sandbox]'" in output


def test_without_starlette_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(BLOCK_STARLETTE))
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    refused = subprocess.run(
        COMMAND, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("The sandbox needs ")
    assert refused.stderr.endswith(": pip install 'airflow-provider-snav[sandbox]'\n")
