"""Landing takes the same memory whatever the size, to a disk and to S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from landing_stores import BUCKET
from store_servers import seaweedfs
from task_runs import completed_export, parts_of

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
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=destination, format=format_
    )
    return task.execute({"ti": None, "task": task, "run_id": "r"})

destination, format_ = sys.argv[1:]
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


def land_in_a_process(
    sandbox: Sandbox, destination: str, *, parts: int = 1, size: int = GIB, format_: str = "csv"
) -> Any:
    """How much the process grew while landing files of this size, and what it landed."""
    sandbox.settings.speed = 1e9
    small = completed_export()
    with subprocess.Popen(
        [sys.executable, "-c", _LAND, destination, format_],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        process.stdin.write(json.dumps(small) + "\n")
        process.stdin.flush()
        answer(process, "READY")
        sandbox.settings.bulk_bytes = size
        process.stdin.write(json.dumps(small if parts == 1 else parts_of(parts)) + "\n")
        process.stdin.flush()
        return json.loads(answer(process, "DONE"))


def check(sandbox: Sandbox, result: Any, *, least: int = GIB) -> None:
    landed = result["landed"]
    jobs = sandbox.created_jobs[-len(landed) :]
    files = [file for job in jobs for file in sandbox.files(job.job_id)]
    assert [(each["rows"], each["bytes"]) for each in landed] == [(file.rows, file.size) for file in files]
    assert sum(each["bytes"] for each in landed) >= least
    assert result["grown"] < LIMIT, f"grew by {result['grown'] / MIB:.0f} MiB"


def test_a_gib_lands_on_a_disk_in_little_memory(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    result = land_in_a_process(snav_sandbox, tmp_path.as_uri())
    check(snav_sandbox, result)
    [stored] = tmp_path.iterdir()
    assert stored.stat().st_size == result["landed"][0]["bytes"]
    stored.unlink()


PARQUET_SIZE = int(os.environ.get("SNAV_PARQUET_MIB", "256")) * MIB
"""More takes minutes, and no more memory: the how-to says what was measured with 4 GiB."""


def test_a_large_export_lands_as_parquet_in_little_memory(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    result = land_in_a_process(snav_sandbox, tmp_path.as_uri(), size=PARQUET_SIZE, format_="parquet")
    [landed] = result["landed"]
    [file] = snav_sandbox.files(snav_sandbox.created_jobs[-1].job_id)
    assert file.size >= PARQUET_SIZE
    assert landed["rows"] == file.rows == pq.read_metadata(next(tmp_path.glob("*.parquet"))).num_rows
    assert result["grown"] < 160 * MIB, f"grew by {result['grown'] / MIB:.0f} MiB"


@pytest.fixture
def fast_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """SeaweedFS with an empty bucket: moto takes a GiB in half a minute, and keeps it in memory."""
    with seaweedfs(tmp_path) as address:
        connection = {
            "conn_type": "aws",
            "login": "lake-key",
            "password": "lake-secret",
            "extra": {"endpoint_url": f"http://{address}", "region_name": "us-east-1"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        yield f"s3://lake@{BUCKET}/snav"


def test_a_gib_lands_on_s3_in_little_memory(snav_sandbox: Sandbox, fast_s3: str) -> None:
    check(snav_sandbox, land_in_a_process(snav_sandbox, fast_s3))


# Sixty files of a block or less; and four side by side all the time, of several blocks each.
SHAPES = pytest.mark.parametrize(("parts", "size"), [(60, 4 * MIB), (12, 24 * MIB)], ids=["60", "12 large"])


@SHAPES
def test_many_parts_land_on_a_disk_in_little_memory(
    snav_sandbox: Sandbox, tmp_path: Path, parts: int, size: int
) -> None:
    result = land_in_a_process(snav_sandbox, tmp_path.as_uri(), parts=parts, size=size)
    check(snav_sandbox, result, least=parts * size)


@SHAPES
def test_many_parts_land_on_s3_in_little_memory(
    snav_sandbox: Sandbox, fast_s3: str, parts: int, size: int
) -> None:
    result = land_in_a_process(snav_sandbox, fast_s3, parts=parts, size=size)
    check(snav_sandbox, result, least=parts * size)
