"""Figures for docs/deployment.md, printed by `make test-scale`.

Celery, two workers of four slots, two triggerers; every task is started by Airflow. Polls are as far apart as
in a busy deployment, and lost workers are noticed as late as Airflow's defaults have it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
from celery_cluster import CeleryDeployment
from harness import Run, days_ago
from landing_stores import BUCKET, s3_client
from local_airflow import wait_for
from store_servers import seaweedfs

from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.settings import SandboxContract

pytestmark = [pytest.mark.scale, pytest.mark.timeout(3600)]

LANDED = 200
WAITING = 1000
START_OF_WAITS = timedelta(days=365)
HEARTBEAT = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 300,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 10,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 30,
}
MB = 1e6


@pytest.fixture(scope="module")
def celery() -> Iterator[CeleryDeployment]:
    folder = Path(__file__).parent / "dags"
    with CeleryDeployment(folder, poll_interval=10, **HEARTBEAT) as deployment:
        yield deployment


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    # A line a request is thousands.
    caplog.set_level("WARNING", logger="airflow_provider_snav.sandbox")


class Peaks:
    """The most memory each component held, looked at every few seconds within a ``with`` block."""

    def __init__(self, deployment: CeleryDeployment) -> None:
        self._deployment = deployment
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._together: dict[str, int] = {}
        self._largest: dict[str, int] = {}

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def print(self) -> None:
        for name, together in sorted(self._together.items()):
            print(f"{name}: {together / MB:.0f} MB, its largest process {self._largest[name] / MB:.0f} MB")

    def _look(self) -> None:
        while not self._over.wait(3):
            for name, sizes in self._deployment.memory().items():
                self._together[name] = max(self._together.get(name, 0), sum(sizes))
                self._largest[name] = max(self._largest.get(name, 0), *sizes, 0)


def test_two_hundred_contracts_are_exported_and_landed_on_s3(
    celery: CeleryDeployment, tmp_path: Path
) -> None:
    contracts = _contracts(LANDED)
    with (
        seaweedfs(tmp_path) as address,
        Sandbox(contracts=contracts, analytics_processing=timedelta(0)) as sandbox,
        Peaks(celery) as peaks,
    ):
        extra = {"endpoint_url": f"http://{address}", "region_name": "us-east-1"}
        lake = {"conn_type": "aws", "login": "lake-key", "password": "lake-secret", "extra": extra}
        celery.add_connection("lake", json.dumps(lake))
        began = time.monotonic()
        run = _run(celery, sandbox, "scale_landings", lake=f"s3://lake@{BUCKET}/landed/")
        _wait_for_states(celery, run, success=2 * LANDED + 1)
        seconds = time.monotonic() - began
        listed = s3_client(f"http://{address}").list_objects_v2(Bucket=BUCKET)
    print(f"\n{LANDED} contracts exported and landed: {seconds:.0f} s")
    print(f"starts of tasks: {(3 * LANDED + 1) / seconds:.2f} a second")
    peaks.print()
    assert listed["KeyCount"] == len(sandbox.jobs) == LANDED


def test_a_thousand_exports_wait_and_complete(celery: CeleryDeployment) -> None:
    celery.restore()
    empty = _table_bytes(celery)
    with (
        Sandbox(contracts=_contracts(WAITING), analytics_processing=START_OF_WAITS) as sandbox,
        Peaks(celery) as peaks,
    ):
        began = time.monotonic()
        run = _run(celery, sandbox, "scale_waits")
        _wait_for_states(celery, run, deferred=WAITING)
        starting = time.monotonic() - began
        waiting = _table_bytes(celery)
        sandbox.settings.analytics_processing = timedelta(0)
        began = time.monotonic()
        _wait_for_states(celery, run, success=WAITING + 1)
        completing = time.monotonic() - began
    done = _table_bytes(celery)
    print(f"\n{WAITING} exports submitted: {starting:.0f} s, {WAITING / starting:.2f} a second")
    print(f"{WAITING} exports resumed: {completing:.0f} s, {WAITING / completing:.2f} a second")
    peaks.print()
    print("bytes an export, while it waits and once it is done:")
    for table in sorted(empty):
        sizes = [(each[table] - empty[table]) / WAITING for each in (waiting, done)]
        if max(sizes) >= 1:
            print(f"  {table}: {sizes[0]:.0f}, {sizes[1]:.0f}")
    assert len(sandbox.jobs) == WAITING


def _contracts(number: int) -> tuple[SandboxContract, ...]:
    return tuple(
        SandboxContract(f"urn:li:contract:{1000 + each}", f"Contract {each}") for each in range(number)
    )


def _run(celery: CeleryDeployment, sandbox: Sandbox, dag_id: str, **params: str) -> Run:
    celery.add_connection(f"snav_{dag_id}", sandbox.connection_json())
    asked = {"start_at": days_ago(3), "end_at": days_ago(2), **params}
    return celery.trigger_run(dag_id, snav_conn_id=f"snav_{dag_id}", **asked)


def _wait_for_states(celery: CeleryDeployment, run: Run, **wanted: int) -> None:
    """Wait until as many tasks of the run as that are in these states."""

    def reached() -> bool:
        with closing(psycopg2.connect(celery.postgres.url(""))) as database, database.cursor() as cursor:
            cursor.execute(
                "SELECT state, count(*) FROM task_instance WHERE run_id = %s GROUP BY state", (run.run_id,)
            )
            found = dict(cursor.fetchall())
        assert "failed" not in found, celery.component_logs()
        return all(found.get(state, 0) >= number for state, number in wanted.items())

    wait_for(f"{wanted}", reached, timeout=3000)


def _table_bytes(celery: CeleryDeployment) -> Mapping[str, int]:
    """The bytes of all rows of each table of Airflow's database."""
    sizes = {}
    with closing(psycopg2.connect(celery.postgres.url(""))) as database, database.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for [table] in cursor.fetchall():
            cursor.execute(f'SELECT coalesce(sum(pg_column_size(each.*)), 0) FROM "{table}" AS each')  # noqa: S608
            [[sizes[table]]] = cursor.fetchall()
    return sizes
