"""Ends processes when whoever started this one ends, however that ends.

Runs as a process of its own and reads its standard input, a pipe: one process id and the name of a signal a
line. The pipe closes when whoever holds it says so, or is killed. Then each of those processes, with all that
descends from it, gets its signal, and the folder given as an argument, if any, goes.
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

import psutil


def kill_tree(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process and all its descendants, and wait until they are gone."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        # Stopped first, it starts no process that would be missed here.
        process.suspend()
        family = [process, *process.children(recursive=True)]
        _signal(family, number)
        _signal(family, signal.SIGCONT)
        _, alive = psutil.wait_procs(family, timeout=10)
        _signal(alive, signal.SIGKILL)


def _signal(family: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def main() -> None:
    """Wait for the pipe to close, then do it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched = [line.split() for line in sys.stdin]
    for pid, name in watched:
        kill_tree(int(pid), signal.Signals[name])
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
