"""Stores the jobs that ``export`` submitted, in the user's state folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.exports.export import Export


class StateFile:
    """One small JSON file without secrets, which only its owner may read.

    It has the methods of Airflow's task state store, so that :class:`TaskMemory` can use it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, base_url: str, asked: Export) -> Self:
        """Return the file for this export at this API base."""
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        key = hashlib.sha256(json.dumps([base_url, asked.to_json()]).encode()).hexdigest()[:16]
        return cls(base / "airflow-provider-snav" / f"{asked.data}-{key}.json")

    def context(self) -> Any:
        """Return the part of a task's context that :class:`TaskMemory` uses."""
        return {"task_state_store": self, "ti": None}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from running the same export.

        :raises SalesNavigatorError: another process runs it, or the state folder cannot be written.
        """
        path = self.path.with_suffix(".lock")
        try:
            with self._writing():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                descriptor = _lock(path)
        except SalesNavigatorError as error:
            raise error.because("Nothing was submitted.") from error.__cause__
        try:
            yield
        finally:
            # Remove the file before the lock ends. Later, it could be the file of the next process.
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the stored value of a key."""
        try:
            return json.loads(self.path.read_bytes()).get(key, default)
        except FileNotFoundError:
            return default

    def set(self, key: str, value: Any) -> None:
        """Store a value. After an error the file has the old content.

        :raises SalesNavigatorError: the file cannot be written.
        """
        unfinished = self.path.with_suffix(".unfinished")
        with self._writing():
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({key: value}, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
            _sync_names(self.path.parent)

    def remove(self) -> None:
        """Remove the file after the export has landed."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SalesNavigatorError(
                f"The state file {self.path} could not be written ({error.strerror}). Make its folder"
                " writable, or set XDG_STATE_HOME to another one."
            ) from error


def _sync_names(folder: Path) -> None:
    """Write a rename to the disk, so that a power failure does not lose it, if the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(path: Path) -> int:
    """Lock a file, and write the id of this process into it.

    :returns: the descriptor that holds the lock until it is closed.
    :raises SalesNavigatorError: another process has locked it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _lies_at(path, descriptor):
                os.truncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        except BlockingIOError:
            owner = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            raise SalesNavigatorError(f"Another process ({owner}) already runs this export.") from None
        # The process that held the lock has removed this file. Lock the new file.
        os.close(descriptor)


def _lies_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
