"""No token, secret or download URL of a whole DAG is left anywhere a reader of Airflow could look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from dag_runs import AirflowHome

from airflow_provider_snav.sandbox.faults import garbage_json, http_error
from airflow_provider_snav.sandbox.server import Sandbox

FILES = Path(__file__).parent / "files"
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


@pytest.fixture(scope="module")
def traces(airflow_home: AirflowHome) -> Iterator[tuple[dict[str, str], set[str]]]:
    """All that a run left, by where it lies; and its secrets."""
    date = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    with Sandbox(speed=12_000) as sandbox:
        sandbox.fault("status", http_error(503))
        sandbox.fault("status", garbage_json())
        sandbox.fault("download", http_error(401))
        printed = airflow_home.run(
            sandbox,
            FILES,
            [{"dag_id": "all_secrets", "logical_date": date}],
            AIRFLOW__LOGGING__LOGGING_LEVEL="DEBUG",
            AIRFLOW_CONN_SNAV_DEFAULT=sandbox.connection_json(access_token=False, refresh_token=True),
        )
        found = {"printed": _AIRFLOWS_OWN.sub("", printed)}
        for path in airflow_home.path.rglob("*"):
            if path.is_file() and "lake" not in path.relative_to(airflow_home.path).parts:
                found[str(path.relative_to(airflow_home.path))] = path.read_bytes().decode("latin-1")
        yield found, all_secrets(sandbox)


def test_the_run_did_all_that_could_show_a_secret(
    airflow_home: AirflowHome, traces: tuple[dict[str, str], set[str]]
) -> None:
    found, secrets = traces
    states = airflow_home.states("all_secrets")
    assert states == {"export": "success", "land": "success", "crm": "success", "fails": "failed"}
    assert "[debug" in found["printed"]
    assert "asking for a new URL" in found["printed"]
    assert "HTTP 503" in found["printed"]
    assert "urllib3.connectionpool" in found["printed"]
    assert "could not be opened for writing" in found["printed"]
    # The three of the sandbox, a refreshed member token, a minted application token, two or more URLs.
    assert len(secrets) >= 7
    assert airflow_home.query("SELECT count(*) FROM rendered_task_instance_fields")[0][0] >= 4
    assert airflow_home.query("SELECT count(*) FROM xcom")[0][0] >= 3


def test_no_secret_is_left_anywhere(traces: tuple[dict[str, str], set[str]]) -> None:
    found, secrets = traces
    assert "airflow.db" in found
    for place, text in found.items():
        for secret in secrets:
            assert secret not in text, place
        assert "x-li-ambry-ep=" not in text, place
