"""What ``export`` remembers between two runs: the jobs it submitted, in the user's state folder."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Self

from airflow_provider_snav.api.models import Export


class StateFile:
    """One small JSON file, without secrets, that only its owner may read.

    It has the methods of Airflow's task state store, so that a task's memory can keep its Export there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, base_url: str, asked: Export) -> Self:
        """The file of exactly this export at this API."""
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        key = hashlib.sha256(json.dumps([base_url, asked.to_json()]).encode()).hexdigest()[:16]
        return cls(base / "airflow-provider-snav" / f"{asked.export_type or asked.kind}-{key}.json")

    def context(self) -> Any:
        """What a task's memory needs of a task's context."""
        return {"task_state_store": self, "ti": None}

    def get(self, key: str, default: Any = None) -> Any:
        """What was stored under the key."""
        try:
            return json.loads(self.path.read_bytes()).get(key, default)
        except FileNotFoundError:
            return default

    def set(self, key: str, value: Any) -> None:
        """Store the value, whole or not at all."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({key: value}, file)
        unfinished.replace(self.path)

    def remove(self) -> None:
        """Forget it: the export has landed."""
        self.path.unlink(missing_ok=True)
