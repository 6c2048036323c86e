"""Whole DAGs in a real Airflow: a process, a home and a SQLite database of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_snav.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent

# What `airflow dags test` does, for several DAGs in one process; and the exports poll without a pause.
_RUN = """
import json, sys
from datetime import datetime
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
for wanted in json.loads(sys.argv[2]):
    dag = bag.dags[wanted["dag_id"]]
    for task in dag.tasks:
        if hasattr(task, "poll_interval"):
            task.poll_interval = task.max_poll_interval = 0.05
    date = wanted.get("logical_date")
    dag.test(
        logical_date=datetime.fromisoformat(date) if date else None,
        run_conf=wanted.get("conf"),
    )
"""


@dataclass(frozen=True)
class AirflowHome:
    """An Airflow whose database is migrated.

    :param path: its home; a DAG that asks for the variable ``snav_lake`` lands in ``lake`` there.
    """

    path: Path

    @property
    def lake(self) -> Path:
        return self.path / "lake"

    def environment(self, sandbox: Sandbox, **extra: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        return {
            **inherited,
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(),
            "AIRFLOW_VAR_SNAV_CONTRACT": "123456",
            "AIRFLOW_VAR_SNAV_CRM_INSTANCE": sandbox.settings.crm_instances[0],
            "AIRFLOW_VAR_SNAV_LAKE": self.lake.as_uri(),
            **extra,
        }

    def migrate(self, sandbox: Sandbox) -> None:
        airflow = Path(sys.executable).with_name("airflow")
        subprocess.run(
            [airflow, "db", "migrate"], env=self.environment(sandbox), check=True, capture_output=True
        )

    def run(
        self, sandbox: Sandbox, folder: Path, runs: Sequence[Mapping[str, Any]], **environment: str
    ) -> str:
        """Run DAGs of a folder one after the other.

        :returns: all that was printed.
        """
        done = subprocess.run(
            [sys.executable, "-c", _RUN, folder, json.dumps(runs)],
            env=self.environment(sandbox, AIRFLOW__CORE__DAGS_FOLDER=str(folder), **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def query(self, sql: str, *parameters: Any) -> list[Any]:
        connection = sqlite3.connect(self.path / "airflow.db")
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def states(self, dag_id: str) -> dict[str, str]:
        """Every task's state, mapped ones with their index."""
        rows = self.query("SELECT task_id, map_index, state FROM task_instance WHERE dag_id = ?", dag_id)
        return {f"{task}[{index}]" if index >= 0 else task: state for task, index, state in rows}

    def returned(self, dag_id: str, task_id: str) -> list[Any]:
        """What a task returned, once for each mapped item."""
        sql = "SELECT value FROM xcom WHERE dag_id = ? AND task_id = ? AND key = 'return_value'"
        values = [json.loads(value) for (value,) in self.query(sql, dag_id, task_id)]
        # The column is JSON, and Airflow puts JSON text into it.
        return [json.loads(value) if isinstance(value, str) else value for value in values]
