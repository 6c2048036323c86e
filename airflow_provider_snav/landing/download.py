"""Download, verify and stage every file of an export. Nothing here makes a file visible on the store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_snav import __version__
from airflow_provider_snav.api.errors import (
    SalesNavigatorApiError,
    SalesNavigatorError,
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
    SalesNavigatorNotFoundError,
    SalesNavigatorRowCountError,
)
from airflow_provider_snav.api.models import ExportJob, JobStatus
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.landing.evidence import names_columns
from airflow_provider_snav.landing.formats import Encoder, encoder, needs_header
from airflow_provider_snav.landing.plan import LandedFile, LandingOptions, Part
from airflow_provider_snav.landing.progress import Progress
from airflow_provider_snav.landing.records import CsvProfile
from airflow_provider_snav.landing.unpack import Unpacked
from airflow_provider_snav.landing.writer import HashingWriter
from airflow_provider_snav.storage.staging import Stage, open_stage

if TYPE_CHECKING:
    from airflow_provider_snav._stopping import Stopping
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

PAUSES: Sequence[float] = (1, 3, 8, 18)
"""The pauses, in seconds, before the 2nd, 3rd, 4th and 5th download of a missing or incomplete file."""

# The URL has expired, or its file does not exist yet. The token is valid: it was used to read the job.
_NOT_THERE = (401, 403, 404, 410)
_NAP_SECONDS = 0.5
# For a file that downloads alone. Parallel downloads would need this memory several times.
_LONE_CHUNK_BYTES = 512 * 1024


class StoppedError(Exception):
    """The download of this file stops because another file failed."""


class Downloads:
    """The downloads of one export's files.

    :param hook: for all requests to LinkedIn.
    :param export: a completed Export.
    :param options: how to land.
    :param stopping: ends every download when Airflow stops the task.
    :param log: the logger of the task.

    ``stages`` has the stage of each file by its name.
    """

    def __init__(
        self, hook: SalesNavigatorHook, export: Export, options: LandingOptions, stopping: Stopping, log: Any
    ) -> None:
        self._hook = hook
        self._export = export
        self._options = options
        self._stopping = stopping
        self._given_up = False
        self._one_by_one = True
        self._log = log
        self._progress = Progress(0, log)
        self._jobs: dict[int, ExportJob] = {}
        self._headers: dict[int, Sequence[str]] = {}
        self.stages: dict[str, Stage] = {}

    def completed_jobs(self) -> list[ExportJob]:
        """Read the jobs of all slices from LinkedIn, each with its download URLs.

        A completed job without a file is read up to 5 times, because the file may appear later. A job with a
        ``rowCount`` of 0 is read once.

        :raises SalesNavigatorLandingError: a job was not submitted or is not completed.
        :raises SalesNavigatorApiError: LinkedIn refused a request.
        """
        pool = ThreadPoolExecutor(self._options.max_parallel, thread_name_prefix="snav-status")
        with pool, self._stopping.stopped_by_interrupt():
            return list(pool.map(self._job_with_file, self._export.slices))

    def stage_all(self, parts: Sequence[Part]) -> list[LandedFile]:
        """Download, verify and stage every file. Download the files of a job that has too few rows again.

        :param parts: the files to land.
        :returns: one entry for each file, in the order of ``parts``.
        :raises SalesNavigatorLandingError: a file is missing or incomplete, or its rows or columns are wrong.
        :raises SalesNavigatorApiError: LinkedIn refused a request.
        """
        self._progress = Progress(len(parts), self._log)
        self._one_by_one = min(len(parts), self._options.max_parallel) == 1
        files: dict[Part, LandedFile] = {}
        short: set[int] = set()
        for tries in self._tries():
            again = [part for part in parts if tries == 1 or part.job.job_id in short]
            for wave in self._waves(again):
                files |= zip(wave, self._stage_each(wave, renewed=tries > 1), strict=True)
            files = dict(zip(parts, _with_first_header(files, self._log), strict=True))
            short = self._jobs_without_all_rows(files, tries)
            if not short:
                break
        return list(files.values())

    def _waves(self, parts: Sequence[Part]) -> list[list[Part]]:
        """Group the parts that can land in parallel. If columns must be known, first files come first."""
        if not needs_header(self._options):
            return [list(parts)]
        waves = [part for part in parts if part.position == 0], [part for part in parts if part.position]
        return [wave for wave in waves if wave]

    def _stage_each(self, parts: Sequence[Part], *, renewed: bool = False) -> list[LandedFile]:
        pool = ThreadPoolExecutor(self._options.max_parallel, thread_name_prefix="snav-landing")
        try:
            futures = [pool.submit(self._stage_with_renewals, part, renewed) for part in parts]
            with self._stopping.stopped_by_interrupt():
                self._await(futures)
        except BaseException:  # the other threads must stop before the pool waits for them
            self._given_up = True
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]

    def _await(self, futures: Iterable[Future[LandedFile]]) -> None:
        pending = set(futures)
        while pending:
            # Short waits, for the reason that Stopping.sleep gives.
            done, pending = wait(pending, timeout=_NAP_SECONDS, return_when=FIRST_COMPLETED)
            self._stopping.check()
            for future in done:
                future.result()

    def discard(self) -> None:
        """Remove all staged files that were not published."""
        for stage in self.stages.values():
            stage.discard()

    def _completed_job(self, part: Slice) -> ExportJob:
        if part.job_id is None:
            raise SalesNavigatorLandingError(
                f"No job was submitted for {part}: wait for the export before landing it."
            )
        try:
            job = self._hook.run(self._export.get_job(part))
        except SalesNavigatorNotFoundError as error:
            raise error.because("The job has expired: clear the export task.") from None
        if job.status != JobStatus.COMPLETED:
            raise SalesNavigatorLandingError(
                f"Job {part.job_id} is {job.status}: wait for the export before landing it."
            )
        self._jobs[job.job_id] = job
        return job

    def _job_with_file(self, part: Slice) -> ExportJob:
        for tries in self._tries():
            job = self._completed_job(part)
            if job.download_urls or job.row_count == 0:
                break
            self._log.warning("Job %s is complete and has no file yet (try %s)", job.job_id, tries)
        return job

    def _stage_with_renewals(self, part: Part, renewed: bool) -> LandedFile:
        """Stage one file. A download URL expires, so every further try reads a new URL from the job."""
        job = part.job
        where = f"This was {part.path.name}, of job {job.job_id}."
        for tries in self._tries():
            if renewed or tries > 1:
                job = self._completed_job(part.part)
            try:
                return self._stage(part, self._url(part, job))
            except SalesNavigatorError as error:
                missing = isinstance(error, SalesNavigatorApiError) and error.status_code in _NOT_THERE
                if not missing and not isinstance(error, SalesNavigatorIncompleteDownloadError):
                    raise error.because(where) from error.__cause__
                if tries <= len(PAUSES):
                    what = "Download %s of %s failed, asking for a new URL: %s"
                    self._log.warning(what, tries, part.path.name, error)
                failure = error
        if isinstance(failure, SalesNavigatorApiError):
            raise SalesNavigatorLandingError(
                f"LinkedIn says job {job.job_id} is complete, but its file {part.path.name} was not there in"
                f" {tries} tries: {failure}"
            ) from failure
        raise failure.because(f"{where} There were {tries} tries.")

    @staticmethod
    def _url(part: Part, job: ExportJob) -> str:
        before, now = len(part.job.download_urls), len(job.download_urls)
        if not now:
            raise SalesNavigatorIncompleteDownloadError("LinkedIn gives no download URL any more.")
        if now != before:
            raise SalesNavigatorLandingError(f"Job {job.job_id} now has {now} files, not {before}.")
        return job.download_urls[part.position]

    def _tries(self) -> Iterator[int]:
        """Count tries from 1. Before each further try, wait for the next of ``PAUSES``."""
        yield 1
        for tries, pause in enumerate(PAUSES, start=2):
            end = time.monotonic() + pause
            while (left := end - time.monotonic()) > 0:
                self._check()
                self._stopping.sleep(min(left, _NAP_SECONDS))
            yield tries

    def _check(self) -> None:
        self._stopping.check()
        if self._given_up:
            raise StoppedError

    def _stage(self, part: Part, url: str) -> LandedFile:
        if earlier := self.stages.get(part.path.name):
            earlier.discard()
        exclusive = self._options.if_exists == "fail"
        stage = open_stage(part.path, attempt=self._options.attempt, exclusive=exclusive)
        self.stages[part.path.name] = stage
        try:
            return self._write(part, url, stage)
        except BaseException:  # also when the task is killed, no upload may stay open
            stage.discard()
            raise

    def _write(self, part: Part, url: str, stage: Stage) -> LandedFile:
        profile, encoded = CsvProfile(), self._encoder(part)
        start_at, end_at = _window(part)
        received = 0
        with (
            self._hook.download(url, self._export.rules.credential) as download,
            HashingWriter(stage, beside=self._one_by_one) as writer,
        ):
            if self._one_by_one:
                download.chunk_bytes = _LONE_CHUNK_BYTES
            content = Unpacked(download)
            for chunk in content:
                self._check()
                profile.feed(chunk)
                writer.write(encoded.feed(chunk))
                received += len(chunk)
                self._progress.reached(part.path.name, received)
            profile.finish(vouched=content.vouched)
            self._check()
            writer.write(encoded.finish())
            digest = writer.finish()
        stage.seal()
        self._progress.done(part.path.name)
        if part.position == 0:
            self._headers[part.job.job_id] = profile.columns
        landed = LandedFile(
            uri=stage.uri,
            rows=profile.rows,
            bytes=writer.bytes,
            sha256=digest,
            columns=list(profile.columns),
            job_id=part.part.job_id,
            start_at=start_at,
            end_at=end_at,
        )
        return encoded.described(landed)

    def _encoder(self, part: Part) -> Encoder:
        start_at, end_at = _window(part)
        metadata = {name: value for name, value in self._export.identity().items() if value}
        metadata |= {"start_at": start_at, "job_id": str(part.job.job_id), "version": __version__}
        if end_at:
            metadata["end_at"] = end_at
        header = self._headers[part.job.job_id] if part.position and needs_header(self._options) else None
        return encoder(self._export, self._options, metadata, header)

    def _jobs_without_all_rows(self, files: Mapping[Part, LandedFile], tries: int) -> set[int]:
        """Return the ids of the jobs whose files have fewer rows than LinkedIn's ``rowCount``.

        Document:
        https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs

        :raises SalesNavigatorRowCountError: a job has more rows, or has fewer rows after the last try.
        """
        short = set()
        for job_id in {part.job.job_id for part in files}:
            rows = sum(file.rows for part, file in files.items() if part.job.job_id == job_id)
            expected = self._jobs[job_id].row_count
            if expected is None or expected == rows:
                continue
            message = f"Job {job_id} has {rows} rows where LinkedIn's rowCount says {expected}"
            if not self._options.verify:
                self._log.warning("%s. Landing it because verify=False.", message)
            elif rows > expected or tries > len(PAUSES):
                raise SalesNavigatorRowCountError(
                    f"{message}, in {tries} downloads.", expected=expected, actual=rows
                )
            else:
                self._log.warning("%s. Downloading it again.", message)
                short.add(job_id)
        return short


def _window(part: Part) -> tuple[str, str | None]:
    """Return the start and end of a file's data. In LinkedIn's range, the end is included."""
    end = part.job.export_end_at or part.part.end_at
    return to_text(part.job.export_start_at or part.part.start_at), to_text(end) if end else None


def _with_first_header(files: Mapping[Part, LandedFile], log: Any) -> Iterator[LandedFile]:
    """Yield each file with the columns of its job's first file. A file without a header begins with a row.

    :raises SalesNavigatorLandingError: a file has a different header.
    """
    headers: dict[int, list[str]] = {}
    for part, file in files.items():
        header = headers.setdefault(part.job.job_id, file.columns)
        if file.columns == header:
            yield file
            continue
        if len(file.columns) != len(header) or names_columns(file.columns, header):
            raise SalesNavigatorLandingError(
                f"{part.path.name} has other columns than the first file of job {part.job.job_id}: this"
                " is not one export."
            )
        log.warning("%s has no header: its columns are those of the job's first file", part.path.name)
        yield replace(file, rows=file.rows + 1, columns=header, has_header=False)
