"""A whole Airflow on this machine, to be crashed by tests.

PostgreSQL, an API server, a scheduler with LocalExecutor, a DAG processor and two triggerers, with everything
they write in one temporary folder. Tests talk to it as users do, through the REST API, and to its processes
as fate does, with ``kill -9``.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from guard import kill_tree
from local_airflow import LocalAirflow, free_port, wait_for
from postgres import Postgres


class Deployment(LocalAirflow):
    """All of it, inside a ``with`` block.

    :param dags: the folders DAGs are read from.
    :param settings: more of Airflow's.
    """

    components = ("api-server", "scheduler -s", "dag-processor")

    def __init__(self, *dags: Path, **settings: object) -> None:
        root = Path(tempfile.mkdtemp(prefix="snav-system-"))
        # PostgreSQL may run as another user, whose folder is below.
        root.chmod(0o711)
        super().__init__(
            root,
            *dags,
            poll_interval=0.5,
            temporary=True,
            # Airflow never gives the slot of a killed local worker back.
            CORE__PARALLELISM=12,
            SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.2,
            # How soon a killed worker and a killed triggerer are noticed; by default after 300 and 30 s.
            SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=8,
            SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL=1,
            TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD=15,
            **settings,
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

    def trigger_run(self, dag_id: str, logical_date: str | None = None, **conf: Any) -> Run:
        """Run a DAG once with these params."""
        wait_for(f"the DAG {dag_id} to be read", lambda: self.knows(f"dags/{dag_id}/details"), timeout=60)
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": logical_date, "conf": conf})
        return Run(self, dag_id, run["dag_run_id"])

    def logs_with(self, *texts: str) -> list[Path]:
        """The log files, of components and of tasks, in which one of these texts stands."""
        logs = self.root.rglob("*.log")
        return [log for log in logs if any(text in log.read_text(errors="replace") for text in texts)]

    def _triggerer_jobs(self) -> set[int]:
        return {job["id"] for job in self.call("GET", "jobs?job_type=TriggererJob&limit=100")["jobs"]}

    def _start(self) -> None:
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

    def supervisor_of(self, task_id: str) -> psutil.Process:
        """The worker's process that runs this task's, and no other task's."""
        supervisor = psutil.Process(self.task_instance(task_id)["pid"]).parent()
        assert supervisor, "the task's supervisor is gone already"
        return supervisor

    def freeze_worker_of(self, task_id: str) -> Frozen:
        """Suspend the task and what runs it, as a machine does that is out of memory."""
        supervisor = self.supervisor_of(task_id)
        return Frozen([supervisor, *supervisor.children(recursive=True)])

    def kill_worker_of(self, task_id: str) -> None:
        """``kill -9`` the worker that runs this task, and the task."""
        task = psutil.Process(self.task_instance(task_id)["pid"])
        worker = task.parent()
        assert worker, "the task's worker is gone already"
        assert "LocalExecutor" in " ".join(worker.cmdline()), worker
        kill_tree(worker.pid)

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
        """Wait until the task's process is gone; its supervisor may get other tasks."""
        _, alive = psutil.wait_procs(self._processes[1:], timeout=60)
        assert not alive


def days_ago(number: int) -> str:
    """The beginning of a day in UTC, as a user types it."""
    return str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=number))
