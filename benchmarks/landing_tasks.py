"""One task in a process of its own, as on a worker: ``python -m benchmarks.landing_tasks NAME``.

Each line of the input holds the arguments of one run, as JSON; each line of the output says what it took.
What counts is ``execute``, with everything it imports; Airflow's own start, the same for all, is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any


def land(export: Mapping[str, Any], destination: str, **arguments: Any) -> Callable[[], Any]:
    """Ours."""
    from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
        SalesNavigatorToObjectStorageOperator,
    )

    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=destination, **arguments
    )
    return lambda: task.execute({"task": task, "ti": None, "run_id": "benchmark"})


def http_to_s3(endpoint: str, headers: Mapping[str, str], bucket: str, key: str) -> Callable[[], Any]:
    """The amazon provider's way."""
    from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator

    task = HttpToS3Operator(
        task_id="land",
        http_conn_id="lake_http",
        endpoint=endpoint,
        headers=dict(headers),
        aws_conn_id="lake",
        s3_bucket=bucket,
        s3_key=key,
        replace=True,
    )
    return lambda: task.execute({"task": task, "ti": None})


def curl_and_boto3(curl: list[str], file: str, endpoint: str, bucket: str, key: str) -> Callable[[], Any]:
    """Download to a file, then upload it: what one writes into a ``@task``."""

    def run() -> None:
        from landing_stores import s3_client

        client = s3_client(endpoint)
        subprocess.run(curl, check=True)
        with Path(file).open("rb") as body:
            client.upload_fileobj(body, bucket, key)

    return run


def uncounted(url: str, file: str) -> Callable[[], Any]:
    """The least a verified landing in Python can be: receive, digest and write, one after the other."""
    from airflow_provider_snav.api.messages import Credential
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

    def run() -> None:
        digest = hashlib.sha256()
        with (
            SalesNavigatorHook() as hook,
            hook.download(url, Credential.MEMBER) as download,
            Path(file).open("wb") as body,
        ):
            for chunk in download:
                digest.update(chunk)
                body.write(chunk)

    return run


def duckdb(source: str, target: str) -> Callable[[], Any]:
    """DuckDB's conversion to Parquet, of a file on the disk."""

    def run() -> None:
        from duckdb import connect

        typed = "strptime(createdAt, '%m-%d-%Y %H:%M:%S') AS createdAt, seatId::BIGINT AS seatId"
        connect().execute(
            f"COPY (SELECT * REPLACE ({typed}) FROM read_csv(?, header = true, all_varchar = true))"  # noqa: S608
            f" TO '{target}' (FORMAT parquet, COMPRESSION zstd)",
            [source],
        )

    return run


def polars(source: str, target: str) -> Callable[[], Any]:
    """The conversion to Parquet of polars, of a file on the disk."""

    def run() -> None:
        from polars import Int64, col, scan_csv

        time_ = col("createdAt").str.to_datetime("%m-%d-%Y %H:%M:%S", time_unit="ms", time_zone="UTC")
        scan_csv(source, infer_schema=False).with_columns(time_, col("seatId").cast(Int64)).sink_parquet(
            target, compression="zstd"
        )

    return run


TASKS: Mapping[str, Callable[..., Callable[[], Any]]] = {
    "land": land,
    "http_to_s3": http_to_s3,
    "curl_and_boto3": curl_and_boto3,
    "uncounted": uncounted,
    "duckdb": duckdb,
    "polars": polars,
}


def _memory(of: str) -> int:
    found = re.search(rf"^{of}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def _measured(run: Callable[[], Any]) -> Mapping[str, Any]:
    # Linux forgets the peak so far: what counts is how far this run goes above where it began.
    Path("/proc/self/clear_refs").write_text("5")
    resident, began = _memory("VmRSS"), time.perf_counter()
    result = run()
    return {
        "seconds": time.perf_counter() - began,
        "grown": _memory("VmHWM") - resident,
        "result": result,
    }


def main(name: str) -> None:
    """Run the named task once for each line of the input."""
    # Airflow logs to the output, which is for answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        run = partial(TASKS[name], **json.loads(line))()
        print(json.dumps(_measured(run)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
