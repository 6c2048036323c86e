"""One scenario for two DAGs: ``by_hand.py`` and ``with_the_provider.py``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from landing_stores import Store
from real_airflow import Run, real_airflow

from airflow_provider_snav.sandbox.jobs import Job
from airflow_provider_snav.sandbox.server import Sandbox

_TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
# Each for one scenario only: a DAG that runs on the same day again is that run, cleared.
_DAYS: Iterator[datetime] = (_TODAY - timedelta(days=days) for days in count(3))

Arrange = Callable[[Sandbox], None]


def nothing(_: Sandbox) -> None:
    """Nothing goes wrong."""


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario.

    :param runs: of the DAG, each after the first by clearing it.
    :param answers: kind of call and status, None for a broken connection.
    :param exported: the files of all jobs, as they should have landed.
    :param landed: what lies in the lake.
    """

    runs: list[Run]
    jobs: list[Job]
    answers: list[tuple[str, int | None]]
    exported: list[bytes]
    landed: dict[str, bytes]

    @property
    def run(self) -> Run:
        """The last one."""
        return self.runs[-1]

    def answered(self, kind: str) -> list[int | None]:
        """The statuses of all answers to calls of one kind."""
        return [status for each, status in self.answers if each == kind]


@dataclass(frozen=True)
class Both:
    """Runs a scenario by hand, then with the provider.

    :param lake: makes a lake of this name.
    """

    sandbox: Sandbox
    lake: Callable[[str], Store]

    def __call__(self, *arrange: Arrange, schedule: str = "") -> tuple[Outcome, Outcome]:
        """Run each DAG on a day of its own.

        :param arrange: what goes wrong; each one after the first is for the same run, cleared.
        :param schedule: how the names of the DAGs end.
        """
        day = next(_DAYS)
        by_hand, with_the_provider = (
            self._outcome(name, schedule, day, arrange) for name in ("by_hand", "with_the_provider")
        )
        return by_hand, with_the_provider

    def _outcome(self, name: str, schedule: str, day: datetime, arrange: tuple[Arrange, ...]) -> Outcome:
        lake = self.lake(name)
        self.sandbox.reset()
        environment = {
            "AIRFLOW_CONN_SNAV_DEFAULT": self.sandbox.connection_json(refresh_token=True),
            "AIRFLOW_CONN_LINKEDIN": http_connection(self.sandbox, self.sandbox.base_url),
            "AIRFLOW_CONN_LAKE": os.environ.get("AIRFLOW_CONN_LAKE", "{}"),
            "AIRFLOW_VAR_SNAV_LAKE": str(lake.folder),
        }
        runs = []
        for each in arrange:
            each(self.sandbox)
            runs.append(real_airflow().run(name + schedule, day.isoformat(), environment, {}))
        return Outcome(
            runs,
            self.sandbox.created_jobs,
            [(str(request.kind), request.status) for request in self.sandbox.requests],
            [file.read() for job_id in self.sandbox.jobs for file in self.sandbox.files(job_id)],
            dict(lake.files()),
        )


def http_connection(sandbox: Sandbox, host: str) -> str:
    """A connection of the HTTP provider, with the token as a default header."""
    headers: dict[str, Any] = {
        "Authorization": f"Bearer {sandbox.access_token}",
        "X-RestLi-Protocol-Version": "2.0.0",
    }
    return json.dumps({"conn_type": "http", "host": host, "extra": headers})
