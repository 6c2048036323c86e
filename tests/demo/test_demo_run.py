"""``make demo``: a step a line, a table of what landed, in any folder and beside another Airflow."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from local_airflow import EXAMPLES


def test_the_demo_says_each_step_and_what_landed(tmp_path: Path) -> None:
    checkout = tmp_path / "Mein Ordner é 100% a#b?c%20d"
    for folder in ("demo", "example_dags"):
        shutil.copytree(EXAMPLES.parent / folder, checkout / folder)
    another = tmp_path / "another"
    another.mkdir()
    (another / "airflow_local_settings.py").write_text("raise RuntimeError('of another Airflow')\n")
    settings = {
        "PYTHONPATH": str(another),
        "AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor",
        "http_proxy": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, checkout / "demo" / "run.py"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"^ *[\d.]+ s  (.+)$", done.stdout, re.MULTILINE)
    assert [step.partition(" ")[0] for step in steps[:2]] == ["The", "Airflow"]
    assert "Task export: submitted job 100001." in steps
    assert "Task export: job 100001 is COMPLETED." in steps
    [landed] = (checkout / "demo-output").rglob("*.csv")
    table = dict(re.findall(r"^  (\w+) +(.+)$", done.stdout, re.MULTILINE))
    assert table["file"] == landed.name
    assert table["sha256"] == hashlib.sha256(landed.read_bytes()).hexdigest()
    assert checkout / table["folder"] == landed.parent
