"""The base class of both export operators: it submits, waits, and continues after a crash."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import BaseOperator, Context, conf
from airflow_provider_snav._stopping import Stoppable
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.tasks.arguments import (
    Checks,
    Duration,
    check_arguments,
    connection_id,
    duration,
    switch,
    whole_number,
)
from airflow_provider_snav.tasks.failures import before, explaining
from airflow_provider_snav.tasks.task_state import TaskMemory

if TYPE_CHECKING:
    from airflow_provider_snav.exports.polling import PollSchedule
    from airflow_provider_snav.tasks.export_run import ExportRun

_LEAST_INTERVAL = dt.timedelta(milliseconds=1)


class ExportOperator(Stoppable, BaseOperator):
    """Submits the jobs of an export and waits until they are completed.

    :param wait_for_completion: if False, the task ends after the submission; a sensor may wait later.
    :param deferrable: if True, the task waits in the triggerer and holds no worker slot.
    :param durable: on Airflow 3.3 and later, store the job ids between tries, so that a retry continues with
        the same jobs.
    :param poll_interval: seconds, or a timedelta. The pause before the first poll of a job, and before the
        first poll after LinkedIn begins to process it. Later pauses are longer: see
        :class:`~airflow_provider_snav.exports.polling.PollSchedule`.
    :param max_poll_interval: seconds, or a timedelta. The longest pause between two polls.
    :param timeout: seconds, or a timedelta. The longest wait in one try, deferred or not. It includes the
        time in LinkedIn's queue.
    :param split_on_failure: if True, a window that LinkedIn reports as too large or too slow is halved.
    :param max_resubmissions: how many times a window is submitted again after a data delay or an internal
        error.
    :param resubmit_delay: seconds, or a timedelta. The wait before a window is submitted again after a data
        delay.
    :param snav_conn_id: the id of a connection of type ``snav``.
    :raises SalesNavigatorConfigurationError: when the DAG file is read: a literal argument is wrong.
    """

    argument_checks: ClassVar[Checks] = {
        "wait_for_completion": switch,
        "deferrable": switch,
        "durable": switch,
        "poll_interval": partial(duration, least=_LEAST_INTERVAL),
        "max_poll_interval": partial(duration, least=_LEAST_INTERVAL),
        "timeout": partial(duration, least=dt.timedelta(seconds=1)),
        "split_on_failure": switch,
        "max_resubmissions": partial(whole_number, least=0),
        "resubmit_delay": duration,
        "snav_conn_id": connection_id,
    }

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        durable: bool = True,
        poll_interval: Duration = 20,
        max_poll_interval: Duration = 300,
        timeout: Duration,
        split_on_failure: bool = True,
        max_resubmissions: int = 3,
        resubmit_delay: Duration = dt.timedelta(hours=1),
        snav_conn_id: str = "snav_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.durable = durable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.split_on_failure = split_on_failure
        self.max_resubmissions = max_resubmissions
        self.resubmit_delay = resubmit_delay
        self.snav_conn_id = snav_conn_id

    def check_arguments(self) -> None:
        """Check every argument that is not a template.

        :raises SalesNavigatorConfigurationError: an argument is wrong; the message says how to write it.
        """
        check_arguments(self, self.argument_checks)

    @abstractmethod
    def build_export(self, context: Context) -> Export:
        """Return the Export before its submission.

        :raises SalesNavigatorConfigurationError: an argument is wrong.
        """

    def check_submittable(self, asked: Export) -> None:
        """Check a new Export before its submission. This does not apply to jobs of an earlier try.

        :raises SalesNavigatorConfigurationError: LinkedIn would refuse the export.
        """

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Submit the jobs, or continue with the jobs of an earlier try, and wait.

        :returns: the Export as JSON.
        :raises SalesNavigatorError: a retry may succeed.
        :raises AirflowFailException: a retry would fail in the same way. Both messages say what became of
            the jobs and what a retry will do.
        """
        with explaining(before("Nothing was submitted.")):
            self.check_arguments()
            asked = self.build_export(context)
            memory = TaskMemory(context, asked, enabled=self.durable)
            remembered = memory.recall()
            if not remembered:
                self.check_submittable(asked)
            run = self._run(remembered or asked, memory, deadline=now() + duration(self.timeout, "timeout"))
        with explaining(run.fate), closing(run):
            if remembered:
                self.log.info("Continuing with the jobs of an earlier try: %s", remembered)
                run.reattach()
            return self._see_through(run)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Continue after the trigger's event.

        :param event: a :class:`~airflow_provider_snav.exports.polling.PollReport` as JSON.
        :returns: and raises: see :meth:`execute`.
        """
        from airflow_provider_snav.exports.polling import PollReport

        with explaining(lambda _: "A retry continues the stored jobs, if Airflow has a task state store."):
            report = PollReport.from_event(event)
            self.log.info("The trigger waited: %s", report.post_mortem())
            memory = TaskMemory(context, report.export, enabled=self.durable)
            run = self._run(report.export, memory, deadline=report.deadline)
        with explaining(run.fate), closing(run):
            run.apply_report(report)
            return self._see_through(run)

    def _see_through(self, run: ExportRun) -> dict[str, Any] | None:
        while not run.submit() and self.wait_for_completion:
            if self.deferrable:
                self._defer(run)
            run.wait()
        if run.export.is_completed:
            self.log.info("Complete: %s", run.export)
        else:
            run.mark_submitted()
            self.log.info("Submitted, not waiting: %s", run.export)
        return run.export.to_json()

    def _defer(self, run: ExportRun) -> NoReturn:
        from airflow_provider_snav.tasks.waiting import trigger_for

        trigger = trigger_for(
            run.export,
            max_running=run.remedies.max_running,
            schedule=run.waiting.schedule,
            deadline=run.waiting.deadline,
            snav_conn_id=self.snav_conn_id,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def _run(self, export: Export, memory: TaskMemory, *, deadline: dt.datetime) -> ExportRun:
        from airflow_provider_snav.exports.plan import NO_REMEDIES, Remedies
        from airflow_provider_snav.exports.polling import WaitPolicy
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
        from airflow_provider_snav.tasks.export_run import ExportRun

        delay = duration(self.resubmit_delay, "resubmit_delay")
        remedies = Remedies(self.split_on_failure, self.max_resubmissions, delay)
        return ExportRun(
            SalesNavigatorHook(self.snav_conn_id, stopping=self._stopping),
            export,
            # Without waiting, the task cannot submit further jobs later, so it submits all of them now.
            remedies=remedies if self.wait_for_completion else NO_REMEDIES,
            waiting=WaitPolicy(schedule_of(self), duration(self.timeout, "timeout"), deadline),
            memory=memory,
            log=self.log,
        )


def schedule_of(operator: ExportOperator) -> PollSchedule:
    """Return the pauses between the polls, from the operator's arguments."""
    from airflow_provider_snav.exports.polling import PollSchedule

    first = duration(operator.poll_interval, "poll_interval").total_seconds()
    longest = duration(operator.max_poll_interval, "max_poll_interval").total_seconds()
    return PollSchedule(first, max(first, longest))
