"""A complete Airflow on this machine: each component is a separate process, on loopback and free ports.

``make up`` shows it, and the system tests crash it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from airflow_provider_snav.sandbox.server import HOST, Sandbox

T = TypeVar("T")

EXAMPLES = Path(__file__).resolve().parent.parent / "example_dags"
_GUARD = Path(__file__).with_name("guard.py")
_LOOK_EVERY = 0.2
# Long enough for a slow machine. A component that crashes is noticed at once, before this time.
PATIENCE_SECONDS = 300
# Settings for another Airflow or another Python, and proxies, which loopback connections must not use.
_FOREIGN = re.compile("(AIRFLOW|OPENLINEAGE|PYTHON).*|.*_PROXY", re.IGNORECASE)

_HASTE = """\
from datetime import timedelta


def task_policy(task):
    from airflow_provider_snav.operators.base import ExportOperator

    task.retry_delay = timedelta(seconds={longest})
    if hasattr(task, "poke_interval"):
        task.poke_interval = {first}
    if issubclass(getattr(task, "operator_class", type(task)), ExportOperator):
        # A mapped task keeps its arguments apart until it is expanded.
        arguments = task.partial_kwargs if hasattr(task, "partial_kwargs") else vars(task)
        arguments.update(
            poll_interval={first}, max_poll_interval={longest}, resubmit_delay=timedelta(seconds={longest})
        )
"""


class LocalAirflow:
    """An Airflow that runs inside a ``with`` block. It ends with the block, or with its parent process.

    :param root: a new folder for all files.
    :param dags: the folders of DAG files.
    :param port: the port of the web page and the REST API; 0 chooses a free port.
    :param poll_interval: seconds before the first poll of every task; the longest pause is twice as long.
    :param temporary: remove ``root`` at the end.
    :param settings: more settings of Airflow, as ``SECTION__NAME=value``.
    :raises OSError: the port is already used.
    """

    components: tuple[str, ...] = ("api-server", "scheduler -s", "dag-processor", "triggerer -s")

    def __init__(
        self,
        root: Path,
        *dags: Path,
        port: int = 0,
        poll_interval: float = 2,
        temporary: bool = False,
        **settings: object,
    ) -> None:
        self.root = root
        self.url = f"http://{HOST}:{free_port(port)}"
        self.settings = {**_service_settings(self.url), **_bundles(dags), **settings}
        self._poll_interval = poll_interval
        self._temporary = [root] if temporary else []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._components: dict[str, subprocess.Popen[bytes]] = {}
        self._http = requests.Session()
        self._http.trust_env = False
        # On a busy machine the server may close an idle connection at the moment of its next use.
        self._http.headers["Connection"] = "close"

    def __enter__(self) -> Self:
        self._guard = subprocess.Popen(
            [sys.executable, _GUARD, *self._temporary],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self._start()
            wait_for("all components", self._is_healthy, timeout=PATIENCE_SECONDS)
            # The first call to the API of the tasks takes seconds, so make it before any task does.
            self.call("GET", "/execution/health")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process."""
        self._http.close()
        assert self._guard.stdin
        self._guard.stdin.close()
        for process in self._processes:
            process.wait(timeout=60)
        self._guard.wait(timeout=60)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API.

        :param path: below ``/api/v2/``, unless it begins with a slash.
        :returns: the answer's JSON, None if the answer is empty.
        :raises RuntimeError: the answer is an error.
        """
        answer = self._request(method, path, json=body)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def knows(self, path: str) -> bool:
        """Whether a GET of this path succeeds."""
        return self._request("GET", path).ok

    def add_connection(self, name: str, connection_json: str) -> None:
        """Create a connection from the text of an ``AIRFLOW_CONN_…`` variable."""
        connection = json.loads(connection_json)
        # Airflow 3.3.2's Test button refuses connections without a port.
        connection.setdefault("port", urlsplit(connection.get("host") or "").port or 443)
        extra = json.dumps(connection.pop("extra"))
        self.call("POST", "connections", {"connection_id": name, "extra": extra, **connection})

    def add_variables(self, variables: Mapping[str, str]) -> None:
        """Create these variables."""
        for key, value in variables.items():
            self.call("POST", "variables", {"key": key, "value": value})

    def check(self) -> None:
        """Check that every component runs.

        :raises RuntimeError: a component has crashed or exited.
        """
        for name, process in self._components.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended by itself.\n{self.component_logs()}")

    def component_logs(self, lines: int = 25) -> str:
        """The last lines of every component."""
        said = []
        for log in sorted(self.root.glob("*.log")):
            said += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(said)

    def _start(self) -> None:
        """Start everything; return when the REST API can be called."""
        home = self.root / "airflow"
        (home / "config").mkdir(parents=True, exist_ok=True)
        policy = haste(self._poll_interval, 2 * self._poll_interval)
        (home / "config" / "airflow_local_settings.py").write_text(policy)
        self._environment = airflow_environment(home, **self.settings)
        airflow(self._environment, "db", "migrate")
        for component in self.components:
            self._launch(component)
        wait_for("the API server", self._answers, timeout=PATIENCE_SECONDS)
        token = self.call("GET", "/auth/token")["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def _launch(
        self,
        component: str,
        name: str = "",
        *,
        inside: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start one component.

        :param inside: a command that runs the component, such as ``unshare``.
        :param environment: the environment of this component; None for the environment of all components.
        """
        name = name or component.split(maxsplit=1)[0]
        # The process sends its id to the guard before it becomes Airflow. So the guard ends it in any case.
        told = ["/bin/sh", "-c", 'echo $$ SIGKILL; exec "$@" >>"$0" 2>&1', self.root / f"{name}.log"]
        process = subprocess.Popen(
            [*told, *inside, sys.executable, "-m", "airflow", *component.split()],
            env=environment or self._environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=self._guard.stdin,
            # Ctrl-C must reach only the process that started the components.
            start_new_session=True,
        )
        self._components[name] = process
        self._processes.append(process)

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._http.request(method, urljoin(f"{self.url}/api/v2/", path), timeout=60, **options)

    def _answers(self) -> bool:
        self.check()
        try:
            return self.knows("monitor/health")
        except requests.RequestException:
            return False

    def _is_healthy(self) -> bool:
        self.check()
        health = self.call("GET", "monitor/health")
        return all(component["status"] == "healthy" for component in health.values())


def airflow_environment(home: Path, **settings: object) -> dict[str, str]:
    """The environment variables of a separate Airflow, without the settings of the user's own Airflow.

    :param home: its AIRFLOW_HOME.
    :param settings: settings of Airflow, as ``SECTION__NAME=value``.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not is_foreign(name) and not name.startswith("PYTEST_")
    }
    # Airflow's defaults for these contain its home, and a % in the home breaks them.
    folders = {
        "CORE__DAGS_FOLDER": home / "dags",
        "CORE__PLUGINS_FOLDER": home / "plugins",
        "DATABASE__SQL_ALCHEMY_CONN": sqlite_url(home / "airflow.db"),
        "LOGGING__BASE_LOG_FOLDER": home / "logs",
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": home / "logs" / "dag_processor",
    }
    chosen = {**folders, "CORE__LOAD_EXAMPLES": False, **settings}
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": str(value) for name, value in chosen.items()},
    }


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite database, percent-encoded because SQLAlchemy decodes it."""
    return f"sqlite:///{file}".replace("%", "%25").replace("?", "%3F")


def is_foreign(variable: str) -> bool:
    """Whether this environment variable is a setting for another Airflow, another Python, or a proxy."""
    return _FOREIGN.fullmatch(variable) is not None


def haste(first: float, longest: float) -> str:
    """The text of an ``airflow_local_settings.py`` that makes polls, retries and resubmissions quick.

    The default pauses of operators protect LinkedIn, which is not used here. Retries are quick because a
    failure here is usually Airflow's: on a busy machine it sometimes loses a task.

    :param first: seconds before the first poll.
    :param longest: seconds between two polls, before a retry, and before a job is submitted again.
    """
    return _HASTE.format(first=first, longest=longest)


def example_variables(sandbox: Sandbox, lake: str) -> dict[str, str]:
    """The Airflow variables of the example DAGs.

    :param lake: the URI of the folder to land in.
    """
    return {
        "snav_contract": "123456",
        "snav_crm_instance": sandbox.settings.crm_instances[0],
        "snav_contact_keys": f"{lake}/contact_keys.csv",
        "snav_lake": lake,
    }


def contact_keys(number: int) -> str:
    """A CSV of CRM records, for the example DAG that finds the members behind them."""
    organisation = "362a3584-0d9b-44a1-a547-25de5cd95d08"
    records = [f"{organisation},DYNAMICS,record-{each}" for each in range(number)]
    return "\n".join(["instance_id,partner,record_id", *records, ""])


def airflow(environment: Mapping[str, str], *arguments: str) -> None:
    """Run one Airflow command.

    :raises RuntimeError: it failed; the message has its output.
    """
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        failed = f"airflow {' '.join(arguments)} failed with exit code {done.returncode}"
        raise RuntimeError(f"{failed}:\n{done.stdout}\n{done.stderr}")


def wait_for(what: str, condition: Callable[[], T | None], *, timeout: float = 60) -> T:
    """Wait until the condition is true, and return what it returned.

    :param timeout: how long to wait, in seconds.
    :raises TimeoutError: the condition was not true in this time.
    """
    end = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {timeout:g} seconds for {what}")
        time.sleep(_LOOK_EVERY)
    return found


def free_port(port: int = 0) -> int:
    """A port on which no process listens at present.

    :param port: the port to check; 0 for any.
    :raises OSError: the port is already used.
    """
    with socket.create_server((HOST, port)) as listener:
        chosen: int = listener.getsockname()[1]
    return chosen


def _bundles(folders: Iterable[Path]) -> dict[str, object]:
    """The setting that makes Airflow read DAGs from these folders."""
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": f"folder-{number}", "classpath": local, "kwargs": {"path": str(folder)}}
        for number, folder in enumerate(folders, 1)
    ]
    return {"DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}


def _service_settings(url: str) -> dict[str, object]:
    """The settings of all components. Every other setting has Airflow's default."""
    manager = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    return {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 4,
        "CORE__AUTH_MANAGER": manager,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__TEST_CONNECTION": "Enabled",
        "API__HOST": HOST,
        "API__PORT": url.rpartition(":")[2],
        "API__WORKERS": 1,
        "API__BASE_URL": url,
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        # Short deferrals fail at random with the default of 5.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
    }
