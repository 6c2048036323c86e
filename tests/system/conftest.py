"""One deployment and one S3 server for all system tests, and for each test a Sales Navigator of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from harness import Deployment
from linkedin import LinkedIn
from local_airflow import EXAMPLES
from store_servers import seaweedfs

from airflow_provider_snav.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def airflow() -> Iterator[Deployment]:
    """A running Airflow; the example DAGs are paused."""
    with Deployment(Path(__file__).parent / "dags", EXAMPLES) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server; see :func:`linkedin.s3_lake`."""
    with seaweedfs(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture
def make_linkedin(
    airflow: Deployment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[str], LinkedIn]]:
    """Make Sales Navigators by name, each with a folder of its own to land in."""
    # A line a request is thousands.
    caplog.set_level("WARNING", logger="airflow_provider_snav.sandbox")
    airflow.restore()
    with ExitStack() as stack:

        def make(name: str) -> LinkedIn:
            sandbox = stack.enter_context(Sandbox(analytics_processing=timedelta(days=365)))
            secrets = sandbox.access_token, sandbox.client_secret, "x-li-ambry-ep="
            stack.callback(_assert_not_logged, airflow, *secrets)
            folder = tmp_path / f"{tmp_path.name}_{name}"
            folder.mkdir()
            return LinkedIn(sandbox, airflow, folder)

        yield make


@pytest.fixture
def linkedin(make_linkedin: Callable[[str], LinkedIn]) -> LinkedIn:
    return make_linkedin("only")


def _assert_not_logged(airflow: Deployment, *secrets: str) -> None:
    assert not airflow.logs_with(*secrets)
