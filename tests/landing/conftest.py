"""Real stores to land on: a local folder, a server that speaks S3, and a store that only copies."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from landing_stores import BUCKET, LocalStore, MemoryStore, S3Store, Store

from airflow_provider_snav._compat import ObjectStoragePath

# In a process of its own, so that what is measured is the client. It ends when its standard input does,
# which the operating system sees to, however the tests end.
_S3_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Start an S3 server with an empty bucket, and point the connection ``lake`` to it."""
    with subprocess.Popen(
        [sys.executable, "-c", _S3_SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a line for every request
        text=True,
    ) as server:
        assert server.stdout is not None
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        connection = {
            "conn_type": "aws",
            "login": "lake-key",
            "password": "lake-secret",
            "extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
            _s3_client(endpoint).create_bucket(Bucket=BUCKET)
            yield endpoint


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return LocalStore(ObjectStoragePath(f"file://{tmp_path}/export"))


@pytest.fixture
def s3_store(s3_endpoint: str) -> Store:
    folder = ObjectStoragePath(f"s3://lake@{BUCKET}/{uuid.uuid4().hex}")
    return S3Store(folder, client=_s3_client(s3_endpoint))


@pytest.fixture
def memory_store() -> Store:
    attach("memory", fs=MemoryFileSystem())
    return MemoryStore(ObjectStoragePath(f"memory:///{uuid.uuid4().hex}"))


@pytest.fixture(params=["local_store", "s3_store", "memory_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Every kind of store, one after the other: ``rename(2)``, commit, copy and delete."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen


def _s3_client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="lake-key",
        aws_secret_access_key="lake-secret",
    )
