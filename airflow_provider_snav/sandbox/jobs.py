"""Export jobs and their download URLs."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from itertools import count

from airflow_provider_snav.sandbox.clock import DAY_MS, MILLISECOND, Clock
from airflow_provider_snav.sandbox.data import Action, CsvFile, files
from airflow_provider_snav.sandbox.restli import RestliError
from airflow_provider_snav.sandbox.settings import SandboxSettings

ENQUEUED = "ENQUEUED"
PROCESSING = "PROCESSING"
COMPLETED = "COMPLETED"

MAX_AGE_MS = 2 * 365 * DAY_MS


@dataclass(frozen=True, slots=True)
class Job:
    """One export job. All times are epoch ms; the window is closed.

    ``urn`` is the contract or the CRM instance. ``script`` has the statuses from `Sandbox.script_statuses`.
    """

    job_id: int
    action: Action
    urn: str
    start_at: int
    end_at: int
    created_at: int
    script: tuple[str, ...] = ()
    statuses_served: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """The file behind a download URL, and the end of the URL (epoch ms)."""

    action: Action
    file: CsvFile
    expires_at: int


class JobStore:
    """The jobs of a sandbox. Thread-safe."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._ids = count(100_001)
        self._jobs: dict[int, Job] = {}
        self._leases: dict[str, Lease] = {}
        self._scripts: deque[tuple[str, ...]] = deque()

    def clear(self) -> None:
        with self._lock:
            self._jobs.clear()
            self._leases.clear()
            self._scripts.clear()

    def snapshot(self) -> dict[int, Job]:
        with self._lock:
            return dict(self._jobs)

    def script(self, statuses: tuple[str, ...], jobs: int) -> None:
        with self._lock:
            self._scripts.extend([statuses] * jobs)

    def create(self, action: Action, urn: str, start_at: int, end_at: int, *, now: int) -> Job:
        with self._lock:
            script = self._scripts.popleft() if self._scripts else ()
            job = Job(next(self._ids), action, urn, start_at, end_at, now, script)
            self._jobs[job.job_id] = job
            return job

    def poll(self, job_id: str, urn: str, *, crm: bool) -> tuple[Job, str]:
        """The job and its present status. A scripted job moves to its next status.

        :raises RestliError: 404 if the id does not exist, has expired, or belongs to another ``urn``.
        """
        with self._lock:
            job = self._jobs.get(int(job_id)) if job_id.isascii() and job_id.isdigit() else None
            ttl = self._settings.job_ttl // MILLISECOND
            if (
                job is None
                or job.urn != urn
                or (job.action is Action.CRM_VALIDATION) != crm
                or self._clock.now() - job.created_at >= ttl
            ):
                raise RestliError(HTTPStatus.NOT_FOUND, f"No export job {job_id} exists")
            status = self._status(job)
            job = replace(job, statuses_served=(*job.statuses_served, status))
            self._jobs[job.job_id] = job
            return job, status

    def files(self, job: Job) -> tuple[CsvFile, ...]:
        """The files of a job. Rows older than two years are left out, even if a CRM export starts earlier."""
        return files(
            job.action,
            job.urn,
            max(job.start_at, job.created_at - MAX_AGE_MS),
            min(job.end_at, job.created_at),  # no export has rows later than its creation
            rows_per_part=self._settings.rows_per_part,
            bulk_bytes=self._settings.bulk_bytes,
            bulk_text=self._settings.bulk_text,
        )

    def lease(self, job: Job, ttl: timedelta) -> list[tuple[str, Lease]]:
        """New tokens for the download URLs of a job, one for each of its files."""
        expires_at = self._clock.now() + ttl // MILLISECOND
        leases = [(_lease_token(), Lease(job.action, file, expires_at)) for file in self.files(job)]
        with self._lock:
            self._leases.update(leases)
        return leases

    def leased(self, token: str) -> Lease:
        """The lease of a download URL.

        :param token: the token in the URL.
        :raises RestliError: 404 if the URL does not exist, 401 if it has expired (exporting-user-activity,
            note 2).
        """
        with self._lock:
            lease = self._leases.get(token)
        if lease is None:
            raise RestliError(HTTPStatus.NOT_FOUND, "No such download")
        if lease.expires_at <= self._clock.now():
            raise RestliError(HTTPStatus.UNAUTHORIZED, "The download URL has expired")
        return lease

    def _status(self, job: Job) -> str:
        if job.script:
            return job.script[min(len(job.statuses_served), len(job.script) - 1)]
        processed_ms = self._clock.now() - self._begins_at(job)
        if processed_ms < 0:
            return ENQUEUED
        return COMPLETED if processed_ms >= self._takes_ms(job) else PROCESSING

    def _begins_at(self, job: Job) -> float:
        """When processing of the job begins (epoch ms): at once, or after the contract's earlier jobs."""
        if job.action is Action.CRM_VALIDATION or not self._settings.one_export_at_a_time:
            return job.created_at
        free_at = 0.0
        for earlier in self._jobs.values():
            if earlier.job_id == job.job_id:
                break
            if earlier.urn == job.urn and not earlier.script:
                free_at = max(earlier.created_at, free_at) + self._takes_ms(earlier)
        return max(job.created_at, free_at)

    def _takes_ms(self, job: Job) -> float:
        crm = job.action is Action.CRM_VALIDATION
        takes = self._settings.crm_processing if crm else self._settings.analytics_processing
        return takes / MILLISECOND / self._settings.speed


def _lease_token() -> str:
    return "AQ" + secrets.token_urlsafe(96)
