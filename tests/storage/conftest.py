"""Real stores to land on: a local folder, a server that speaks S3, and a store that only copies."""

from __future__ import annotations

import uuid

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from landing_stores import MemoryStore, Store

from airflow_provider_snav._compat import ObjectStoragePath


@pytest.fixture
def memory_store() -> Store:
    attach("memory", fs=MemoryFileSystem())
    return MemoryStore(ObjectStoragePath(f"memory:///{uuid.uuid4().hex}"))


@pytest.fixture(params=["local_store", "s3_store", "memory_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Every kind of store, one after the other: ``rename(2)``, commit, copy and delete."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen
