"""Real Airflow for tests that need its scheduler's decisions, its database and its asset state.

One process serves a whole test session: creating the database and importing Airflow take longer than a run.
The sandbox stays in the test's own process, where its faults can be arranged and its requests looked at.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_airflow import haste

HERE = Path(__file__).parent
WORKER = HERE / "real_airflow_worker.py"
DAG_FILES = (
    HERE / "crm" / "crm_watermark_dags.py",
    HERE / "dags" / "files" / "plain_daily.py",
    HERE.parent / "example_dags" / "snav_all_contracts.py",
    HERE / "comparison" / "by_hand.py",
    HERE / "comparison" / "with_the_provider.py",
)

HASTE = haste(first=0.05, longest=0.05)


@dataclass(frozen=True)
class Run:
    """One finished DAG run.

    :param log: all that was printed meanwhile.
    """

    state: str
    tasks: list[dict[str, Any]]
    xcoms: list[dict[str, Any]]
    log: str

    def states(self, task_id: str) -> list[str]:
        """In order of the map index."""
        return [each["state"] for each in self._tasks(task_id)]

    def names(self, task_id: str) -> list[str]:
        """What the user interface shows instead of the map index."""
        return [each["name"] for each in self._tasks(task_id)]

    def tries(self, task_id: str) -> int:
        [task] = self._tasks(task_id)
        return int(task["tries"])

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """The value of a task that is not mapped."""
        [value] = self.mapped_xcoms(task_id, key)
        return value

    def mapped_xcoms(self, task_id: str, key: str = "return_value") -> list[Any]:
        found = [each for each in self.xcoms if (each["task_id"], each["key"]) == (task_id, key)]
        return [each["value"] for each in sorted(found, key=lambda each: each["map_index"])]

    def _tasks(self, task_id: str) -> list[dict[str, Any]]:
        found = [each for each in self.tasks if each["task_id"] == task_id]
        return sorted(found, key=lambda each: each["map_index"])


class RealAirflow:
    """An Airflow of its own, in a process of its own, all of whose files lie below ``home``.

    :param dag_files: copied into its DAGs folder.
    :param environment: settings such as ``AIRFLOW__LOGGING__LOGGING_LEVEL``.
    """

    def __init__(self, dag_files: Iterable[Path], **environment: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="snav-real-airflow-"))
        (self.home / "dags").mkdir()
        (self.home / "config").mkdir()
        (self.home / "config" / "airflow_local_settings.py").write_text(HASTE)
        for file in dag_files:
            shutil.copy(file, self.home / "dags")
        self._log = self.home / "log"
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", WORKER, str(orders), str(answers)],
                env=os.environ
                | {
                    "AIRFLOW_HOME": str(self.home),
                    "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
                    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
                    **environment,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(orders, answers),
            )
        os.close(orders)
        os.close(answers)
        self._sent = os.fdopen(self._orders, "w")
        self._received = os.fdopen(self._answers, "r")
        atexit.register(self.end)

    def run(
        self, dag_id: str, logical_date: str | None, environment: Mapping[str, str], conf: Mapping[str, Any]
    ) -> Run:
        """Run a DAG once; at a logical date it ran at before, this clears that run and runs it again.

        :param environment: connections and variables; they stay for later runs.
        """
        before = self._log.stat().st_size
        order = {"dag_id": dag_id, "logical_date": logical_date, "environment": dict(environment)}
        print(json.dumps(order | {"conf": dict(conf)}), file=self._sent, flush=True)
        answer = self._received.readline()
        with self._log.open() as log:
            log.seek(before)
            told = log.read()
        assert answer, f"The Airflow process ended:\n{told}"
        return Run(**json.loads(answer), log=told)

    def end(self) -> None:
        """End it and remove its files."""
        atexit.unregister(self.end)
        self._sent.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._received.close()
        shutil.rmtree(self.home, ignore_errors=True)


@functools.cache
def real_airflow() -> RealAirflow:
    """The one of this test session."""
    return RealAirflow(DAG_FILES)
