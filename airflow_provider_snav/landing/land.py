"""Landing one export: every file downloaded and verified before the first becomes visible."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_snav.api import calls
from airflow_provider_snav.api.errors import (
    SalesNavigatorApiError,
    SalesNavigatorDestinationError,
    SalesNavigatorError,
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
    SalesNavigatorNotFoundError,
    SalesNavigatorRowCountError,
)
from airflow_provider_snav.api.models import Export, ExportJob, ExportKind, JobStatus, Slice
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.api.wire import Credential
from airflow_provider_snav.landing.compress import SUFFIXES, CompressionKind, compressor
from airflow_provider_snav.landing.names import belongs_to, file_names, manifest_name
from airflow_provider_snav.landing.progress import Progress
from airflow_provider_snav.landing.records import CsvProfile
from airflow_provider_snav.landing.unpack import unpack
from airflow_provider_snav.storage.staging import Stage, leftover_of, open_stage, reporting_refusal, uri_of

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

_TRIES = 3
_EXPIRED = (401, 403, 404, 410)


@dataclass(frozen=True, slots=True)
class Terms:
    """How to land.

    :param stem: what every file name begins with.
    :param attempt: tells this try from others that may still be running.
    """

    stem: str
    attempt: str
    if_exists: Literal["overwrite", "fail"] = "overwrite"
    compression: CompressionKind | None = None
    verify: bool = True
    manifest: bool = False
    max_parallel: int = 4


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One file as it lies on the store. ``bytes`` and ``sha256`` are of the object, compressed or not."""

    uri: str
    rows: int
    bytes: int
    sha256: str
    columns: list[str]
    job_id: int | None
    start_at: str
    end_at: str | None


@dataclass(frozen=True, slots=True)
class _Part:
    """One file to come: the ``position``-th URL of a slice's job."""

    part: Slice
    job: ExportJob
    position: int
    path: ObjectStoragePath


class _StoppedError(Exception):
    """Another file failed; this one need not go on."""


class Landing:
    """Lands the files of one completed Export in one folder.

    :param folder: where; created if the store has folders.
    :param log: gets a line about progress every ten seconds.

    ``next_export_start_at`` is, after a CRM validation export, where LinkedIn suggests the next begins.
    """

    def __init__(
        self, hook: SalesNavigatorHook, export: Export, folder: ObjectStoragePath, terms: Terms, log: Any
    ) -> None:
        self._hook = hook
        self._export = export
        self._folder = folder
        self._terms = terms
        self._log = log
        self._stages: dict[str, Stage] = {}
        self._touched: list[str] = []
        self._credential = Credential.MEMBER
        if export.kind is ExportKind.CRM_VALIDATION:
            self._credential = Credential.APPLICATION
        self.next_export_start_at: dt.datetime | None = None
        self._stop = threading.Event()
        self._progress = Progress(0, log)

    def run(self) -> list[LandedFile]:
        """Download, verify, publish, tidy up.

        :returns: one entry a file, in order of time.
        :raises SalesNavigatorLandingError: nothing was published.
        :raises SalesNavigatorApiError: LinkedIn refused; nothing was published.
        """
        self._refuse_existing()
        with ThreadPoolExecutor(self._terms.max_parallel, thread_name_prefix="snav-status") as pool:
            jobs = list(pool.map(self._completed_job, self._export.slices))
        self.next_export_start_at = jobs[-1].next_export_start_at
        try:
            parts = self._parts(jobs)
            files = self._stage_all(parts)
            self._check_rows(parts, files)
            # Again: another try may have landed meanwhile.
            self._refuse_existing()
            try:
                self._publish(parts, files)
            except SalesNavigatorError:
                self.take_back()
                raise
        finally:
            for stage in self._stages.values():
                stage.discard()
        return files

    def fate(self, error: SalesNavigatorError) -> str:
        """What an error left behind, and what a retry will do."""
        left = "Nothing was published; files of earlier runs are untouched."
        if self._touched:
            names = ", ".join(self._touched[:5]) + (" and others" if len(self._touched) > 5 else "")
            left = f"Publishing had begun: of earlier runs, {names} may be replaced or gone already."
            if self._terms.if_exists == "fail":
                return f"{left} As if_exists='fail' says, a retry is refused for as long as they lie there."
        return f"{left} A retry lands the whole export again." if error.retryable else left

    def _refuse_existing(self) -> None:
        published = [name for name in self._existing() if not leftover_of(name)]
        if published and self._terms.if_exists == "fail":
            raise _already_there(self._folder, published)

    def _existing(self) -> list[str]:
        """Names in the folder that belong to this export."""
        fs = self._folder.fs
        fs.invalidate_cache()
        with reporting_refusal(uri_of(self._folder), "listed"):
            try:
                paths = fs.ls(self._folder.path, detail=False)
            except FileNotFoundError:
                return []
        names = (str(path).rstrip("/").rpartition("/")[2] for path in paths)
        return sorted(name for name in names if belongs_to(self._terms.stem, name))

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

    def _parts(self, jobs: Sequence[ExportJob]) -> list[_Part]:
        suffix = SUFFIXES[self._terms.compression]
        names = file_names(self._terms.stem, sum(len(job.download_urls) for job in jobs), suffix)
        return [
            _Part(part, job, position, self._folder / names.pop(0))
            for part, job in zip(self._export.slices, jobs, strict=True)
            for position in range(len(job.download_urls))
        ]

    def _stage_all(self, parts: Sequence[_Part]) -> list[LandedFile]:
        self._progress = Progress(len(parts), self._log)
        pool = ThreadPoolExecutor(self._terms.max_parallel, thread_name_prefix="snav-landing")
        try:
            futures = [pool.submit(self._stage_with_renewals, part) for part in parts]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # Also when this thread is interrupted: the others must be told before they are awaited.
            self._stop.set()
            pool.shutdown(cancel_futures=True)
        errors = [future.exception() for future in futures if not future.cancelled()]
        for error in errors:
            if error and not isinstance(error, _StoppedError):
                raise error
        return [future.result() for future in futures]

    def _stage_with_renewals(self, part: _Part) -> LandedFile:
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

    def _stage(self, part: _Part, url: str) -> LandedFile:
        stage = open_stage(part.path, attempt=self._terms.attempt)
        self._stages[part.path.name] = stage
        try:
            return self._write(part, url, stage)
        except BaseException:  # also when the task is killed: no upload may be left open
            stage.discard()
            raise

    def _write(self, part: _Part, url: str, stage: Stage) -> LandedFile:
        profile, packer, digest = CsvProfile(), compressor(self._terms.compression), sha256()
        received = size = 0
        with self._hook.download(url, self._credential) as download:
            for chunk in chain(unpack(download), [b""]):
                if self._stop.is_set():
                    raise _StoppedError
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

    def _check_rows(self, parts: Sequence[_Part], files: Sequence[LandedFile]) -> None:
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

    def _publish(self, parts: Sequence[_Part], files: Sequence[LandedFile]) -> None:
        manifest = manifest_name(self._terms.stem)
        if manifest in self._existing():
            # It describes the files that are about to be replaced.
            self._touched.append(manifest)
            self._remove([manifest])
        for part, file in zip(parts, files, strict=True):
            stage = self._stages[part.path.name]
            try:
                stage.publish()
            except SalesNavigatorDestinationError:
                if stage.may_be_revealed():
                    self._touched.append(part.path.name)
                raise
            self._touched.append(part.path.name)
            with reporting_refusal(file.uri, "measured"):
                stored = part.path.fs.size(part.path.path)
            if stored != file.bytes:
                raise SalesNavigatorDestinationError(
                    f"{file.uri} has {stored} bytes on the store where {file.bytes} were written."
                )
        self._remove(set(self._existing()) - {part.path.name for part in parts})
        if self._terms.manifest:
            self._write_manifest(self._folder / manifest, files)

    def take_back(self) -> None:
        """Where nothing lay before, leave nothing: else ``if_exists="fail"`` would refuse the retry."""
        if self._terms.if_exists == "fail":
            # Of its own: another try's would be a green task's.
            self._remove(set(self._touched).intersection(self._existing()))
            self._touched.clear()

    def _write_manifest(self, path: ObjectStoragePath, files: Sequence[LandedFile]) -> None:
        stage = open_stage(path, attempt=self._terms.attempt)
        self._stages[path.name] = stage
        stage.write(json.dumps({"files": [asdict(file) for file in files]}, indent=2).encode())
        stage.seal()
        # First: its answer may be lost.
        self._touched.append(path.name)
        stage.publish()

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self._folder / name
            self._log.info("Removing %s", uri_of(path))
            with reporting_refusal(uri_of(path), "removed"):
                path.fs.rm_file(path.path)


def _already_there(folder: ObjectStoragePath, names: Sequence[str]) -> SalesNavigatorDestinationError:
    return SalesNavigatorDestinationError(
        f"{uri_of(folder)} already holds {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}, and"
        " if_exists='fail'. Remove them, or use if_exists='overwrite'.",
        retryable=False,
    )
