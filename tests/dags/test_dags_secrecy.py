"""No token, secret or download URL of a whole DAG is left anywhere a reader of Airflow could look."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from real_airflow import RealAirflow, Run

from airflow_provider_snav.sandbox.faults import garbage_json, http_error
from airflow_provider_snav.sandbox.server import Sandbox

DAG_FILE = Path(__file__).parent / "files" / "all_secrets.py"
# `dags test` plays the part of Airflow's API server as well, and at DEBUG it logs the very requests by
# which tasks ask for secrets to be masked. In production they go over a socket.
_AIRFLOWS_OWN = re.compile(r"Sending request +.*msg=MaskSecret\(.*")


def all_secrets(sandbox: Sandbox) -> set[str]:
    """Every secret that went over the wire, and those that could have."""
    secrets = {sandbox.access_token, sandbox.client_secret, sandbox.refresh_token}
    for request in sandbox.requests:
        for header in request.headers.get("authorization", ()):
            secrets.add(header.removeprefix("Bearer "))
        if request.kind == "download":
            secrets |= {value for _, value in parse_qsl(request.query)}
    return secrets


@dataclass(frozen=True)
class Traces:
    """All that a run left.

    :param rendered: task instances whose rendered fields are shown.
    :param found: every file below the Airflow home, its log and its database too, but not what landed.
    """

    run: Run
    rendered: int
    found: dict[str, str]
    secrets: set[str]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    airflow = RealAirflow([DAG_FILE], AIRFLOW__LOGGING__LOGGING_LEVEL="DEBUG")
    with Sandbox(speed=12_000) as sandbox:
        sandbox.fault("status", http_error(503))
        sandbox.fault("status", garbage_json())
        sandbox.fault("download", http_error(401))
        environment = {
            "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(access_token=False, refresh_token=True),
            "AIRFLOW_VAR_SNAV_CRM_INSTANCE": sandbox.settings.crm_instances[0],
            "AIRFLOW_VAR_SNAV_LAKE": tmp_path_factory.mktemp("lake").as_uri(),
        }
        try:
            run = airflow.run("all_secrets", datetime.now(UTC).isoformat(), environment, {})
            found = {
                str(path): _AIRFLOWS_OWN.sub("", path.read_bytes().decode("latin-1"))
                for path in airflow.home.rglob("*")
                if path.is_file()
            }
            with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
                [rendered] = database.execute("SELECT count(*) FROM rendered_task_instance_fields").fetchone()
        finally:
            airflow.end()
        yield Traces(run, rendered, found, all_secrets(sandbox))


def test_the_run_did_all_that_could_show_a_secret(traces: Traces) -> None:
    tasks = {"export": "success", "land": "success", "crm": "success", "fails": "failed"}
    assert {task: traces.run.states(task) for task in tasks} == {
        task: [state] for task, state in tasks.items()
    }, traces.run.log[-5000:]
    assert "[debug" in traces.run.log
    assert "asking for a new URL" in traces.run.log
    assert "HTTP 503" in traces.run.log
    assert "urllib3.connectionpool" in traces.run.log
    assert "could not be opened for writing" in traces.run.log
    # The three of the sandbox, a refreshed member token, a minted application token, two or more URLs.
    assert len(traces.secrets) >= 7
    assert traces.rendered >= 4
    assert len(traces.run.xcoms) >= 3


def test_no_secret_is_left_anywhere(traces: Traces) -> None:
    assert {"airflow.db", "log"} <= {Path(place).name for place in traces.found}
    for place, text in traces.found.items():
        for secret in traces.secrets:
            assert secret not in text, place
        assert "x-li-ambry-ep=" not in text, place
