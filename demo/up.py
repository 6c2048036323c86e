"""``make up``: a real Airflow with its web page and every example DAG, against the sandbox.

Ctrl-C ends it. It writes only to ``.demo/up/``, which is new each time.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from local_airflow import (
    EXAMPLES,
    PATIENCE_SECONDS,
    LocalAirflow,
    contact_keys,
    example_variables,
    free_port,
    wait_for,
)

from airflow_provider_snav.sandbox.server import Sandbox

FAILING = Path(__file__).with_name("dags")
HOME = EXAMPLES.parent / ".demo" / "up"
WELCOME = """
    {}

There is no login: every user of this machine is an administrator. All example DAGs have the tag linkedin.
DAGs with a schedule have just started their latest run. The button Trigger starts any DAG.

History         a backfill of snav_activity_daily covers the last two weeks, and takes about two minutes
A failure       snav_fails_on_purpose: the end of its task's log shows the message of a failure
Files land in   {}
Sandbox         {} (connection snav_default)
Stop            Ctrl-C
"""
GOODBYE = """
Everything has ended. Until the next start, the landed files are in {0}/lake,
and Airflow's logs and database are in {0}.
"""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Tour:
    """The running Airflow, the sandbox, and the folder of the landed files."""

    airflow: LocalAirflow
    sandbox: Sandbox
    lake: Path


@contextmanager
def tour(home: Path, *, port: int = 0, **sandbox_settings: Any) -> Iterator[Tour]:
    """An Airflow with all example DAGs, unpaused, and the sandbox that they export from.

    :param home: a folder that does not exist yet.
    :param port: the port of the web page; 0 chooses a free port.
    :param sandbox_settings: see `SandboxSettings`.
    """
    lake = home / "lake"
    lake.mkdir(parents=True)
    (lake / "contact_keys.csv").write_text(contact_keys(250))
    with Sandbox(**sandbox_settings) as sandbox, LocalAirflow(home, EXAMPLES, FAILING, port=port) as airflow:
        airflow.add_connection("snav_default", sandbox.connection_json())
        airflow.add_variables(example_variables(sandbox, str(lake)))
        for example in (*EXAMPLES.glob("*.py"), *FAILING.glob("*.py")):
            path = f"dags/{example.stem}"
            wait_for(f"{path} to be read", lambda: airflow.knows(path), timeout=PATIENCE_SECONDS)  # noqa: B023
            # A DAG with a schedule runs as soon as it is unpaused, so the connection must exist before.
            airflow.call("PATCH", path, {"is_paused": False})
        yield Tour(airflow, sandbox, lake)


def seed(airflow: LocalAirflow) -> None:
    """Start runs for the user to look at: two weeks of history, and a failure."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first, last = (midnight - timedelta(days=days) for days in (16, 3))
    backfill = {"dag_id": "snav_activity_daily", "from_date": first.isoformat(), "to_date": last.isoformat()}

    def backfilled() -> bool:
        try:
            airflow.call("POST", "backfills", {**backfill, "max_active_runs": 3})
        except RuntimeError as error:
            # SQLite has one writer at a time, and Airflow does not wait for it in this call.
            if "locked" not in str(error):
                raise
            return False
        return True

    wait_for("the backfill to begin", backfilled, timeout=PATIENCE_SECONDS)
    airflow.call("POST", "dags/snav_fails_on_purpose/dagRuns", {"logical_date": midnight.isoformat()})


def main() -> int:
    """Run Airflow and the sandbox until Ctrl-C or SIGTERM."""
    home, port = _options()
    for number in _SIGNALS:
        signal.signal(number, _leave)
    try:
        with _alone(home):
            shutil.rmtree(home, ignore_errors=True)
            print("Starting Airflow and the sandbox: about half a minute ...", flush=True)
            # An analytics export takes 2 seconds, a CRM validation 9.
            with tour(home, port=port, speed=600) as there:
                seed(there.airflow)
                print(WELCOME.format(there.airflow.url, there.lake, there.sandbox.base_url), flush=True)
                while True:
                    time.sleep(1)
                    there.airflow.check()
    except KeyboardInterrupt:
        print(GOODBYE.format(home))
        return 0
    except (OSError, RuntimeError, TimeoutError) as error:
        print(f"{error}\nThe logs are in {home}.", file=sys.stderr)
        return 1


def _options() -> tuple[Path, int]:
    parser = argparse.ArgumentParser(description="A real Airflow with all examples, against the sandbox.")
    parser.add_argument("--port", type=int, default=0, help="port of the web page; 0 (default): a free port")
    parser.add_argument("--home", type=Path, default=HOME, help="folder for all files, new each time")
    options = parser.parse_args()
    try:
        free_port(options.port)
    except (OSError, OverflowError) as error:
        parser.error(f"port {options.port} cannot be used: {error}")
    return options.home.resolve(), options.port


def _leave(*_: object) -> NoReturn:
    # A second Ctrl-C must not interrupt the cleanup.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Only one process may use the folder, because each start removes the files of the previous one."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError("make up is already running in another terminal.") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
