"""What the questions about landing share: a sandbox with an export to land, and tasks in processes.

The sandbox serves from the process that asks the questions, which only waits meanwhile: to every side it is
the same server in another process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from landing_stores import BUCKET
from store_servers import connection, seaweedfs
from task_runs import completed_export

from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.sandbox.data import CsvFile
from airflow_provider_snav.sandbox.faults import Redirect
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.settings import QUOTED_TEXT

MIB = 1024 * 1024


@dataclass(frozen=True)
class Run:
    """What one run of a task took.

    :param seconds: the wall time of its ``execute``.
    :param grown: bytes its process grew by at the peak.
    :param result: what it returned.
    """

    seconds: float
    grown: int
    result: Any


@dataclass(frozen=True)
class Lab:
    """A sandbox with one finished analytics export, and a folder to work in."""

    sandbox: Sandbox
    export: Mapping[str, Any]
    folder: Path

    @property
    def landed(self) -> Path:
        """The folder of the disk to land in."""
        return self.folder / "landed"

    @property
    def url(self) -> str:
        """Where the export's one file is downloaded from."""
        with SalesNavigatorHook() as hook:
            [url] = hook.get_analytics_export(self._job_id, self.export["contract"]).download_urls
            return url

    @property
    def signed_url(self) -> str:
        """Where the same file lies for a client without a token."""
        self.sandbox.fault("download", Redirect())
        answer = requests.get(self.url, headers=self.headers, allow_redirects=False, timeout=10)
        return answer.headers["Location"]

    @property
    def headers(self) -> Mapping[str, str]:
        """What a download has to carry."""
        return {
            "Authorization": f"Bearer {self.sandbox.access_token}",
            "X-RestLi-Protocol-Version": "2.0.0",
        }

    @property
    def file(self) -> CsvFile:
        """What has to land."""
        [file] = self.sandbox.files(self._job_id)
        return file

    def curl(self, output: str) -> list[str]:
        """The command that downloads the file."""
        headers = [word for name, value in self.headers.items() for word in ("-H", f"{name}: {value}")]
        return ["curl", "-sf", "-o", output, *headers, self.url]

    def land(self, destination: str | None = None) -> Run:
        """Land the export by a task in a new process.

        :param destination: a folder's URI; None: the folder of the disk.
        """
        run = alone("land", export=self.export, destination=destination or self.landed.as_uri())
        self.check(run)
        return run

    def check(self, run: Run) -> None:
        """Stop everything if what landed is not what the sandbox exported."""
        landed = [(each["rows"], each["bytes"]) for each in run.result]
        assert landed == [(self.file.rows, self.file.size)], landed

    @property
    def _job_id(self) -> int:
        job_id: int = self.export["slices"][0]["job_id"]
        return job_id


@contextmanager
def lab(size: int, text: str = QUOTED_TEXT) -> Iterator[Lab]:
    """A lab whose export is one file of at least this many bytes.

    :param text: what one field of its rows holds.
    """
    with sandboxed() as sandbox, tempfile.TemporaryDirectory(prefix="snav-bench-") as folder:
        export = completed_export()
        sandbox.settings.bulk_bytes, sandbox.settings.bulk_text = size, text
        yield Lab(sandbox, export, Path(folder))


@contextmanager
def sandboxed() -> Iterator[Sandbox]:
    """A sandbox whose jobs are done at once, known as ``snav_default`` to this process and its children."""
    with Sandbox(speed=1e9) as sandbox:
        os.environ["AIRFLOW_CONN_SNAV_DEFAULT"] = sandbox.connection_json()
        yield sandbox


@contextmanager
def s3_lake(folder: Path) -> Iterator[tuple[str, str]]:
    """SeaweedFS with an empty bucket, known as the connection ``lake``; the folder's URI, the endpoint."""
    (folder / "s3").mkdir()
    with seaweedfs(folder / "s3") as address:
        endpoint = f"http://{address}"
        extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        connection("lake", conn_type="aws", login="lake-key", password="lake-secret", extra=extra)
        yield f"s3://lake@{BUCKET}/snav", endpoint


@contextmanager
def process(task: str) -> Iterator[Callable[..., Run]]:
    """A process for one of :mod:`benchmarks.landing_tasks`: call it with the task's arguments."""
    command = [sys.executable, "-m", "benchmarks.landing_tasks", task]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as child,
    ):

        def run(**arguments: Any) -> Run:
            assert child.stdin
            assert child.stdout
            # What was written before must not reach the disk now.
            os.sync()
            child.stdin.write(json.dumps(arguments) + "\n")
            child.stdin.flush()
            answer = child.stdout.readline()
            if not answer:
                log.seek(0)
                raise RuntimeError(f"{task} failed:\n{log.read()[-5000:]}")
            return Run(**json.loads(answer))

        yield run
        child.stdin.close()


def alone(task: str, **arguments: Any) -> Run:
    """Run a task once, in a new process, as Airflow does."""
    with process(task) as run:
        return run(**arguments)
