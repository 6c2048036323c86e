"""Ends a set of processes when the process that started this one ends or is killed.

It runs as a separate process and reads its standard input, a pipe. Each line has a process id and the name of
a signal. When the parent closes the pipe or is killed, each of these processes and its descendants get their
signal. Folders given as arguments are then removed.
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
        # Suspend it first, so that it cannot start another process in the meantime.
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
    """Wait until the pipe closes, then end the processes and remove the folders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watched = [line.split() for line in sys.stdin]
    for pid, name in watched:
        kill_tree(int(pid), signal.Signals[name])
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
