"""Landing an export of 60 parts, each request answered after 50 ms, beside the same one part after the other.

Both are the transfer operator's ``execute``: as it comes, with ``max_parallel=4``, and with
``max_parallel=1``. Each runs in a process that has landed the export once, so that imports, which are the
same for both, do not count. A CRM validation export is one job of about 60 files: one status, then the
downloads. An analytics export of a long interval is 60 jobs of one file: 60 statuses, 60 downloads.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from task_runs import START, on_worker, parts_of

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.sandbox.faults import Delay
from airflow_provider_snav.sandbox.server import Sandbox
from benchmarks.landing_runs import Run, process, sandboxed
from benchmarks.measure import Question, Row, alternate

PARTS = 60
LATENCY = dt.timedelta(milliseconds=50)
_TIMES = 2


def ask() -> list[Question]:
    """How much sooner all parts are there."""
    with sandboxed() as sandbox:
        crm, files = _crm_export(sandbox)
        analytics = parts_of(PARTS)
        sandbox.fault(None, Delay(LATENCY), times=None)
        rows = [
            _row(f"one CRM job of {files} files", crm, files),
            _row(f"{PARTS} analytics jobs", analytics, PARTS),
        ]
    return [Question(f"{PARTS} parts or so, each request answered after 50 ms", rows)]


def _row(name: str, export: Mapping[str, Any], parts: int) -> Row:
    with process("land") as ours, process("land") as theirs:
        runs = {
            "ours": partial(_seconds, ours, export, parts),
            "theirs": partial(_seconds, theirs, export, parts, max_parallel=1),
        }
        taken = alternate(runs, _TIMES)
    return Row(f"one after the other: {name}", taken["ours"], taken["theirs"], "s", 1 / 3)


def _seconds(land: Callable[..., Run], export: Mapping[str, Any], parts: int, **arguments: int) -> float:
    with tempfile.TemporaryDirectory(prefix="snav-bench-") as folder:
        run = land(export=export, destination=Path(folder).as_uri(), **arguments)
    assert len(run.result) == parts
    return run.seconds


def _crm_export(sandbox: Sandbox) -> tuple[Mapping[str, Any], int]:
    """The export, and how many files it has: about 60, since its rows depend on the time of day."""
    [instance] = sandbox.settings.crm_instances
    export: Mapping[str, Any] = on_worker(
        lambda: SalesNavigatorCrmValidationExportOperator(
            task_id="export", crm_instance=instance, export_start_at=START, poll_interval=0.02
        )
    )
    [job] = sandbox.created_jobs
    rows = sum(file.rows for file in sandbox.files(job.job_id))
    sandbox.settings.rows_per_part = rows // PARTS
    return export, len(sandbox.files(job.job_id))
