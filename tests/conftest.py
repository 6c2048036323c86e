"""What every test relies on: an Airflow of its own, and no way off the machine."""

from __future__ import annotations

import atexit
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import registry  # noqa: F401  # remembers the proxies that are dropped below
from local_airflow import is_foreign

if TYPE_CHECKING:
    from landing_stores import Store

# Airflow reads its settings once, on the first import, so they are set before anything here can
# import it. The developer's own settings are dropped first: they may name a real database, and modules
# of PYTHONPATH may be another Airflow's settings.
_PYTHONPATH = [Path(each).resolve() for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
sys.path[:] = [each for each in sys.path if Path(each).resolve() not in _PYTHONPATH]
for _name in [name for name in os.environ if is_foreign(name)]:
    del os.environ[_name]

_HOME = Path(tempfile.mkdtemp(prefix="snav-airflow-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
(_HOME / "dags").mkdir()

# Not [core] unit_test_mode: it turns create_cron_data_intervals on, and the empty data intervals of
# a plain "@daily" would never be tested.
os.environ["AIRFLOW_HOME"] = str(_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# A machine's own netrc would put its credentials into our requests.
os.environ["NETRC"] = os.devnull

# Airflow looks up the name of the machine it runs on.
_OWN_NAMES = {"localhost", socket.gethostname()}


def _refuse_to_leave_the_machine(event: str, args: tuple[Any, ...]) -> None:
    """Raise when a socket is about to look up, or connect to, anything but this machine."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name and name not in _OWN_NAMES and not _is_local_address(name):
        raise RuntimeError(f"a test tried to reach {name}: tests talk to this machine only")


def _is_local_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_refuse_to_leave_the_machine)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where processes share the tests, the folder that takes longest goes first."""
    items.sort(key=lambda item: item.path.parent.name != "system")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where processes share the tests, those of a folder share its servers."""
    from xdist.scheduler import LoadScopeScheduling

    class FolderScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0].rpartition("/")[0]

    return FolderScheduling(config, log)


@pytest.fixture(autouse=True)
def forget_masked_secrets() -> Iterator[None]:
    """Airflow compiles one pattern of all secrets it ever saw: after some hundred tests, seconds each."""
    yield
    if masker := sys.modules.get("airflow.sdk._shared.secrets_masker.secrets_masker"):
        masker.reset_secrets_masker()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call tries twice, so that a third failure in a row reaches the one who waits for the export.

    A file that is not there, or not whole, is asked for three times.
    """
    from airflow_provider_snav.api.exchange import RetryPolicy
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook

    policy = RetryPolicy(tries=2, first=0.001, longest_wait=0.2, fresh_token_waits=(0.001,))
    for hook in (SalesNavigatorHook, SalesNavigatorAsyncHook):
        monkeypatch.setattr(hook, "retry_policy", policy)
    monkeypatch.setattr("airflow_provider_snav.landing.download.PAUSES", (0.001, 0.002))


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
    from landing_stores import BUCKET, s3_client

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
            s3_client(endpoint).create_bucket(Bucket=BUCKET)
            yield endpoint


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    """A folder of this machine."""
    from landing_stores import LocalStore

    from airflow_provider_snav._compat import ObjectStoragePath

    return LocalStore(ObjectStoragePath(f"file://{tmp_path}/export"))


@pytest.fixture
def s3_store(s3_endpoint: str) -> Store:
    """A folder of its own on the S3 server."""
    from landing_stores import BUCKET, S3Store, s3_client

    from airflow_provider_snav._compat import ObjectStoragePath

    folder = ObjectStoragePath(f"s3://lake@{BUCKET}/{uuid.uuid4().hex}")
    return S3Store(folder, client=s3_client(s3_endpoint))


@pytest.fixture
def memory_store() -> Store:
    """A folder of a store that Airflow has no provider for, and that only copies."""
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem
    from landing_stores import MemoryStore

    from airflow_provider_snav._compat import ObjectStoragePath

    attach("memory", fs=MemoryFileSystem())
    return MemoryStore(ObjectStoragePath(f"memory:///{uuid.uuid4().hex}"))
