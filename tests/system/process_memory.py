"""How much memory processes hold, and cgroups that limit it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil

# By the folder below which cgroups are made: the file of the limit, the file of the peak.
_CGROUP_FILES = {
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    Path("/sys/fs/cgroup"): ("memory.max", "memory.peak"),
}


def memory_of(pid: int) -> list[int]:
    """The bytes that a process and each of its descendants hold; of shared pages, their share."""
    held = []
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                held.append(int(process.memory_full_info().pss))
    return held


def make_cgroup(prefix: str, limit: int) -> Path | None:
    """A new cgroup whose processes together get no more memory; None where it cannot be made.

    :param limit: in bytes.
    :returns: the file that tells the most memory they held.
    """
    for root, (limit_file, peak_file) in _CGROUP_FILES.items():
        group = root / f"{prefix}-{uuid4().hex}"
        with suppress(OSError):
            group.mkdir()
            # Of a folder that is no cgroup, this would make a file like any other.
            if (group / limit_file).exists():
                (group / limit_file).write_text(str(limit))
                return group / peak_file
            group.rmdir()
    return None


def remove_cgroups(prefix: str) -> None:
    """Remove what is left when whoever made them was killed."""
    for root in _CGROUP_FILES:
        for group in root.glob(f"{prefix}-*"):
            with suppress(OSError):  # its last process is not quite gone
                group.rmdir()
