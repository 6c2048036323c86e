"""The built wheel on every supported Airflow and Python; started by ``make test-matrix``.

Each cell is an environment of its own with nothing of this checkout on its path. What is asked of it stands
in ``matrix_checks.py``. All that is made lies under ``.matrix/``: for each cell a log and, if it failed, its
environment. The results go to ``results.json`` beside this file, where cells that were not run again keep
theirs, and from there into the tables of the README and of ``docs/support.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from matrix_report import ROOT, Result, save_result, write_tables

LAB = ROOT / ".matrix"
UV = str(Path(sys.executable).with_name("uv"))
HERE = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Airflow:
    """One row of the matrix.

    :param name: the minor version, or ``floor``.
    :param requirements: the newest patch of it, and what it needs beside it.
    :param pythons: those it supports and we do.
    :param may_fail: a failure is told and counts for nothing.
    """

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[str, ...] = PYTHONS
    may_fail: bool = False


FLOOR = "floor"
AIRFLOWS = (
    # Every dependency of ours at its lower bound.
    # Airflow 2.11.0 leaves universal-pathlib open, and its ObjectStoragePath breaks with 0.3.
    Airflow(FLOOR, ("universal-pathlib<0.3",), PYTHONS[:1]),
    Airflow("2.11", ("apache-airflow==2.11.*",), PYTHONS[:2]),
    # What 3.0.6 does not forbid: with a newer FastAPI no task starts, universal-pathlib as above.
    Airflow("3.0", ("apache-airflow==3.0.*", "fastapi<0.117", "universal-pathlib<0.3"), PYTHONS[:2]),
    Airflow("3.1", ("apache-airflow==3.1.*",), PYTHONS[:3]),
    # The same of 3.2.2, which neither runs a task with today's FastAPI nor with svcs 26.
    Airflow("3.2", ("apache-airflow==3.2.*", "fastapi<0.137", "svcs<26")),
    Airflow("3.3", ("apache-airflow==3.3.*",)),
    # A pre-release is taken only where a requirement names one, for each package of its own.
    Airflow(
        "3.4",
        ("apache-airflow>=3.4.0b0,<3.5", "apache-airflow-core>=3.4.0b0", "apache-airflow-task-sdk>=1.4.0b0"),
        may_fail=True,
    ),
)


def main() -> int:
    """Run the chosen cells, two at a time."""
    chosen = _arguments()
    cells = [
        (airflow, python)
        for airflow in AIRFLOWS
        for python in airflow.pythons
        if airflow.name in chosen.airflow and python in chosen.python
    ]
    if not cells:
        print("There is no such cell.", file=sys.stderr)
        return 2
    interpreters = {python: _interpreter(python) for python in {python for _, python in cells}}
    archive = chosen.archive or _build()
    failed = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = pool.map(lambda cell: _run(*cell, interpreters[cell[1]], archive), cells)
        for (airflow, python), result in zip(cells, results, strict=True):
            if not chosen.archive:
                save_result(result)
                write_tables()
            # An archive was named for these very cells: one that cannot be tried is a failure, too.
            tried = result["checks"] or chosen.archive
            if tried and not result["passed"] and not airflow.may_fail:
                failed.append(f"{airflow.name} on {python}")
    print(f"Failed: {', '.join(failed)}." if failed else "All that ran passed.")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [airflow.name for airflow in AIRFLOWS]
    parser.add_argument("--airflow", nargs="*", choices=names, default=names)
    parser.add_argument("--python", nargs="*", choices=PYTHONS, default=PYTHONS)
    parser.add_argument(
        "--archive", type=Path, help="try this wheel or sdist, not one built here, and keep no results"
    )
    return parser.parse_args()


def _interpreter(python: str) -> str | None:
    """The path of an interpreter of this version, None if this machine has none."""
    environment = dict(os.environ)
    if pyenv := shutil.which("pyenv"):
        # Its commands answer only for the versions named here.
        versions = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=True)
        environment["PYENV_VERSION"] = ":".join(versions.stdout.split())
    found = subprocess.run(
        [UV, "python", "find", "--no-python-downloads", "--no-project", "--system", python],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None


def _build() -> Path:
    """Build the sdist, and the wheel from it."""
    dist = LAB / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    subprocess.run([UV, "build", "--quiet", "--out-dir", dist, ROOT], check=True)
    [wheel] = dist.glob("*.whl")
    return wheel


def _run(airflow: Airflow, python: str, interpreter: str | None, archive: Path) -> Result:
    """Run one cell and tell how it went."""
    result = {"airflow": airflow.name, "python": python, "passed": False, "versions": {}, "checks": {}}
    if interpreter is None:
        print(f"{airflow.name:>5} on {python}: not tried, there is no Python {python} here", flush=True)
        return result
    started = time.monotonic()
    folder = LAB / f"{airflow.name}-{python}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "dags").mkdir(parents=True)
    for file in [*(ROOT / "example_dags").glob("*.py"), *(HERE / "dags").glob("*.py")]:
        shutil.copy(file, folder / "dags")
    with (folder / "log.txt").open("w") as log:
        result |= _installed_and_asked(airflow, interpreter, archive, folder, log)
    refused = {name: check for name, check in result["checks"].items() if not check["passed"]}
    result |= {"date": str(datetime.now(UTC).date()), "passed": not refused}
    told = [f"{airflow.name:>5} on {python}: {'FAILED' if refused else 'passed'}"]
    told[0] += f" (Airflow {result['versions'].get('airflow')}, {time.monotonic() - started:.0f} s)"
    told += [f"      {name}: {check['found'].splitlines()[0]}" for name, check in refused.items()]
    if refused:
        told.append(f"      see {(folder / 'log.txt').relative_to(ROOT)}")
    else:
        shutil.rmtree(folder / "venv")
    print("\n".join(told), flush=True)
    return result


def _steps(
    airflow: Airflow, interpreter: str, archive: Path, folder: Path
) -> Iterator[tuple[str, list[Any]]]:
    """What is done in a cell, and the command that does it."""
    python = folder / "venv" / "bin" / "python"
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(airflow.requirements) + "\n")
    extras = ["sandbox", "openlineage"]
    yield "an environment is made", [UV, "venv", "--quiet", "--python", interpreter, folder / "venv"]
    if airflow.name == FLOOR:
        extras += ["s3", "azure", "sftp", "zstd", "parquet"]
        bounds = folder / "bounds.txt"
        lowest = [UV, "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--python", interpreter]
        lowest += [ROOT / "pyproject.toml", "--constraint", requirements, "--output-file", bounds]
        yield "the lower bounds fit together", [*lowest, *(f"--extra={extra}" for extra in extras)]
        requirements = bounds
    target = f"airflow-provider-snav[{','.join(extras)}] @ {archive.resolve().as_uri()}"
    install = [UV, "pip", "install", "--compile-bytecode", "--python", python]
    yield "it installs", [*install, target, "--requirement", requirements]
    yield "what is installed fits together", [UV, "pip", "check", "--python", python]
    # Isolated: neither the working directory nor the script's folder is on the path.
    yield "it answers", [python, "-I", HERE / "matrix_checks.py", folder]


def _installed_and_asked(
    airflow: Airflow, interpreter: str, archive: Path, folder: Path, log: TextIO
) -> Result:
    """The cell's answers; a step that fails is an answer too, and the last."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))}
    answers = folder / "answers.json"
    for step, command in _steps(airflow, interpreter, archive, folder):
        done = subprocess.run(
            list(map(str, command)), env=clean, cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode and not answers.exists():
            failed = {step: {"passed": False, "found": f"exit code {done.returncode}"}}
            return {"versions": {}, "checks": failed}
    found: Result = json.loads(answers.read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
