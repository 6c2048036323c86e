"""Every file of an export, downloaded, verified and staged: nothing here is visible on the store."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from airflow_provider_snav.api import calls
from airflow_provider_snav.api.errors import (
    SalesNavigatorApiError,
    SalesNavigatorError,
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
    SalesNavigatorNotFoundError,
    SalesNavigatorRowCountError,
)
from airflow_provider_snav.api.models import Export, ExportJob, ExportKind, JobStatus, Slice
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.api.wire import Credential
from airflow_provider_snav.landing.compress import compressor
from airflow_provider_snav.landing.plan import LandedFile, Part, Terms
from airflow_provider_snav.landing.progress import Progress
from airflow_provider_snav.landing.records import CsvProfile
from airflow_provider_snav.landing.unpack import unpack
from airflow_provider_snav.storage.staging import Stage, open_stage

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

_TRIES = 3
_EXPIRED = (401, 403, 404, 410)


class StoppedError(Exception):
    """This file need not go on: another one failed, or the task was stopped."""


class Downloads:
    """The files of one export on their way to the store.

    :param stop: once it is set, no download goes on.
    """

    def __init__(
        self, hook: SalesNavigatorHook, export: Export, terms: Terms, stop: threading.Event, log: Any
    ) -> None:
        self._hook = hook
        self._export = export
        self._terms = terms
        self._stop = stop
        self._log = log
        self._progress = Progress(0, log)
        self._credential = Credential.MEMBER
        if export.kind is ExportKind.CRM_VALIDATION:
            self._credential = Credential.APPLICATION
        self.stages: dict[str, Stage] = {}

    def completed_jobs(self) -> list[ExportJob]:
        """The jobs of all slices as LinkedIn reports them now, each with its download URLs."""
        with ThreadPoolExecutor(self._terms.max_parallel, thread_name_prefix="snav-status") as pool:
            return list(pool.map(self._completed_job, self._export.slices))

    def stage_all(self, parts: Sequence[Part]) -> list[LandedFile]:
        """Download, verify and stage every file.

        :returns: one entry a file, in the order of ``parts``.
        """
        self._progress = Progress(len(parts), self._log)
        pool = ThreadPoolExecutor(self._terms.max_parallel, thread_name_prefix="snav-landing")
        try:
            futures = [pool.submit(self._stage_with_renewals, part) for part in parts]
            for future in as_completed(futures):
                future.result()
        except BaseException:
            # Also when this thread is interrupted: the others must know before they are awaited.
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        files = [future.result() for future in futures]
        self._check_rows(parts, files)
        return files

    def discard(self) -> None:
        """Remove everything that is staged and was not published."""
        for stage in self.stages.values():
            stage.discard()

    def _completed_job(self, part: Slice) -> ExportJob:
        if part.job_id is None:
            raise SalesNavigatorLandingError(
                f"No job was submitted for {part}: wait for the export before landing it."
            )
        try:
            job = self._hook.run(calls.get_job(self._export, part))
        except SalesNavigatorNotFoundError as error:
            raise error.because("The job has expired: clear the export task.") from None
        if job.status != JobStatus.COMPLETED:
            raise SalesNavigatorLandingError(
                f"Job {part.job_id} is {job.status}: wait for the export before landing it."
            )
        if not job.download_urls:
            raise SalesNavigatorLandingError(
                f"LinkedIn says job {part.job_id} is {job.status} and gives no download URL."
            )
        return job

    def _stage_with_renewals(self, part: Part) -> LandedFile:
        """Stage one file. Its URL is a lease: renewed when it expires, even in the middle."""
        job = part.job
        for tries in count(1):
            try:
                return self._stage(part, job.download_urls[part.position])
            except SalesNavigatorError as error:
                expired = isinstance(error, SalesNavigatorApiError) and error.status_code in _EXPIRED
                cut = isinstance(error, SalesNavigatorIncompleteDownloadError)
                if tries == _TRIES or not (expired or cut):
                    where = f"This was {part.path.name}, of job {job.job_id}."
                    raise error.because(where) from error.__cause__
                self._log.warning(
                    "Download %s of %s failed, asking for a new URL: %s", tries, part.path.name, error
                )
                job = self._completed_job(part.part)
                if len(job.download_urls) != len(part.job.download_urls):
                    raise SalesNavigatorLandingError(
                        f"Job {job.job_id} now has {len(job.download_urls)} files, not"
                        f" {len(part.job.download_urls)}."
                    ) from None
        raise AssertionError("unreachable")

    def _stage(self, part: Part, url: str) -> LandedFile:
        stage = open_stage(part.path, attempt=self._terms.attempt)
        self.stages[part.path.name] = stage
        try:
            return self._write(part, url, stage)
        except BaseException:  # also when the task is killed: no upload may be left open
            stage.discard()
            raise

    def _write(self, part: Part, url: str, stage: Stage) -> LandedFile:
        profile, packer, digest = CsvProfile(), compressor(self._terms.compression), sha256()
        received = size = 0
        with self._hook.download(url, self._credential) as download:
            for chunk in chain(unpack(download), [b""]):
                if self._stop.is_set():
                    raise StoppedError
                profile.feed(chunk)
                packed = packer.compress(chunk) if chunk else packer.flush()
                if packed:
                    digest.update(packed)
                    stage.write(packed)
                    size += len(packed)
                received += len(chunk)
                self._progress.reached(part.path.name, received)
        profile.finish()
        stage.seal()
        self._progress.done()
        return LandedFile(
            uri=stage.uri,
            rows=profile.rows,
            bytes=size,
            sha256=digest.hexdigest(),
            columns=list(profile.columns),
            job_id=part.part.job_id,
            start_at=to_text(part.job.export_start_at or part.part.start_at),
            end_at=to_text(end) if (end := part.job.export_end_at or part.part.end_at) else None,
        )

    def _check_rows(self, parts: Sequence[Part], files: Sequence[LandedFile]) -> None:
        for job in {part.job.job_id: part.job for part in parts}.values():
            rows = sum(file.rows for file in files if file.job_id == job.job_id)
            if job.row_count in (None, rows):
                continue
            message = f"Job {job.job_id} has {rows} rows where LinkedIn's rowCount says {job.row_count}."
            if self._terms.verify:
                raise SalesNavigatorRowCountError(
                    f"{message} verify=False lands it as it is.",
                    expected=job.row_count or 0,
                    actual=rows,
                )
            self._log.warning("%s Landing it all the same, as verify=False says.", message)
