"""The other end of :mod:`real_airflow`: runs DAGs in a process whose Airflow has a database of its own."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import timezone
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_snav.landing import download

# Half a minute of patience with a file that is not there yet is of no use on one's own machine.
download.PAUSES = (0.05, 0.1)


def run(dag: Any, logical_date: str | None, run_conf: dict[str, Any]) -> dict[str, Any]:
    """One run to its end; one at the same logical date again is that run, cleared."""
    moment = timezone.parse(logical_date) if logical_date else None
    dag_run = dag.test(run_after=moment, logical_date=moment, run_conf=run_conf)
    of_run = {"dag_id": dag.dag_id, "run_id": dag_run.run_id}
    with create_session() as session:
        tasks = [
            {
                "task_id": ti.task_id,
                "map_index": ti.map_index,
                "state": str(ti.state),
                "tries": ti.try_number,
                "name": ti.rendered_map_index,
            }
            for ti in session.scalars(select(TaskInstance).filter_by(**of_run))
        ]
        xcoms = [
            {
                "task_id": row.task_id,
                "map_index": row.map_index,
                "key": row.key,
                "value": XComModel.deserialize_value(row),
            }
            for row in session.scalars(select(XComModel).filter_by(**of_run))
        ]
    return {"state": str(dag_run.state), "tasks": tasks, "xcoms": xcoms}


def main() -> None:
    orders, answers = (os.fdopen(int(fd), mode) for fd, mode in zip(sys.argv[1:], "rw", strict=True))
    initdb()
    dags = DagBag(conf.get("core", "dags_folder"))
    assert not dags.import_errors, dags.import_errors
    for line in orders:
        order = json.loads(line)
        os.environ.update(order["environment"])
        done = run(dags.dags[order["dag_id"]], order["logical_date"], order["conf"])
        print(json.dumps(done), file=answers, flush=True)


if __name__ == "__main__":
    main()
