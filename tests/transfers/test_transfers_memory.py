"""Landing takes the same memory whatever the size, to a disk and to S3."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from landing_stores import BUCKET, s3_client
from task_runs import completed_export

from airflow_provider_snav.sandbox.server import Sandbox

GIB = 1024**3
MIB = 1024**2
LIMIT = 64 * MIB

# Lands a small export first: what is measured is the size of the file, not of the libraries.
_LAND = """
import json, re, sys
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

def land(export):
    task = SalesNavigatorToObjectStorageOperator(task_id="land", export=export, destination=destination)
    return task.execute({"ti": None, "task": task, "run_id": "r"})

destination = sys.argv[1]
land(json.loads(sys.stdin.readline()))
print("READY", flush=True)
big = json.loads(sys.stdin.readline())
before = peak()
landed = land(big)
print("DONE", json.dumps({"grown": peak() - before, "landed": landed}), flush=True)
"""


def answer(process: subprocess.Popen[str], word: str) -> str:
    """What follows a word in the process's output, which logs as well."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(word):
            return line.removeprefix(word)
    raise AssertionError(f"the process ended without {word}")


def land_in_a_process(sandbox: Sandbox, destination: str) -> Any:
    """How much the process grew while landing a GiB, and what it landed."""
    sandbox.settings.speed = 1e9
    small = completed_export()
    with subprocess.Popen(
        [sys.executable, "-c", _LAND, destination],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        process.stdin.write(json.dumps(small) + "\n")
        process.stdin.flush()
        answer(process, "READY")
        sandbox.settings.bulk_bytes = GIB
        process.stdin.write(json.dumps(small) + "\n")
        process.stdin.flush()
        return json.loads(answer(process, "DONE"))


def check(sandbox: Sandbox, result: Any) -> None:
    [landed] = result["landed"]
    [job] = sandbox.created_jobs
    [file] = sandbox.files(job.job_id)
    assert (landed["rows"], landed["bytes"]) == (file.rows, file.size)
    assert landed["bytes"] >= GIB
    assert result["grown"] < LIMIT, f"grew by {result['grown'] / MIB:.0f} MiB"


def test_a_gib_lands_on_a_disk_in_little_memory(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    result = land_in_a_process(snav_sandbox, tmp_path.as_uri())
    check(snav_sandbox, result)
    [stored] = tmp_path.iterdir()
    assert stored.stat().st_size == result["landed"][0]["bytes"]
    stored.unlink()


@pytest.fixture
def fast_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """SeaweedFS with an empty bucket: moto takes a GiB in half a minute, and keeps it in memory."""
    identity = {
        "name": "lake",
        "credentials": [{"accessKey": "lake-key", "secretKey": "lake-secret"}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = tmp_path / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    (tmp_path / "weed").mkdir()
    master, volume, filer, s3 = free_ports(4)
    arguments = {
        "dir": tmp_path / "weed",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": master,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 256,
        "volume.port": volume,
        "volume.max": 30,
        "filer": "true",
        "filer.port": filer,
        "s3": "true",
        "s3.port": s3,
        "s3.config": config,
    }
    endpoint = f"http://127.0.0.1:{s3}"
    connection = {
        "conn_type": "aws",
        "login": "lake-key",
        "password": "lake-secret",
        "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    server = subprocess.Popen(
        [Path(sys.executable).with_name("weed"), "server", *(f"-{n}={v}" for n, v in arguments.items())],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not answers(endpoint):
            assert server.poll() is None
            time.sleep(0.1)
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        yield f"s3://lake@{BUCKET}/snav"
    finally:
        server.kill()
        server.wait()


def answers(endpoint: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(endpoint, timeout=5).status_code < 500
    return False


def free_ports(count: int) -> list[int]:
    """Ports that are free, and so is the one 10,000 above each, which SeaweedFS takes for gRPC."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.randrange(20_000, 30_000)
            with suppress(OSError):
                for each in (port, port + 10_000):
                    listener = held.enter_context(socket.socket())
                    listener.bind(("127.0.0.1", each))
                found.append(port)
    return found


def test_a_gib_lands_on_s3_in_little_memory(snav_sandbox: Sandbox, fast_s3: str) -> None:
    check(snav_sandbox, land_in_a_process(snav_sandbox, fast_s3))
