"""Every documented install line and every extra with plain pip; ``make test-installs``.

A person installs with the pip that is there, without a constraints file. Such a pip can spend an hour on
combinations of releases that exclude one another; the bounds in ``pyproject.toml`` prevent that. Lines of
the README and of ``docs/`` are installed. Each extra is resolved only, with and without a pinned Airflow.
The pip that the first Python 3.11 brought and the newest one do both. Each must take less than two minutes
of CPU, whatever else the machine has to do. Results go to ``installs.json`` beside this file, where lines
that were not run again keep theirs, and from there into ``docs/support.md``.
"""

from __future__ import annotations

import argparse
import functools
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from matrix_report import INSTALLS, MARKED, ROOT, Result, keep, write_tables

LAB = ROOT / ".matrix" / "installs"
# What Python 3.11.0 brought, and today's.
PIPS = {"oldest": "pip==22.3.*", "newest": "pip"}
AIRFLOWS = ("", "3.3.2")


def main() -> int:
    """Run the chosen lines; print a row for each."""
    chosen = _arguments()
    failed = 0
    for name in chosen.pip:
        for line in _lines(chosen.extra, chosen.airflow):
            result = {"pip": name, "line": f"pip install {line}", **_run(line, PIPS[name], chosen.limit)}
            failed += not result["passed"]
            print(
                f"{'passed' if result['passed'] else 'FAILED':<7} {result['cpu']:>4.0f} s of CPU"
                f" {result['seconds']:>5.0f} s  {name}: {result['line']}",
                flush=True,
            )
            keep(INSTALLS, result, "pip", "line")
            write_tables()
    print(
        f"{failed} failed or took more than {chosen.limit} s; see {LAB}." if failed else "All ended in time."
    )
    return 1 if failed else 0


def documented() -> list[str]:
    """The install lines of the README and of the docs, each once."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    # Without the tables of results.
    texts = "\n".join(MARKED.sub("", page.read_text(encoding="utf-8")) for page in pages)
    return list(dict.fromkeys(re.findall(r"\bpip install ([^`\n]+)", texts)))


def extras() -> list[str]:
    """Those of the package."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return list(tomllib.load(file)["project"]["optional-dependencies"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pip", nargs="*", choices=PIPS, default=list(PIPS))
    parser.add_argument("--extra", nargs="*", choices=extras(), default=extras())
    parser.add_argument("--airflow", nargs="*", default=AIRFLOWS, help="versions; '' names none")
    parser.add_argument("--limit", type=int, default=120, help="seconds of CPU for a line")
    return parser.parse_args()


def _lines(chosen: list[str], airflows: list[str]) -> Iterator[str]:
    """The arguments of each, as typed."""
    yield from documented()
    for extra in chosen:
        for airflow in airflows:
            pinned = f"'apache-airflow=={airflow}' " if airflow else ""
            yield f"--dry-run {pinned}'.[{extra}]'"


def _run(line: str, pip: str, limit: int) -> Result:
    """Whether pip did it in time, in a new environment, and the seconds and CPU seconds it took."""
    shutil.rmtree(LAB / "venv", ignore_errors=True)
    LAB.mkdir(parents=True, exist_ok=True)
    python = LAB / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", LAB / "venv"], check=True)
    arguments = shlex.split(line.replace("$(echo dist/*.whl)", str(_wheel())))
    with (LAB / "log.txt").open("a") as log:
        print(f"\n--- {pip}: {line}", file=log, flush=True)
        install = [python, "-m", "pip", "install"]
        subprocess.run([*install, "--upgrade", pip], stdout=log, stderr=log, check=True)
        started, cpu = time.monotonic(), _cpu_of_children()
        try:
            # On a busy machine a line may wait for most of its time.
            ended = subprocess.run(
                [*install, *arguments], cwd=ROOT, stdout=log, stderr=log, timeout=10 * limit, check=False
            ).returncode
        except subprocess.TimeoutExpired as error:
            ended = str(error)
        seconds, cpu = round(time.monotonic() - started), round(_cpu_of_children() - cpu)
        print(f"ended with {ended}", file=log)
    return {
        "passed": ended == 0 and cpu <= limit,
        "seconds": seconds,
        "cpu": cpu,
        "date": str(datetime.now(UTC).date()),
    }


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@functools.cache
def _wheel() -> Path:
    """The wheel that ``make build`` would make."""
    subprocess.run(
        [sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", LAB / "dist", ROOT], check=True
    )
    return next((LAB / "dist").glob("*.whl"))


if __name__ == "__main__":
    sys.exit(main())
