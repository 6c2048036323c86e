"""The main job on this machine: a real Airflow exports two days of activity from the sandbox.

Started by ``make demo``. All it makes lies in ``.demo/`` (an Airflow home, new each time) and
``demo-output/`` (the landed files); what it starts ends with it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_snav.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
OUTPUT = ROOT / "demo-output"


def main() -> int:
    """Run the example DAG for two days; print what landed."""
    for folder in (HOME, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    until = datetime.now(UTC).date() - timedelta(days=1)
    days = {"start_at": str(until - timedelta(days=2)), "end_at": str(until)}
    with Sandbox() as sandbox:
        print(f"Sandbox at {sandbox.base_url}; preparing an Airflow in {HOME.name}/", flush=True)
        environment = airflow_environment(sandbox)
        airflow(environment, "db", "migrate", quiet=True)
        airflow(environment, "dags", "test", "snav_activity_range", "--conf", json.dumps(days))
        return report(sandbox)


def airflow_environment(sandbox: Sandbox) -> dict[str, str]:
    """An Airflow of its own, which takes no setting from the user's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return inherited | {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(),
        "AIRFLOW_VAR_SNAV_CONTRACT": "123456",
        "AIRFLOW_VAR_SNAV_LAKE": OUTPUT.as_uri(),
        "NO_PROXY": "127.0.0.1,localhost",
    }


def airflow(environment: dict[str, str], *arguments: str, quiet: bool = False) -> None:
    """Run one Airflow command; a quiet one is heard only when it fails."""
    command = [str(Path(sys.executable).with_name("airflow")), *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=quiet, text=True, check=False)
    if done.returncode:
        print(done.stdout or "", done.stderr or "", sep="\n", file=sys.stderr)
        sys.exit(f"airflow {' '.join(arguments[:2])} failed with exit code {done.returncode}.")


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
