"""Real stores to land on: a local folder, a server that speaks S3, and a store that only copies."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from landing_stores import BUCKET, LocalStore, MemoryStore, S3Store, Store, s3_client

from airflow_provider_snav._compat import ObjectStoragePath


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return LocalStore(ObjectStoragePath(f"file://{tmp_path}/export"))


@pytest.fixture
def s3_store(s3_endpoint: str) -> Store:
    folder = ObjectStoragePath(f"s3://lake@{BUCKET}/{uuid.uuid4().hex}")
    return S3Store(folder, client=s3_client(s3_endpoint))


@pytest.fixture
def memory_store() -> Store:
    attach("memory", fs=MemoryFileSystem())
    return MemoryStore(ObjectStoragePath(f"memory:///{uuid.uuid4().hex}"))


@pytest.fixture(params=["local_store", "s3_store", "memory_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Every kind of store, one after the other: ``rename(2)``, commit, copy and delete."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen
