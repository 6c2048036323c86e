"""``make demo``: a real Airflow exports two days of activity from the sandbox.

It writes only to ``.demo/run/`` (an Airflow home, new each time) and ``demo-output/`` (the landed files). All
processes that it starts end with it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_airflow import EXAMPLES, airflow, airflow_environment, example_variables, haste

from airflow_provider_snav.sandbox.server import Sandbox

ROOT = EXAMPLES.parent
HOME = ROOT / ".demo" / "run"
LOG = HOME / "airflow.log"
OUTPUT = ROOT / "demo-output"
DAG = "snav_activity_range"
STARTED = time.monotonic()
_LOOK_EVERY = 0.1


def main() -> int:
    """Run the example DAG for two days. Print each step, then the landed files."""
    for folder in (HOME, OUTPUT):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for folder in ("config", "dags"):
        (HOME / folder).mkdir()
    shutil.copy(EXAMPLES / f"{DAG}.py", HOME / "dags")
    (HOME / "config" / "airflow_local_settings.py").write_text(haste(first=0.2, longest=1))
    with Sandbox() as sandbox:
        step(f"The sandbox is at {sandbox.base_url}. Airflow creates its database.")
        environment = airflow_environment(HOME)
        environment["AIRFLOW_CONN_SNAV_DEFAULT"] = sandbox.connection_json()
        for name, value in example_variables(sandbox, str(OUTPUT)).items():
            environment[f"AIRFLOW_VAR_{name.upper()}"] = value
        try:
            airflow(environment, "db", "migrate")
            run(environment, sandbox)
        except RuntimeError as error:
            sys.exit(str(error))
        return report(sandbox)


def step(text: str) -> None:
    """Print the present step and the time since the start, in seconds."""
    print(f"{time.monotonic() - STARTED:5.1f} s  {text}", flush=True)


def run(environment: Mapping[str, str], sandbox: Sandbox) -> None:
    """Run the DAG, print the calls that the sandbox receives, and write Airflow's output to a file.

    :raises RuntimeError: the run failed.
    """
    until = datetime.now(UTC).date() - timedelta(days=1)
    days = {"start_at": str(until - timedelta(days=2)), "end_at": str(until)}
    step(f"Airflow runs the DAG {DAG} for {days['start_at']} up to {days['end_at']}.")
    command = [sys.executable, "-m", "airflow", "dags", "test", DAG, "--conf", json.dumps(days)]
    told: set[str] = set()
    with LOG.open("w") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        while process.poll() is None:
            for text in news(sandbox):
                if text not in told:
                    step(text)
                    told.add(text)
            time.sleep(_LOOK_EVERY)
    if process.returncode:
        end = "\n".join(LOG.read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"The run failed. The end of {shown(LOG)}:\n{end}")
    step(f"The run has succeeded. Airflow's output is in {shown(LOG)}.")


def news(sandbox: Sandbox) -> Iterator[str]:
    """All calls that the sandbox has received so far, as sentences."""
    for job in sandbox.created_jobs:
        yield f"Task export: submitted job {job.job_id}."
        yield from (f"Task export: job {job.job_id} is {status}." for status in job.statuses_served)
    if any(request.kind == "download" for request in sandbox.requests):
        yield "Task land: downloads the file, verifies it and publishes it."


def report(sandbox: Sandbox) -> int:
    """Count and hash the landed files again, and compare their rows with the sandbox's files."""
    print()
    rows = 0
    for path in sorted(OUTPUT.rglob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            records = sum(1 for _ in csv.reader(file)) - 1
        content = path.read_bytes()
        rows += records
        for label, value in {
            "file": path.name,
            "rows": f"{records:,}",
            "bytes": f"{len(content):,}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "folder": shown(path.parent),
        }.items():
            print(f"  {label:<7} {value}")
    exported = sum(file.rows for job in sandbox.created_jobs for file in sandbox.files(job.job_id))
    if not rows or rows != exported:
        print(f"The sandbox exported {exported} rows, and {rows} landed.", file=sys.stderr)
        return 1
    return 0


def shown(path: Path) -> str:
    """The path relative to the checkout."""
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
