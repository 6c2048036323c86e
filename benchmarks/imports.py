"""What a DAG file pays for importing the operators, again and again: CPU time in the DAG processor.

Each import is a new process that has imported from ``airflow.sdk`` what every DAG file does, and all bytecode
is compiled beforehand, as an installed package's is. Ours are the operators and the transfer, which a DAG
uses together; dbt Cloud's are its operators alone. CPU, not wall time: both only compute, and other processes
of the machine disturb it less.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from pathlib import Path

import airflow_provider_snav
from benchmarks.measure import Question, Row, Sample, alternate

_TIMES = 7
_OURS = (
    "airflow_provider_snav.operators.sales_navigator,"
    " airflow_provider_snav.transfers.sales_navigator_to_object_storage"
)
_DBT_CLOUD = "airflow.providers.dbt.cloud.operators.dbt"
_SCRIPT = """
from airflow.sdk import DAG, BaseOperator
from time import process_time
before = process_time()
import {modules}
print(process_time() - before)
"""


def ask() -> list[Question]:
    """Import in turns."""
    compileall.compile_dir(Path(airflow_provider_snav.__file__).parent, quiet=1)
    taken = alternate(
        {modules: lambda modules=modules: _import(modules) for modules in (_OURS, _DBT_CLOUD)}, _TIMES
    )
    ours = taken[_OURS]
    rows = [
        Row("dbt Cloud's operators", ours, taken[_DBT_CLOUD], "ms", 1 / 3),
        Row("15 ms", ours, Sample((15.0,)), "ms", 1.0),
    ]
    return [Question("Importing the operators in a DAG file, over `airflow.sdk`", rows)]


def _import(modules: str) -> float:
    command = [sys.executable, "-W", "ignore", "-c", _SCRIPT.format(modules=modules)]
    return float(subprocess.run(command, capture_output=True, check=True, env=os.environ).stdout) * 1e3
