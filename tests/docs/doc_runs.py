"""Commands of the docs, run in a shell of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOUR = "docs/quick-start.md"
# Commands that are not run here, by how they begin, and what proves them instead.
ELSEWHERE = {
    "python3 -m venv ": "It installs, and the tests run where that is done; tests of the package do it anew.",
    ". snav-tour/bin/activate": "Likewise.",
    "pip install ": "Likewise.",
    "make ": "It runs these very tests, or servers that have tests of their own.",
    "python -m airflow_provider_snav.sandbox": "It serves until Ctrl-C; its own tests start it.",
    "python -m airflow_provider_snav ": "It asks a person, or LinkedIn; tests/cli runs every command.",
}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    returncode: int
    output: str


def proved_elsewhere(code: str) -> bool:
    """Whether no command of a block is to be run here."""
    return all(line.startswith(tuple(ELSEWHERE)) for line in code.splitlines())


def shell(script: str) -> list[str]:
    return ["/bin/bash", "-euo", "pipefail", "-c", script]


@contextmanager
def started(command: Sequence[str], cwd: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Begin a command where the package is installed, and no Airflow is known."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**inherited, "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def ended(process: subprocess.Popen[str]) -> Done:
    output, _ = process.communicate()
    return Done(process.returncode, output)
