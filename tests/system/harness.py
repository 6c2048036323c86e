"""A whole Airflow on this machine: real components and a real database, to be crashed by tests.

PostgreSQL, an API server, a scheduler with LocalExecutor, a DAG processor and two triggerers, all on loopback
and on free ports, with everything they write in one temporary folder. Tests talk to it as users do, through
the REST API, and to its processes as fate does, with ``kill -9``.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests
from guard import kill_tree
from postgres import Postgres

T = TypeVar("T")

_HERE = Path(__file__).parent
_LOOK_EVERY = 0.2


class Deployment:
    """Starts with :meth:`start` and is gone after :meth:`stop`, or when the process that started it is.

    :param dags: the DAGs folder.
    """

    def __init__(self, dags: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="snav-system-"))
        # PostgreSQL may run as another user, whose folder is below.
        self.root.chmod(0o711)
        self._guard = subprocess.Popen(
            [sys.executable, _HERE / "guard.py", self.root],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._processes: list[subprocess.Popen[bytes]] = []
        self._components: dict[str, subprocess.Popen[bytes]] = {}
        self._triggerers: dict[int, str] = {}
        self._http = requests.Session()
        self._http.trust_env = False
        self._connections = count(1)
        self._dags = dags

    def start(self) -> None:
        """Start everything and return when it is healthy."""
        api_port, database_port = _free_ports(2)
        self.url = f"http://127.0.0.1:{api_port}"
        self.postgres = Postgres(self.root / "postgres", database_port)
        self._environment = _environment(self.root / "airflow", self._dags, self.postgres, api_port)
        self._watch(self.postgres.start(), signal.SIGQUIT)
        wait_for("PostgreSQL", self.postgres.is_ready)
        self._run("db", "migrate")
        self._start("api-server")
        self._start("scheduler", "-s")
        self._start("dag-processor")
        wait_for("the API server", self._answers, timeout=90)
        token = self._http.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        self.restore()
        wait_for("all components", self._is_healthy, timeout=90)
        # The first call to the part of it that tasks talk to takes seconds.
        self._http.get(f"{self.url}/execution/health", timeout=60).raise_for_status()

    def stop(self) -> None:
        """End every process and remove every file."""
        self._http.close()
        assert self._guard.stdin
        self._guard.stdin.close()
        for process in self._processes:
            process.wait(timeout=60)
        self._guard.wait(timeout=60)

    def restore(self) -> None:
        """Start again what was killed."""
        if "scheduler" not in self._components:
            self._start("scheduler", "-s")
        for name in ("triggerer-1", "triggerer-2"):
            if name in self._components:
                continue
            known = self._triggerer_jobs()
            self._start("triggerer", "-s", name=name)
            # Airflow tells which triggerer has a trigger by the number of its job, and nothing else.
            [job] = wait_for(f"{name} to register", lambda: self._triggerer_jobs() - known)  # noqa: B023
            self._triggerers[job] = name

    def kill_scheduler(self) -> None:
        """``kill -9`` the scheduler, all its workers and what they run."""
        self._kill("scheduler")

    def kill_triggerer(self, job: int) -> None:
        """``kill -9`` one triggerer, named by the number of its job (see :meth:`Run.triggerer_of`)."""
        self._kill(self._triggerers.pop(job))

    def suspend_triggerer(self, job: int) -> Callable[[], None]:
        """Freeze one triggerer, as a machine out of memory does; call what is returned to go on."""
        triggerer = psutil.Process(self._components[self._triggerers[job]].pid)
        family = [triggerer, *triggerer.children(recursive=True)]
        for process in family:
            process.suspend()

        def go_on() -> None:
            for process in family:
                process.resume()

        return go_on

    def only_triggerer(self) -> int:
        """Leave one triggerer, and return the number of its job."""
        kept, *rest = sorted(self._triggerers)
        for job in rest:
            self.kill_triggerer(job)
        return kept

    def add_connection(self, connection_json: str) -> str:
        """Create a connection from the text of an ``AIRFLOW_CONN_…`` variable; returns its id."""
        name = f"snav_{next(self._connections)}"
        connection = json.loads(connection_json)
        extra = json.dumps(connection.pop("extra"))
        self.call("POST", "connections", {"connection_id": name, "extra": extra, **connection})
        return name

    def trigger_run(self, dag_id: str, **conf: Any) -> Run:
        """Run a DAG once with these params."""
        wait_for(f"the DAG {dag_id} to be read", lambda: self.knows(f"dags/{dag_id}/details"), timeout=60)
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return Run(self, dag_id, run["dag_run_id"])

    def knows(self, path: str) -> bool:
        """Whether the REST API has something at this path."""
        return self._http.get(f"{self.url}/api/v2/{path}", timeout=30).ok

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API."""
        answer = self._http.request(method, f"{self.url}/api/v2/{path}", json=body, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def component_logs(self, lines: int = 25) -> str:
        """The last lines of every component, for a failing test."""
        logs = sorted(self.root.glob("*.log"))
        return "\n".join(f"--- {log.name}\n" + "\n".join(_tail(log, lines)) for log in logs)

    def logs_with(self, *texts: str) -> list[Path]:
        """The log files, of components and of tasks, in which one of these texts stands."""
        logs = self.root.rglob("*.log")
        return [log for log in logs if any(text in log.read_text(errors="replace") for text in texts)]

    def _triggerer_jobs(self) -> set[int]:
        return {job["id"] for job in self.call("GET", "jobs?job_type=TriggererJob&limit=100")["jobs"]}

    def _answers(self) -> bool:
        api = self._components["api-server"]
        assert api.poll() is None, f"The API server ended:\n{self.component_logs()}"
        try:
            return self._http.get(f"{self.url}/api/v2/monitor/health", timeout=5).ok
        except requests.RequestException:
            return False

    def _is_healthy(self) -> bool:
        health = self.call("GET", "monitor/health")
        return all(component["status"] == "healthy" for component in health.values())

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self._environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"airflow {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"

    def _start(self, *arguments: str, name: str = "") -> None:
        name = name or arguments[0]
        with (self.root / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                env=self._environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._components[name] = process
        self._watch(process, signal.SIGKILL)

    def _watch(self, process: subprocess.Popen[bytes], end_with: signal.Signals) -> None:
        self._processes.append(process)
        assert self._guard.stdin
        print(process.pid, end_with.name, file=self._guard.stdin, flush=True)

    def _kill(self, name: str) -> None:
        process = self._components.pop(name)
        kill_tree(process.pid)
        process.wait()


@dataclass(frozen=True)
class Run:
    """One run of a DAG."""

    deployment: Deployment
    dag_id: str
    run_id: str

    def task_instance(self, task_id: str) -> dict[str, Any]:
        """The task instance as the REST API describes it."""
        found: dict[str, Any] = self._call("GET", f"taskInstances/{task_id}")
        return found

    def wait_for_end(self, state: str) -> None:
        """Wait until the whole run is over.

        Whoever clears a task between the end of the last one and the end of the run may see Airflow end the
        run with the cleared task in it, which then waits for ever.
        """
        path = f"dags/{self.dag_id}/dagRuns/{self.run_id}"
        wait_for(f"the run to be {state}", lambda: self.deployment.call("GET", path)["state"] == state)

    def wait_for_state(
        self, task_id: str, state: str, *, try_number: int | None = None, timeout: float = 120
    ) -> dict[str, Any]:
        """Wait until the task is in this state, in this try if one is given."""

        def reached() -> dict[str, Any] | None:
            task = self.task_instance(task_id)
            if task["state"] == "failed" != state:
                raise AssertionError(f"{task_id} failed instead of being {state}\n{self._story(task)}")
            right = task["state"] == state and try_number in (None, task["try_number"])
            return task if right else None

        try:
            return wait_for(f"{task_id} to be {state}", reached, timeout=timeout)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self._story(self.task_instance(task_id))}") from None

    def task_log(self, task_id: str, try_number: int) -> str:
        """What the task logged in one try, on the worker and in the triggerer."""
        log = self._call("GET", f"taskInstances/{task_id}/logs/{try_number}?full_content=true")
        return "\n".join(
            line if isinstance(line, str) else f"{line.get('level', '')} {line['event']}"
            for line in log["content"]
        )

    def xcom(self, task_id: str) -> Any:
        """What the task returned."""
        found = self._call("GET", f"taskInstances/{task_id}/xcomEntries/return_value?deserialize=true")
        return found["value"]

    def clear(self, task_id: str, *, downstream: bool = False) -> None:
        """Clear a task, whatever its state, as the button in the UI does."""
        self.deployment.call(
            "POST",
            f"dags/{self.dag_id}/clearTaskInstances",
            {
                "dry_run": False,
                "dag_run_id": self.run_id,
                "task_ids": [task_id],
                "only_failed": False,
                "include_downstream": downstream,
            },
        )

    def mark_failed(self, task_id: str) -> None:
        """Mark a task failed, as the button in the UI does."""
        self._call("PATCH", f"taskInstances/{task_id}", {"new_state": "failed"})

    def triggerer_of(self, task_id: str) -> int:
        """The number of the triggerer's job that waits for this task."""

        def assigned() -> int | None:
            trigger = self.task_instance(task_id)["trigger"] or {}
            job: int | None = trigger.get("triggerer_id")
            return job

        return wait_for(f"a triggerer to take {task_id}", assigned)

    def kill_worker_of(self, task_id: str) -> None:
        """``kill -9`` the worker that runs this task, and the task."""
        task = psutil.Process(self.task_instance(task_id)["pid"])
        worker = task.parent()
        assert worker, "the task's worker is gone already"
        assert "LocalExecutor" in " ".join(worker.cmdline()), worker
        kill_tree(worker.pid)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return self.deployment.call(method, f"dags/{self.dag_id}/dagRuns/{self.run_id}/{path}", body)

    def _story(self, task: dict[str, Any]) -> str:
        brief = {key: task[key] for key in ("state", "try_number", "max_tries", "pid", "trigger")}
        tries = range(1, task["try_number"] + 1)
        logs = [f"--- try {number}\n{self.task_log(task['task_id'], number)}" for number in tries]
        return "\n".join([str(brief), *logs, self.deployment.component_logs()])


def wait_for(what: str, condition: Callable[[], T | None], *, timeout: float = 60) -> T:
    """Wait until the condition is true, and return what it returned.

    :raises TimeoutError: it never was.
    """
    end = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {timeout:g} seconds for {what}")
        time.sleep(_LOOK_EVERY)
    return found


def _environment(home: Path, dags: Path, database: Postgres, api_port: int) -> dict[str, str]:
    """All components share it. What is not here is Airflow's default."""
    settings = {
        "CORE__EXECUTOR": "LocalExecutor",
        # Airflow never gives the slot of a killed local worker back.
        "CORE__PARALLELISM": "12",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": dags,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager"
        ".SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api_port}/execution/",
        "CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "DATABASE__SQL_ALCHEMY_CONN": database.url("psycopg2"),
        "API__HOST": "127.0.0.1",
        "API__PORT": api_port,
        "API__WORKERS": "1",
        "API__BASE_URL": f"http://127.0.0.1:{api_port}",
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        # Short deferrals fail at random with the default of 5.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # How soon a killed worker and a killed triggerer are noticed; by default 5 minutes and 30 seconds.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    }
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTEST_"))
    }
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "NO_PROXY": "127.0.0.1,localhost",
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
    }


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _tail(path: Path, lines: int) -> list[str]:
    return path.read_text(errors="replace").splitlines()[-lines:]


def days_ago(number: int) -> str:
    """The beginning of a day in UTC, as a user types it."""
    return str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=number))
