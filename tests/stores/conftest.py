"""Every store a test can have on this machine, and a sandbox whose clock can jump."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator

import pytest
import store_servers
from store_landings import JumpingClock
from store_servers import Lake, StoreServer

from airflow_provider_snav.sandbox.server import Sandbox

# Its threads say goodbye when the process ends, to a stream pytest has closed by then.
logging.getLogger("asyncssh").setLevel(logging.WARNING)


@pytest.fixture(scope="session", params=["disk", "s3", "sftp", "gs", "abfs"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """Each in turn, running while it is tested."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "abfs" and not store_servers.AZURITE.exists():
        pytest.skip(
            "NOT TESTED: Azure Blob Storage, for want of its emulator. `make test` installs it from npm's"
            " registry, if that can be reached; remove .venv/.installed-test to have it try again."
        )
    running = {
        "disk": store_servers.disk,
        "s3": store_servers.s3,
        "sftp": store_servers.sftp,
        "gs": store_servers.gs,
        "abfs": store_servers.azure,
    }[request.param](folder)
    with running as server:
        server.attach()
        yield server


@pytest.fixture
def lake(server: StoreServer) -> Iterator[Lake]:
    yield Lake(server, uuid.uuid4().hex)
    server.gate.open()


@pytest.fixture(autouse=True)
def _impatient(impatient: None) -> None:
    """In every test."""


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def snav_sandbox(clock: JumpingClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The fixture everybody gets, with a clock of ours and jobs that are done at once."""
    with Sandbox(clock=clock, speed=1e9) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", sandbox.connection_json())
        yield sandbox
