"""An executor that starts a pod for each task, as the KubernetesExecutor does, but on this machine.

A pod is a process that runs the task's message with ``execute_workload``, within :file:`pod.sh`. Airflow's
scheduler imports this module from its ``config`` folder, and finds in ``[pods]`` where the rest is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.executors.base_executor import BaseExecutor
from process_memory import make_cgroup, memory_of

_EXECUTE = "airflow.sdk.execution_time.execute_workload"
# A pod needs none of Airflow's secrets, and must not reach its database.
_NOT_FOR_PODS = ("AIRFLOW__DATABASE__", "AIRFLOW__API", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__LOGGING__")


class Pod:
    """One pod, from its start.

    :param folder: a new one for what is known of it: ``pod.log``, and ``ended.json`` once it has ended.
    :param message: the task's. Where this machine has no cgroups for memory, nothing limits the pod.
    """

    def __init__(self, folder: Path, message: str) -> None:
        (folder / "root").mkdir(parents=True)
        self._folder = folder
        self._measured = 0
        self._peak_file = make_cgroup(_setting("cgroups"), int(_setting("memory_limit")))
        group = self._peak_file.parent if self._peak_file else ""
        readable = _setting("readable").split(":")
        pod = ["unshare", "--mount", "sh", _setting("script"), folder / "root", group, *readable, "--"]
        task = [*_environment(), sys.executable, "-m", _EXECUTE, "--json-string", message]
        with (folder / "pod.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*pod, *task], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def exit_code(self) -> int | None:
        """Look at the pod; None while it runs."""
        code = self._process.poll()
        if code is None:
            self._measured = max(self._measured, sum(memory_of(self._process.pid)))
            return None
        ended: dict[str, Any] = {"exit_code": code, "measured": self._measured}
        if self._peak_file:
            with suppress(OSError):
                ended["peak"] = int(self._peak_file.read_text())
            with suppress(OSError):
                self._peak_file.parent.rmdir()
        (self._folder / "ended.json").write_text(json.dumps(ended))
        return code


class PodExecutor(BaseExecutor):
    """A pod for each task."""

    def start(self) -> None:
        """See the base class."""
        self._pods: dict[Any, Pod] = {}

    def _process_workloads(self, workload_items: Any) -> None:
        for workload in workload_items:
            key = workload.key
            del self.queued_tasks[key]
            self.running.add(key)
            folder = Path(_setting("folder"), key.run_id)
            number = len(list(folder.glob(f"{key.task_id}-*"))) + 1
            self._pods[key] = Pod(folder / f"{key.task_id}-{number}", workload.model_dump_json())

    def sync(self) -> None:
        """See the base class."""
        for key, pod in list(self._pods.items()):
            code = pod.exit_code()
            if code is not None:
                del self._pods[key]
                (self.fail if code else self.success)(key)

    def end(self) -> None:
        """See the base class."""

    def terminate(self) -> None:
        """See the base class."""


def _setting(name: str) -> str:
    return str(conf.get_mandatory_value("pods", name))


def _environment() -> Sequence[str]:
    """The command that runs another one with a pod's environment: Airflow's settings, and no HOME."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AIRFLOW__") and not name.startswith(_NOT_FOR_PODS)
    }
    variables = {
        **settings,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parent),
        "AIRFLOW_HOME": "/tmp/airflow",  # noqa: S108 - the pod's own
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/tmp/logs",  # noqa: S108
    }
    return ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
