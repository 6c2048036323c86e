"""A whole Airflow on this machine, to be crashed by tests.

PostgreSQL, an API server, a scheduler with LocalExecutor, a DAG processor and two triggerers, with everything
they write in one temporary folder. Tests talk to it as users do, through the REST API, and to its processes
as fate does, with ``kill -9``.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from guard import kill_tree
from local_airflow import LocalAirflow, free_port, wait_for
from postgres import Postgres
from process_memory import memory_of, remove_cgroups

_HERE = Path(__file__).parent
POD_BYTES = 512 * 10**6
"""The memory a pod may have."""

_SETTINGS = {
    "CORE__EXECUTOR": "LocalExecutor,pods:pod_executor.PodExecutor",
    # Airflow never gives the slot of a killed local worker back.
    "CORE__PARALLELISM": 12,
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
    # How soon a killed worker and a killed triggerer are noticed; by default after 300 and 30 s.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 8,
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 1,
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 15,
}


class Deployment(LocalAirflow):
    """All of it, inside a ``with`` block.

    :param dags: the folders DAGs are read from.
    :param poll_interval: see :class:`LocalAirflow`.
    :param settings: more of Airflow's.
    """

    components = ("api-server", "scheduler -s", "dag-processor")

    def __init__(self, *dags: Path, poll_interval: float = 0.5, **settings: object) -> None:
        root = Path(tempfile.mkdtemp(prefix="snav-system-"))
        # PostgreSQL may run as another user, whose folder is below.
        root.chmod(0o711)
        super().__init__(
            root,
            *dags,
            poll_interval=poll_interval,
            temporary=True,
            **{**_SETTINGS, **_pod_settings(root), **settings},
        )
        self._triggerers: dict[int, str] = {}

    def restore(self) -> None:
        """Start again what was killed."""
        if "scheduler" not in self._components:
            self._launch("scheduler -s")
        for name in ("triggerer-1", "triggerer-2"):
            if name in self._components:
                continue
            known = self._triggerer_jobs()
            self._launch("triggerer -s", name)
            # Airflow tells which triggerer has a trigger by the number of its job, and nothing else.
            [job] = wait_for(f"{name} to register", lambda: self._triggerer_jobs() - known)  # noqa: B023
            self._triggerers[job] = name

    def stop(self) -> None:
        """See the base class."""
        super().stop()
        remove_cgroups(self.root.name)

    def kill_scheduler(self) -> None:
        """``kill -9`` the scheduler, all its workers and what they run."""
        self._kill("scheduler")

    @contextmanager
    def second_scheduler(self) -> Iterator[None]:
        """Have two schedulers within a ``with`` block; the second soon notices that the first was killed."""
        # By default after half a minute, and when it looks for such tasks, every five minutes.
        impatience = {
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
        }
        known = self._jobs("SchedulerJob")
        self._launch("scheduler -s", "scheduler-2", environment=self._environment | impatience)
        wait_for("the second scheduler to register", lambda: self._jobs("SchedulerJob") - known)
        try:
            yield
        finally:
            self._kill("scheduler-2")

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

    def trigger_run(self, dag_id: str, logical_date: str | None = None, **conf: Any) -> Run:
        """Run a DAG once with these params."""
        wait_for(f"the DAG {dag_id} to be read", lambda: self.knows(f"dags/{dag_id}/details"), timeout=60)
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": logical_date, "conf": conf})
        return Run(self, dag_id, run["dag_run_id"])

    def memory(self) -> dict[str, list[int]]:
        """The bytes each process of each component holds, pages it shares with others in part."""
        return {name: memory_of(process.pid) for name, process in list(self._components.items())}

    def logs_with(self, *texts: str) -> list[Path]:
        """The log files, of components and of tasks, in which one of these texts stands."""
        logs = self.root.rglob("*.log")
        return [log for log in logs if any(text in log.read_text(errors="replace") for text in texts)]

    def _triggerer_jobs(self) -> set[int]:
        return self._jobs("TriggererJob")

    def _jobs(self, query: str) -> set[int]:
        return {job["id"] for job in self.call("GET", f"jobs?job_type={query}&limit=100")["jobs"]}

    def _start(self) -> None:
        config = self.root / "airflow" / "config"
        config.mkdir(parents=True)
        for module in ("pod_executor.py", "process_memory.py"):
            shutil.copy(_HERE / module, config)
        self.postgres = Postgres(self.root / "postgres", free_port())
        self.settings["DATABASE__SQL_ALCHEMY_CONN"] = self.postgres.url("psycopg2")
        server = self.postgres.start()
        self._processes.append(server)
        print(server.pid, "SIGQUIT", file=self._guard.stdin, flush=True)
        wait_for("PostgreSQL", self.postgres.is_ready)
        super()._start()
        self.restore()

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
                raise AssertionError(f"{task_id} failed instead of being {state}\n{self.story(task)}")
            right = task["state"] == state and try_number in (None, task["try_number"])
            return task if right else None

        try:
            return wait_for(f"{task_id} to be {state}", reached, timeout=timeout)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.story(self.task_instance(task_id))}") from None

    def task_log(self, task_id: str, try_number: int, map_index: int = -1) -> str:
        """What the task logged in one try, on the worker and in the triggerer."""
        query = f"full_content=true&map_index={map_index}"
        log = self._call("GET", f"taskInstances/{task_id}/logs/{try_number}?{query}")
        return "\n".join(
            line
            if isinstance(line, str)
            else f"{line.get('level', '')} {line['event']} {line.get('error_detail', '')}"
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

    def processes_of(self, task_id: str) -> list[psutil.Process]:
        """The process that supervises this task, and no other task's, the task's own, and its children."""
        supervisor = psutil.Process(self.task_instance(task_id)["pid"]).parent()
        assert supervisor, "the task's supervisor is gone already"
        return [supervisor, *supervisor.children(recursive=True)]

    def freeze_worker_of(self, task_id: str) -> Frozen:
        """Suspend the task and what runs it, as a machine does that is out of memory."""
        return Frozen(self.processes_of(task_id))

    def kill_worker_of(self, task_id: str) -> None:
        """``kill -9`` the worker that runs this task, and the task."""
        task = psutil.Process(self.task_instance(task_id)["pid"])
        worker = task.parent()
        assert worker, "the task's worker is gone already"
        assert "LocalExecutor" in " ".join(worker.cmdline()), worker
        kill_tree(worker.pid)

    def ended_pods(self) -> list[dict[str, Any]]:
        """What is known of the pods of this run, once all of them have ended; nothing until then."""
        pods = list((self.deployment.root / "pods" / self.run_id).iterdir())
        ended = [pod / "ended.json" for pod in pods if (pod / "ended.json").exists()]
        return [json.loads(each.read_text()) for each in ended] if len(ended) == len(pods) else []

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return self.deployment.call(method, f"dags/{self.dag_id}/dagRuns/{self.run_id}/{path}", body)

    def story(self, task: dict[str, Any]) -> str:
        """All that is known of a task, for a failing test."""
        brief = {key: task[key] for key in ("state", "try_number", "max_tries", "pid", "trigger")}
        tries = range(1, task["try_number"] + 1)
        logs = [
            f"--- try {number}\n{self.task_log(task['task_id'], number, task['map_index'])}"
            for number in tries
        ]
        return "\n".join([str(brief), *logs, self.deployment.component_logs()])


def _pod_settings(root: Path) -> Mapping[str, object]:
    readable = (sys.prefix, sys.base_prefix, _HERE.parent.parent, root / "airflow" / "config")
    return {
        "PODS__SCRIPT": _HERE / "pod.sh",
        "PODS__FOLDER": root / "pods",
        "PODS__CGROUPS": root.name,
        "PODS__READABLE": ":".join(map(str, readable)),
        "PODS__MEMORY_LIMIT": POD_BYTES,
    }


class Frozen:
    """Processes that do nothing until they are thawed."""

    def __init__(self, processes: Sequence[psutil.Process]) -> None:
        self._processes = processes
        for process in processes:
            process.suspend()

    def thaw(self) -> None:
        """Let them go on."""
        for process in self._processes:
            process.resume()

    def wait_for_end_of_task(self) -> None:
        """Wait until the task's process is gone."""
        wait_for_end_of_task(self._processes)


def wait_for_end_of_task(processes: Sequence[psutil.Process]) -> None:
    """Wait until a task's process is gone; its supervisor, the first of them, may get other tasks."""
    _, alive = psutil.wait_procs(processes[1:], timeout=60)
    assert not alive


def days_ago(number: int) -> str:
    """The beginning of a day in UTC, as a user types it."""
    return str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=number))
