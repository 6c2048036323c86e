"""The Sales Navigator of one system test."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from harness import Deployment, Run, days_ago
from landing_stores import BUCKET, S3Store, s3_client
from local_airflow import wait_for
from stops import Silence

from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav.sandbox.faults import CallKind, Delay
from airflow_provider_snav.sandbox.server import Sandbox


class LinkedIn:
    """The Sales Navigator of one test, whose jobs go on until the test lets them end."""

    def __init__(self, sandbox: Sandbox, airflow: Deployment, folder: Path) -> None:
        self.sandbox = sandbox
        self._airflow = airflow
        self.folder = folder
        self.conn_id = f"snav_{folder.name}"
        airflow.add_connection(self.conn_id, sandbox.connection_json())

    def export(self, dag_id: str, **params: str) -> Run:
        """Run a DAG that exports one day from here and lands it."""
        asked = {"start_at": days_ago(3), "end_at": days_ago(2), **params}
        return self._airflow.trigger_run(dag_id, snav_conn_id=self.conn_id, folder=str(self.folder), **asked)

    def export_until_it_downloads(self) -> Run:
        """An export whose landing has asked for its file and waits for the answer."""
        self.let_jobs_end()
        silence = Silence(minutes=5)
        self.sandbox.fault("download", Delay(silence))
        run = self.export("export_deferred")
        wait_for("the download", lambda: silence.has_begun)
        return run

    def export_until_it_uploads(self, lake: S3Store) -> Run:
        """An export whose landing is in the middle of two gibibytes; another try will find less."""
        self.let_jobs_end()
        self.sandbox.settings.bulk_bytes = 2 * 1024**3
        run = self.export("export_deferred", lake=str(lake.folder))
        wait_for("an upload", lake.uploads)
        self.sandbox.settings.bulk_bytes = 0
        return run

    @property
    def jobs(self) -> list[int]:
        """The jobs that were created."""
        return list(self.sandbox.jobs)

    @property
    def polled_jobs(self) -> set[int]:
        """The jobs whose status was read."""
        requests = self.sandbox.requests
        return {int(each.path.rpartition("/")[2]) for each in requests if each.kind is CallKind.STATUS}

    def let_jobs_end(self) -> None:
        self.sandbox.settings.analytics_processing = timedelta(0)

    def wait_for_polls(self, more: int = 2) -> None:
        """Wait until that many more statuses were read."""
        wanted = self._polls() + more
        try:
            wait_for(f"{more} polls", lambda: self._polls() >= wanted)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self._airflow.component_logs(100)}") from None

    def wait_for_halt(self, method: str) -> None:
        """Wait until the operator has stopped at this method."""
        wait_for(f"the task to halt at {method}", (self.folder / f"halted-at-{method}").exists)

    def _polls(self) -> int:
        return sum(request.kind is CallKind.STATUS for request in self.sandbox.requests)

    def assert_only_job_landed(self, run: Run) -> None:
        """The run comes to land, and no job was created but the one whose file lies there."""
        run.wait_for_state("land", "success")
        [job] = self.jobs
        self.assert_landed(job)

    def assert_landed(self, job_id: int) -> None:
        """What a reader finds in the folder is what this job exported, and nothing else."""
        landed = [path.read_bytes() for path in self._visible()]
        assert landed == [file.read() for file in self.sandbox.files(job_id)]

    def assert_only_job_landed_in(self, lake: S3Store) -> None:
        """No job was created but the one whose file lies there, and there is nothing else."""
        [job] = self.jobs
        assert list(lake.files().values()) == [file.read() for file in self.sandbox.files(job)]
        assert not lake.uploads()

    def landed(self) -> dict[str, tuple[int, int]]:
        """Which files a reader finds, and what tells one writing of them from another."""
        found = {path.name: path.stat() for path in self._visible()}
        return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}

    def _visible(self) -> list[Path]:
        # Readers pass over names that begin with a dot: what a killed try left is removed when it is old.
        return [path for path in sorted((self.folder / "landed").rglob("*")) if path.name[0] != "."]


def s3_lake(address: str, airflow: Deployment, name: str) -> S3Store:
    """A folder of its own on an S3 server, with a connection to it."""
    extra = {"endpoint_url": f"http://{address}", "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "lake-key", "password": "lake-secret", "extra": extra}
    airflow.add_connection(f"lake_{name}", json.dumps(connection))
    return S3Store(ObjectStoragePath(f"s3://lake_{name}@{BUCKET}/{name}"), s3_client(f"http://{address}"))
