"""One deployment for all system tests, and for each test a Sales Navigator of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Deployment
from local_airflow import EXAMPLES


@pytest.fixture(scope="session")
def airflow() -> Iterator[Deployment]:
    """A running Airflow; the example DAGs are paused."""
    with Deployment(Path(__file__).parent / "dags", EXAMPLES) as deployment:
        yield deployment
