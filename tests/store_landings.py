"""A landing in a process of its own, which may die at any moment."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from store_servers import Moment
from task_runs import context_of

from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

# Each landing is forked off a process that has imported everything, and has no threads yet.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__, "store_servers", "airflow_provider_snav.landing.land"])

_HOUR = 3600
_ON_DISK = ("open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "os.scandir")


class JumpingClock:
    """The real time, plus two hours for each look at it once a condition is met: a URL lives for one."""

    def __init__(self) -> None:
        self.jumps_once: Callable[[], bool] = lambda: False
        self._ahead = 0

    def __call__(self) -> float:
        if self.jumps_once():
            self._ahead += 2 * _HOUR
        return time.time() + self._ahead


def land(**arguments: Any) -> list[dict[str, Any]]:
    task = SalesNavigatorToObjectStorageOperator(task_id="land", **arguments)
    landed: list[dict[str, Any]] = task.execute(context_of(task))
    return landed


def started(prepare: Callable[[], None], **arguments: Any) -> BaseProcess:
    """Begin a landing in a process of its own.

    :param prepare: called there first.
    """
    with pytest.MonkeyPatch.context() as patch:
        # Else the process to fork off, which starts now, does not find what it is to import.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()
    process = _processes.Process(target=_land, args=(dict(os.environ), prepare, arguments))
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def die_on_disk(named: str, moment: Moment) -> None:
    """Let this process be killed right before it opens, or else renames, a file with this in its name."""

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event == {Moment.WRITE: "open", Moment.PUBLISH: "os.rename"}[moment] and named in str(args[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def die_at_touch(folder: str, at: int) -> None:
    """Let this process be killed right before it touches anything in the folder for the ``at``-th time."""
    touched = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal touched
        if event in _ON_DISK and folder in str(args[0]):
            touched += 1
            if touched == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def die_in_a_write(size: int) -> None:
    """Let the system kill this process in the middle of the write that makes a file larger than this."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _land(environment: Mapping[str, str], prepare: Callable[[], None], arguments: Mapping[str, Any]) -> None:
    os.environ.update(environment)
    # What it logs is no one's.
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    prepare()
    land(**arguments)
