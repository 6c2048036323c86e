"""One export on a worker: submit what the plan says, remember it, wait, and say what went wrong."""

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
    """Drives one Export forward.

    :param export: where it stands.
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
        """Jobs that LinkedIn may have created for a submission that was interrupted."""

    def close(self) -> None:
        """Close the connections to LinkedIn."""
        self._hook.close()

    def reattach(self) -> None:
        """Ask LinkedIn how the remembered jobs stand; one it no longer knows is submitted again."""
        for part in self.export.slices:
            if part.job_id is None:
                continue
            try:
                self._ask(part)
            except SalesNavigatorNotFoundError:
                self._log.warning("LinkedIn no longer has job %s. It is submitted again.", part.job_id)
        self._remember()

    def submit(self) -> bool:
        """Apply remedies and submit what is due.

        :returns: True when the export is complete, False when it has to be waited for.
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
                # Airflow refuses this of a try that is over, such as one that was frozen in its last wait.
                self._remember()
            for part in plan.step.slices:
                self._submit(part)
            # Afterwards, so that the look-up delays no submission.
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
        # First: should the state not be written, the log still knows the job.
        self._log.info("Submitted: %s, %s", self.export.title, created)
        self._remember()

    def _remember(self) -> None:
        self._memory.remember(self.export)

    def mark_submitted(self) -> None:
        """Let the task succeed while its jobs still run: someone else waits."""
        self._memory.remember(self.export, finished=True)

    def wait(self) -> None:
        """Wait here, holding the worker, until there is something to submit or nothing left to wait for."""
        limit = self.remedies.max_running
        steps = wait(self.export, limit, self.waiting.schedule, self.waiting.deadline, now, random.random)
        self.apply_report(poll_on_worker(steps, self.export, self._hook, self._log))

    def apply_report(self, report: PollReport) -> None:
        """Take over what a wait found.

        :raises SalesNavigatorExportTimeoutError: the deadline passed.
        :raises SalesNavigatorError: the poll that ended the wait fails here too.
        """
        self.export = report.export
        write_findings(report, self._log)
        match report.outcome:
            case Outcome.TIMEOUT:
                raise timed_out(self.export, self.waiting.timeout, report.last_problem)
            case Outcome.POLL_FAILED:
                # Asked here, the same question gives the same error, with its type and in this log.
                for part in self.export.running:
                    self._ask(part)
                # The triggerer may fail where the worker does not, each time anew.
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
        """Keep what is complete; let a retry submit what failed with all its attempts."""
        self._memory.remember(without_failures(self.export))

    def fate(self, error: SalesNavigatorError) -> str:
        """What becomes of the jobs after this error, and what a retry will do."""
        return f"{self.jobs_fate(error)} {self.next_try(error)}".lstrip()

    def jobs_fate(self, error: SalesNavigatorError) -> str:
        """What becomes of the jobs after this error."""
        if error.jobs_in_doubt and not self.export.running:
            return ""  # its message says so
        return what_goes_on(self.export) if self.export.has_begun else "No job was created."

    def next_try(
        self, error: SalesNavigatorError, retry: str = "A retry", mended: str = "clear the task"
    ) -> str:
        """What the next try will do.

        :param retry: the name of the next try.
        :param mended: how to begin it after an error that Airflow does not retry.
        """
        if not error.retryable:
            return f"Once it is mended, {mended}: that {self._again()}."
        if isinstance(error, SalesNavigatorRateLimitError) and error.daily:
            return f"{retry} before the reset fails the same way, a later one {self._again()}."
        return f"{retry} {self._again()}."

    def _again(self) -> str:
        if not self.export.has_begun:
            return "submits it"
        stored = self._memory.stored
        if stored and not self._memory.is_behind:
            return "goes on with this export and submits only what is missing"
        if stored and stored.job_ids:
            jobs = ", ".join(map(str, stored.job_ids))
            return f"goes on with what was stored before (job {jobs}) and submits the rest"
        return "submits the whole export again"
