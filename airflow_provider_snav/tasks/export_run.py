"""One export on a worker: it submits jobs, stores their ids, waits, and explains errors."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.errors import (
    SalesNavigatorError,
    SalesNavigatorExportFailedError,
    SalesNavigatorNotFoundError,
    SalesNavigatorRateLimitError,
)
from airflow_provider_snav.api.exchange import MOST_CREATIONS
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.plan import (
    Done,
    Remedies,
    Submit,
    lost,
    next_step,
    submitted,
    without_failures,
)
from airflow_provider_snav.exports.polling import (
    Outcome,
    PollReport,
    WaitPolicy,
    describe,
    timed_out,
    wait,
    what_goes_on,
)
from airflow_provider_snav.hooks.token_warning import warn_before_expiry
from airflow_provider_snav.tasks.waiting import poll_on_worker, write_findings

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
    from airflow_provider_snav.tasks.task_state import TaskMemory


class ExportRun:
    """Runs one Export on a worker.

    :param export: the Export in its present state.
    :param remedies: the remedies for failed jobs.
    :param waiting: the pauses between polls, the deadline and the timeout.
    :param memory: stores the Export between tries.
    """

    def __init__(
        self,
        hook: SalesNavigatorHook,
        export: Export,
        *,
        remedies: Remedies,
        waiting: WaitPolicy,
        memory: TaskMemory,
        log: Any,  # structlog's on Airflow 3, logging's on 2
    ) -> None:
        self.export = export
        self.remedies = remedies
        self.waiting = waiting
        self._hook = hook
        self._memory = memory
        self._log = log
        self.jobs_in_doubt = 0
        """The number of jobs that LinkedIn may have created in an interrupted submission."""

    def close(self) -> None:
        """Close the connections to LinkedIn."""
        self._hook.close()

    def reattach(self) -> None:
        """Poll the stored jobs. A job that LinkedIn no longer has is submitted again later."""
        for part in self.export.slices:
            if part.job_id is None:
                continue
            try:
                self._ask(part)
            except SalesNavigatorNotFoundError:
                self._log.warning("LinkedIn no longer has job %s. It is submitted again.", part.job_id)
        self._remember()

    def submit(self) -> bool:
        """Apply remedies and submit the jobs that are due.

        :returns: True if the export is complete, False if its jobs still run.
        :raises SalesNavigatorExportFailedError: a job failed and no remedy is left.
        """
        while True:
            try:
                plan = next_step(self.export, self.remedies, now())
            except SalesNavigatorExportFailedError:
                self._forget_failures()
                raise
            self.export = plan.export
            for sentence in plan.remedies:
                self._log.warning("%s", sentence)
            if not isinstance(plan.step, Submit):
                self._remember()
                return isinstance(plan.step, Done)
            if self.export.has_begun:
                # Airflow refuses this write if the try has ended, for example while its process was frozen.
                self._remember()
            for part in plan.step.slices:
                self._submit(part)
            # This runs after the submission, so a slow answer cannot delay it.
            warn_before_expiry(self._hook, self.export, self._log)

    def _submit(self, part: Slice) -> None:
        self.jobs_in_doubt = MOST_CREATIONS
        try:
            job = self._hook.run(self.export.create_job(part), after_wait=self._remember)
        except SalesNavigatorError as error:
            self.jobs_in_doubt = error.jobs_in_doubt
            raise
        self.jobs_in_doubt = 0
        created = submitted(part, job, now())
        self.export = self.export.with_slice(part, created)
        # Log before the write: if the write fails, the log still has the job id.
        self._log.info("Submitted: %s, %s", self.export.title, created)
        self._remember()

    def _remember(self) -> None:
        self._memory.remember(self.export)

    def mark_submitted(self) -> None:
        """Store that the task ends without waiting. A sensor may wait later."""
        self._memory.remember(self.export, finished=True)

    def wait(self) -> None:
        """Wait on the worker until a job can be submitted, a job failed or the export is complete."""
        limit = self.remedies.max_running
        steps = wait(self.export, limit, self.waiting.schedule, self.waiting.deadline, now, random.random)
        self.apply_report(poll_on_worker(steps, self.export, self._hook, self._log))

    def apply_report(self, report: PollReport) -> None:
        """Apply the results of a wait.

        :raises SalesNavigatorExportTimeoutError: the deadline passed.
        :raises SalesNavigatorError: the poll that ended the wait fails again.
        """
        self.export = report.export
        write_findings(report, self._log)
        match report.outcome:
            case Outcome.TIMEOUT:
                raise timed_out(self.export, self.waiting.timeout, report.last_problem)
            case Outcome.POLL_FAILED:
                # The same poll on the worker raises the same error, with its type, and logs it here.
                for part in self.export.running:
                    self._ask(part)
                # Without this check, a triggerer that fails each time could defer the task without end.
                if now() >= self.waiting.deadline and not self.export.is_completed:
                    raise timed_out(self.export, self.waiting.timeout, report.last_problem)

    def _ask(self, part: Slice) -> None:
        try:
            job = self._hook.run(self.export.get_job(part))
        except SalesNavigatorNotFoundError as error:
            self.export = self.export.with_slice(part, lost(part))
            raise error.because(f"LinkedIn no longer has a job of this export ({part.job_id}).") from None
        self._log.info("%s", describe(job))
        found = PollReport(self.export, self.waiting.deadline)
        found.seen(part, job, now())
        write_findings(found, self._log)
        self.export = found.export

    def _forget_failures(self) -> None:
        """Store the export without its failed jobs, so that a retry submits these slices again."""
        self._memory.remember(without_failures(self.export))

    def fate(self, error: SalesNavigatorError) -> str:
        """Say what becomes of the jobs after this error, and what a retry will do."""
        return f"{self.jobs_fate(error)} {self.next_try(error)}".lstrip()

    def jobs_fate(self, error: SalesNavigatorError) -> str:
        """Say what becomes of the jobs after this error."""
        if error.jobs_in_doubt and not self.export.running:
            return ""  # the message of the error says it
        return what_goes_on(self.export) if self.export.has_begun else "No job was created."

    def next_try(
        self, error: SalesNavigatorError, retry: str = "A retry", mended: str = "clear the task"
    ) -> str:
        """Say what the next try will do.

        :param retry: the name of the next try in the sentence.
        :param mended: how to start the next try after an error that Airflow does not retry.
        """
        if not error.retryable:
            return f"Correct the cause, then {mended}: that {self._again()}."
        if isinstance(error, SalesNavigatorRateLimitError) and error.daily:
            return f"{retry} before the reset fails the same way, a later one {self._again()}."
        return f"{retry} {self._again()}."

    def _again(self) -> str:
        if not self.export.has_begun:
            return "submits it"
        stored = self._memory.stored
        if stored and not self._memory.is_behind:
            return "continues this export and submits only the missing jobs"
        if stored and stored.job_ids:
            jobs = ", ".join(map(str, stored.job_ids))
            return f"continues the stored jobs ({jobs}) and submits the rest"
        return "submits the whole export again"
