"""Land one export. Every file is downloaded and verified before the first file becomes visible."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_snav.api.errors import SalesNavigatorError, SalesNavigatorLandingError
from airflow_provider_snav.api.models import ExportJob
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.landing.download import Downloads
from airflow_provider_snav.landing.formats import SUFFIXES
from airflow_provider_snav.landing.names import file_names
from airflow_provider_snav.landing.plan import LandedFile, LandingOptions, Part
from airflow_provider_snav.landing.publish import Publication, UnconfirmedError

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath
    from airflow_provider_snav._stopping import Stopping
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook


class Landing:
    """Lands the files of one completed Export in one folder.

    :param hook: for all requests to LinkedIn.
    :param export: a completed Export.
    :param folder: the destination. It is created if the store has real folders.
    :param options: how to land.
    :param stopping: ends the landing when Airflow stops the task.
    :param log: the logger of the task. It gets a line about progress every 10 seconds.
    :param confirm_try: a function that raises if this try may not change the folder. The default raises if
        Airflow stopped the task.

    After :meth:`run`, ``next_export_start_at`` is LinkedIn's ``nextExportStartAt`` of a CRM validation
    export (an aware datetime), or None.
    """

    def __init__(
        self,
        hook: SalesNavigatorHook,
        export: Export,
        folder: ObjectStoragePath,
        options: LandingOptions,
        stopping: Stopping,
        log: Any,
        confirm_try: Callable[[], None] | None = None,
    ) -> None:
        self._export = export
        self._folder = folder
        self._options = options
        self._log = log
        self._downloads = Downloads(hook, export, options, stopping, log)
        self._confirm_try = confirm_try or stopping.check
        self._publication = Publication(folder, export, options, self._confirm_try, log)
        self.next_export_start_at: dt.datetime | None = None

    def run(self, confirm: Callable[[], None] = lambda: None) -> list[LandedFile]:
        """Download, verify and publish all files, then remove the staged files.

        :param confirm: a function that is called after all files are published, or if there is no file; see
            :meth:`Publication.publish`.
        :returns: one entry for each file, in the order of time; none if the export has no file.
        :raises SalesNavigatorLandingError: the landing failed. :meth:`fate` says what it changed.
        :raises SalesNavigatorApiError: LinkedIn refused a request. Nothing was published.
        :raises UnconfirmedError: all files are published, and it is unknown if ``confirm`` succeeded.
        """
        self._publication.refuse_existing()
        jobs = self._downloads.completed_jobs()
        self.next_export_start_at = jobs[-1].next_export_start_at
        self._check_for_files(jobs)
        parts = self._parts(jobs)
        if not parts:
            self._log.warning("Nothing lands: LinkedIn gives no file. Files of earlier runs stay.")
            self._confirm_try()
            confirm()
            return []
        try:
            files = self._downloads.stage_all(parts)
            stages = {part.path.name: self._downloads.stages[part.path.name] for part in parts}
            self._publication.publish(stages, files, confirm)
        finally:
            self._downloads.discard()
        return files

    def fate(self, error: SalesNavigatorError, retry: str = "A retry") -> str:
        """Return sentences about what an error left in the folder, and what the next try will do.

        :param error: the error that :meth:`run` raised.
        :param retry: the name of the next try, for the text.
        """
        left = "Nothing was published; files of earlier runs are untouched."
        if touched := self._publication.touched:
            names = ", ".join(touched[:5]) + (" and others" if len(touched) > 5 else "")
            left = f"Publishing had begun: {names} may be new, replaced or gone."
            if isinstance(error, UnconfirmedError):
                left = "All files have landed and stay."
            if self._options.if_exists == "fail":
                return f"{left} Because if_exists='fail', {retry.lower()} is refused while they lie there."
        return f"{left} {retry} lands the whole export again." if error.retryable else left

    def _check_for_files(self, jobs: Sequence[ExportJob]) -> None:
        for job in jobs:
            # Only analytics jobs have a rowCount. With a rowCount of 0, no file is expected.
            if job.download_urls or job.row_count == 0:
                continue
            message = f"LinkedIn says job {job.job_id} is {job.status} and gives no download URL"
            if self._options.if_no_file == "fail":
                raise SalesNavigatorLandingError(
                    f"{message}, asked several times. if_no_file='skip' takes it for an export without rows."
                )
            self._log.warning("%s. Continuing without its file because if_no_file='skip'.", message)

    def _parts(self, jobs: Sequence[ExportJob]) -> list[Part]:
        suffix = SUFFIXES[self._options.format, self._options.compression]
        names = file_names(self._options.base_name, sum(len(job.download_urls) for job in jobs), suffix)
        return [
            Part(part, job, position, self._folder / names.pop(0))
            for part, job in zip(self._export.slices, jobs, strict=True)
            for position in range(len(job.download_urls))
        ]
