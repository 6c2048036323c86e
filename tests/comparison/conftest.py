"""Both DAGs, with a lake for each."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from comparison_scenario import Both
from landing_stores import BUCKET, LocalStore, S3Store, Store, s3_client

from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav.sandbox.server import Sandbox


@pytest.fixture
def both(snav_sandbox: Sandbox, tmp_path: Path) -> Both:
    """Land in local folders; a job whose statuses are not scripted is complete at the first poll."""
    snav_sandbox.settings.speed = 1e9
    return Both(snav_sandbox, lambda name: LocalStore(ObjectStoragePath((tmp_path / name).as_uri())))


@pytest.fixture
def s3_lake(s3_endpoint: str) -> Callable[[str], Store]:
    """Make a folder of this name on S3."""
    root, client = f"s3://lake@{BUCKET}/{uuid.uuid4().hex}", s3_client(s3_endpoint)
    return lambda name: S3Store(ObjectStoragePath(f"{root}/{name}"), client=client)
