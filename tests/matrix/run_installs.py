"""Every documented install line with plain pip, and every extra beside every Airflow; ``make test-installs``.

A person installs with the pip that is there, without a constraints file. Such a pip can spend an hour on
combinations of releases that exclude one another; the bounds in ``pyproject.toml`` prevent that. Lines of
the README and of ``docs/`` are installed. Each extra beside each Airflow is resolved only. Both are done by
the pip that Python 3.11 brings and by the newest one, and must end within two minutes on a machine at rest.
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
from pathlib import Path

from matrix_report import ROOT

LAB = ROOT / ".matrix" / "installs"
PIPS = {"oldest": "pip==23.2.*", "newest": "pip"}
AIRFLOWS = ("", "2.11.2", "3.0.6", "3.1.8", "3.3.2")


def main() -> int:
    """Run the chosen lines; print a row for each."""
    chosen = _arguments()
    failed = 0
    print("| seconds | of CPU | pip | line |\n| --- | --- | --- | --- |", flush=True)
    for name in chosen.pip:
        for line in _lines(chosen.extra, chosen.airflow):
            ended, wall, cpu = _run(line, PIPS[name], chosen.limit)
            failed += not ended
            took = f"{wall:.0f} | {cpu:.0f}" if ended else "**failed** |"
            print(f"| {took} | {name} | `{shlex.join(line)}` |", flush=True)
    print(
        f"{failed} failed or took more than {chosen.limit} s; see {LAB}." if failed else "All ended in time."
    )
    return 1 if failed else 0


def documented() -> list[str]:
    """The install lines of the README and of the docs, each once."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = "\n".join(page.read_text(encoding="utf-8") for page in pages)
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
    parser.add_argument("--limit", type=int, default=120, help="seconds for a line; more on a busy machine")
    return parser.parse_args()


def _lines(chosen: list[str], airflows: list[str]) -> Iterator[list[str]]:
    for line in documented():
        yield shlex.split(line.replace("$(echo dist/*.whl)", str(_wheel())))
    for extra in chosen:
        for airflow in airflows:
            pinned = [f"apache-airflow=={airflow}"] if airflow else []
            yield ["--dry-run", *pinned, f".[{extra}]"]


def _run(line: list[str], pip: str, limit: int) -> tuple[bool, float, float]:
    """Whether pip did it in time, in a new environment, and the seconds and CPU seconds it took."""
    shutil.rmtree(LAB / "venv", ignore_errors=True)
    LAB.mkdir(parents=True, exist_ok=True)
    python = LAB / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", LAB / "venv"], check=True)
    with (LAB / "log.txt").open("a") as log:
        print(f"\n--- {pip}: {shlex.join(line)}", file=log, flush=True)
        install = [python, "-m", "pip", "install"]
        subprocess.run([*install, "--upgrade", pip], stdout=log, stderr=log, check=True)
        started, cpu = time.monotonic(), _cpu_of_children()
        try:
            subprocess.run([*install, *line], cwd=ROOT, stdout=log, stderr=log, timeout=limit, check=True)
        except subprocess.SubprocessError as error:
            print(error, file=log)
            return False, 0, 0
    return True, time.monotonic() - started, _cpu_of_children() - cpu


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
