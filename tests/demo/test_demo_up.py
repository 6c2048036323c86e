"""``make up``: a page where the examples run, of which nothing is left after Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from local_airflow import EXAMPLES, PATIENCE_SECONDS, wait_for

UP = EXAMPLES.parent / "demo" / "up.py"


@contextmanager
def started(home: Path) -> Iterator[subprocess.Popen[str]]:
    """What ``make up`` starts, as the leader of a process group, like a command of a terminal."""
    command = [sys.executable, UP, "--home", home]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield up
    finally:
        up.kill()
        up.wait()
        assert up.stdout
        up.stdout.close()


def read_until(up: subprocess.Popen[str], pattern: str) -> str:
    """Read what it prints until a line matches."""
    assert up.stdout
    for line in up.stdout:
        if found := re.search(pattern, line):
            return found.group()
    raise AssertionError(f"It ended with {up.wait()} before it said {pattern}")


def assert_ended(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def test_an_example_runs_when_triggered_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    # A folder as people name them; most of these characters mean something in a URI.
    home = tmp_path / "Mein Ordner é 100% a#b?c%20d" / "up"
    with started(home) as up, requests.Session() as http:
        http.trust_env = False
        http.headers["Connection"] = "close"
        url = read_until(up, r"http://127\.0\.0\.1:\d+")
        http.headers["Authorization"] = f"Bearer {http.get(f'{url}/auth/token').json()['access_token']}"
        runs = f"{url}/api/v2/dags/snav_profile_enrichment/dagRuns"
        run = http.post(runs, json={"logical_date": None}).json()["dag_run_id"]

        def ended() -> Any:
            state = http.get(f"{runs}/{run}").json()["state"]
            return state if state in ("success", "failed") else None

        assert wait_for("the run to end", ended, timeout=PATIENCE_SECONDS) == "success"
        failing = f"{url}/api/v2/dags/snav_fails_on_purpose/dagRuns"

        def failed() -> bool:
            return http.get(failing).json()["dag_runs"][0]["state"] == "failed"

        assert wait_for("the failure", failed, timeout=PATIENCE_SECONDS)
        backfill = f"{url}/api/v2/dags/snav_activity_daily/dagRuns?run_type=backfill"
        assert http.get(backfill).json()["total_entries"] == 14
        [landed] = (home / "lake" / "profiles").iterdir()
        assert len(landed.read_text().splitlines()) == 250
        processes = psutil.Process(up.pid).children(recursive=True)
        assert len(processes) > 5
        os.killpg(up.pid, signal.SIGINT)
        assert read_until(up, "landed files are in .*") == f"landed files are in {home}/lake,"
        assert up.wait(60) == 0
    assert_ended(processes)
    with pytest.raises(requests.ConnectionError):
        http.get(url)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_signal_while_it_starts_ends_everything_too(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    home = tmp_path / "up"
    with started(home) as up:
        read_until(up, "Starting")
        wait_for("the first component", lambda: list(home.glob("*.log")))
        processes = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(number)
        assert up.wait(60) == code
    assert_ended(processes)


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, UP, "--home", tmp_path / "up", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"port {port} cannot be used" in done.stderr
    assert not (tmp_path / "up").exists()
