"""``make demo`` and tests in what a person may have set already; ``make test-environments``.

Each row is a folder and environment variables of its own. In a copy of the last commit, ``make demo`` must
land its files there, or say what is missing. In rows that concern a running Airflow, some tests, among them
those of ``make up``, must pass, too.
All that is made lies under ``.matrix/environments``, with a log for each row.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from index_mirror import index_mirror
from matrix_report import ROOT

LAB = ROOT / ".matrix" / "environments"
TRAPS = LAB / "traps"
TESTS = ("tests/contracts", "tests/demo")
# Variables by which a tool finds certificates or the package index.
REGISTRY = re.compile(r"(PIP|UV)_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Row:
    """What a person has set.

    :param variables: of the environment; ``{traps}`` is the folder of `_lay_traps`.
    :param folder: the checkout's.
    :param umask: of the shell.
    :param installs: the environment is made anew, not that of the row before.
    :param tests: tests run, too.
    :param says: what ``make demo`` must say when it cannot work; it then has to fail.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: str = "checkout"
    umask: int = 0o022
    installs: bool = False
    tests: bool = False
    says: str = ""


ROWS = (
    Row("plain", installs=True),
    Row("airflow_local_settings", {"PYTHONPATH": "{traps}/modules"}, tests=True),
    Row(
        "airflow_variables",
        {
            "AIRFLOW_HOME": "/nowhere",
            "AIRFLOW_CONFIG": "/nowhere/airflow.cfg",
            "AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nobody@127.0.0.1:9/none",
            "AIRFLOW_CONN_SNAV_DEFAULT": "http://127.0.0.1:9",
            "AIRFLOW_VAR_SNAV_LAKE": "/nowhere",
            "OPENLINEAGE_URL": "http://127.0.0.1:9",
        },
        tests=True,
    ),
    Row("proxies", {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https", "all")}, tests=True),
    Row("python_variables", {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error"}, installs=True),
    Row("index_mirror", {"PIP_CONFIG_FILE": "{traps}/pip.conf"}, installs=True),
    Row("index_mirror_without_uv", {"PIP_CONFIG_FILE": "{traps}/pip.conf", "UV_OFFLINE": "1"}, installs=True),
    Row("unwritable_home", {"HOME": "/dev/null"}, installs=True, tests=True),
    Row("private_files", umask=0o077, installs=True),
    Row("posix_locale", {"LC_ALL": "POSIX"}, folder="Mein Ordner é"),
    Row("odd_folder", folder="Mein Ordner é 100% a#b", installs=True),
    Row("long_folder", folder="a folder whose name is long" * 6, installs=True),
    Row("no_venv", {"PYTHON": "{traps}/python-without-venv"}, installs=True, says="apt install python3-venv"),
    Row("old_python", {"PYTHON": "{traps}/python3.10"}, installs=True, says="Python 3.11 to 3.14"),
)


def main() -> int:
    """Run the chosen rows; print how each went."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("rows", nargs="*", default=names, metavar="ROW", help=f"of {', '.join(names)}")
    chosen = parser.parse_args().rows
    LAB.mkdir(parents=True, exist_ok=True)
    failed = []
    with index_mirror(LAB) as mirror:
        _lay_traps(mirror.url, mirror.certificate)
        for row in ROWS:
            if row.name in chosen:
                started, served = time.monotonic(), len(mirror.served)
                wrong = _wrong(row)
                if not wrong and "PIP_CONFIG_FILE" in row.variables and len(mirror.served) == served:
                    wrong = "the mirror was not used"
                took = time.monotonic() - started
                outcome = f"FAILED: {wrong}" if wrong else "passed"
                print(f"{row.name:<24} {outcome} ({took:.0f} s)", flush=True)
                failed += [row.name] if wrong else []
    print(f"Failed: {', '.join(failed)}; see {LAB}." if failed else "All that ran passed.")
    return 1 if failed else 0


def _wrong(row: Row) -> str:
    """What went wrong in a row, if anything did."""
    checkout = LAB / row.folder
    environment = LAB / "environment"
    shutil.rmtree(checkout, ignore_errors=True)
    checkout.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", checkout], input=archive, check=True)
    if not row.installs:
        # Installing takes half a minute, and these rows do not concern it.
        shutil.copytree(environment, checkout / ".venv", symlinks=True)
    variables = {name: value.format(traps=TRAPS) for name, value in row.variables.items()}
    mirrored = "PIP_CONFIG_FILE" in variables
    inherited = {name: value for name, value in os.environ.items() if not (mirrored and REGISTRY.match(name))}
    there = {**inherited, **variables}
    log = LAB / f"{row.name}.txt"
    log.unlink(missing_ok=True)
    commands: list[list[str | Path]] = [["make", "-C", checkout, "demo"]]
    if row.tests:
        # A busy machine is no reason to fail.
        patient = ["--timeout=900", "-p", "no:cacheprovider"]
        commands.append([sys.executable, "-m", "pytest", "-q", *patient, *TESTS])
    for command in commands:
        with log.open("a") as file:
            output = {"stdout": file, "stderr": file}
            done = subprocess.run(command, cwd=ROOT, env=there, umask=row.umask, check=False, **output)
        if row.says:
            return "" if done.returncode and row.says in log.read_text() else f"it did not say {row.says!r}"
        if done.returncode:
            return f"{Path(command[0]).name} ended with {done.returncode}"
    if not list((checkout / "demo-output").rglob("*.csv")):
        return "nothing landed"
    if row.name == "plain":
        shutil.rmtree(environment, ignore_errors=True)
        shutil.copytree(checkout / ".venv", environment, symlinks=True)
    return ""


def _lay_traps(index: str, certificate: Path) -> None:
    """Files that a person may have lying about.

    :param index: the address of the mirror that this run has started on this machine.
    """
    shutil.rmtree(TRAPS, ignore_errors=True)
    for file, text in {
        "modules/airflow_local_settings.py": "raise RuntimeError('the settings of another Airflow')\n",
        "pip.conf": f"[global]\nindex-url = {index}\ncert = {certificate}\nuser = true\n",
        "without-venv/ensurepip.py": "raise ModuleNotFoundError('as on Debian')\n",
        "python-without-venv": f'#!/bin/sh\nPYTHONPATH={TRAPS}/without-venv exec python3 "$@"\n',
        "python3.10": '#!/bin/sh\ntest "$1" = --version && echo Python 3.10.1\nexit 1\n',
    }.items():
        (TRAPS / file).parent.mkdir(parents=True, exist_ok=True)
        (TRAPS / file).write_text(text)
        (TRAPS / file).chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
