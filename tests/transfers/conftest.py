"""Where exports land: a local folder and a server that speaks S3."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from landing_stores import BUCKET, LocalStore, S3Store, Store, s3_client

from airflow_provider_snav._compat import ObjectStoragePath


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return LocalStore(ObjectStoragePath(f"file://{tmp_path}/lake"))


@pytest.fixture
def s3_store(s3_endpoint: str) -> Store:
    folder = ObjectStoragePath(f"s3://lake@{BUCKET}/{uuid.uuid4().hex}")
    return S3Store(folder, client=s3_client(s3_endpoint))


@pytest.fixture(params=["local_store", "s3_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each in turn."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen
