"""The main job on this machine: a real Airflow exports two days of activity from the sandbox.

Started by ``make demo``. All it makes lies in ``.demo/run/`` (an Airflow home, new each time) and
``demo-output/`` (the landed files); what it starts ends with it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
from datetime import UTC, datetime, timedelta

from local_airflow import EXAMPLES, airflow, airflow_environment, example_variables

from airflow_provider_snav.sandbox.server import Sandbox

ROOT = EXAMPLES.parent
HOME = ROOT / ".demo" / "run"
OUTPUT = ROOT / "demo-output"


def main() -> int:
    """Run the example DAG for two days; print what landed."""
    for folder in (HOME, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    until = datetime.now(UTC).date() - timedelta(days=1)
    days = {"start_at": str(until - timedelta(days=2)), "end_at": str(until)}
    with Sandbox() as sandbox:
        print(f"Sandbox at {sandbox.base_url}; preparing an Airflow in {HOME.relative_to(ROOT)}/", flush=True)
        environment = airflow_environment(HOME, CORE__DAGS_FOLDER=EXAMPLES)
        environment["AIRFLOW_CONN_SNAV_DEFAULT"] = sandbox.connection_json()
        for name, value in example_variables(sandbox, OUTPUT.as_uri()).items():
            environment[f"AIRFLOW_VAR_{name.upper()}"] = value
        try:
            airflow(environment, "db", "migrate", quiet=True)
            airflow(environment, "dags", "test", "snav_activity_range", "--conf", json.dumps(days))
        except RuntimeError as error:
            sys.exit(str(error))
        return report(sandbox)


def report(sandbox: Sandbox) -> int:
    """Count and hash the landed files anew and hold them against what the sandbox exported."""
    landed = sorted(OUTPUT.rglob("*.csv"))
    print(f"\nLanded from {len(sandbox.created_jobs)} job:")
    rows = 0
    for path in landed:
        with path.open(newline="", encoding="utf-8") as file:
            records = sum(1 for _ in csv.reader(file)) - 1
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        print(f"{path.as_uri()}  rows={records}  bytes={len(content)}  sha256={digest}")
        rows += records
    exported = sum(file.rows for job in sandbox.created_jobs for file in sandbox.files(job.job_id))
    if not landed or rows != exported:
        print(f"The sandbox exported {exported} rows, and {rows} landed.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
