"""Operators that ask LinkedIn for exports."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import BaseOperator, Context, conf
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorWindowError
from airflow_provider_snav.api.export_plan import NO_REMEDIES, Remedies
from airflow_provider_snav.api.models import Export, ExportKind, ExportType, Slice, contract_urn
from airflow_provider_snav.api.polling import PollSchedule, Report
from airflow_provider_snav.api.windows import parse_time, split, to_text
from airflow_provider_snav.operators.durable import TaskMemory
from airflow_provider_snav.operators.export_run import ExportRun, reporting

Seconds = float | int | dt.timedelta


class _ExportOperator(BaseOperator):
    """Submits an export and sees it through; the two kinds differ in what they ask for.

    :param wait_for_completion: False returns right after submission, for a sensor to wait.
    :param deferrable: wait in the triggerer, holding no worker.
    :param durable: on Airflow 3.3 and later, remember the jobs between tries: a retry goes on with them.
    :param poll_interval: before the first poll; each pause is a fifth longer than the last.
    :param max_poll_interval: between two polls at most.
    :param timeout: of the whole wait in one try, deferred or not.
    :param split_on_failure: halve a window LinkedIn finds too large or too slow.
    :param max_resubmissions: how often a window is submitted again after a data delay or an internal error.
    :param resubmit_delay: how long to wait after a data delay.
    :param snav_conn_id: a connection of type ``snav``.
    """

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        durable: bool = True,
        poll_interval: Seconds = 15,
        max_poll_interval: Seconds = 300,
        timeout: dt.timedelta,
        split_on_failure: bool = True,
        max_resubmissions: int = 3,
        resubmit_delay: dt.timedelta = dt.timedelta(hours=1),
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

    @abstractmethod
    def asked(self, context: Context) -> Export:
        """What to export, with nothing submitted yet.

        :raises SalesNavigatorConfigurationError: an argument is wrong.
        """

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Submit, or take up again what an earlier try submitted, and wait.

        :returns: the Export as JSON.
        """
        with reporting(lambda _: "Nothing was submitted."):
            asked = self.asked(context)
            memory = TaskMemory(context, asked, enabled=self.durable)
            remembered = memory.recall()
            run = self._run(remembered or asked, memory, deadline=now() + self.timeout)
        with reporting(run.fate):
            if remembered:
                self.log.info("Going on with what an earlier try submitted: %s", remembered)
                run.reattach()
            return self._see_through(run)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Go on where the trigger stopped waiting."""
        with reporting(lambda _: "Clear the task to begin anew."):
            report = Report.from_event(event)
            self.log.info("The trigger waited: %s", report.post_mortem())
            memory = TaskMemory(context, report.export, enabled=self.durable)
            run = self._run(report.export, memory, deadline=report.deadline)
        with reporting(run.fate):
            run.take(report)
            return self._see_through(run)

    def on_kill(self) -> None:
        """Say what becomes of the jobs: LinkedIn documents no way to cancel one."""
        self.log.warning(
            "Stopped. LinkedIn goes on with the jobs submitted so far; they expire by themselves."
        )

    def _see_through(self, run: ExportRun) -> dict[str, Any] | None:
        while not run.submit() and self.wait_for_completion:
            if self.deferrable:
                self._defer(run)
            run.wait()
        self.log.info(
            "%s %s", "Complete:" if run.export.is_completed else "Submitted, not waiting:", run.export
        )
        return run.export.to_json()

    def _defer(self, run: ExportRun) -> None:
        from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger

        self.defer(
            trigger=SalesNavigatorExportTrigger(
                export=run.export.to_json(),
                remedies=run.remedies.to_json(),
                poll_interval=run.schedule.first,
                max_poll_interval=run.schedule.longest,
                deadline=run.deadline.timestamp(),
                snav_conn_id=self.snav_conn_id,
            ),
            method_name="execute_complete",
        )

    def _run(self, export: Export, memory: TaskMemory, *, deadline: dt.datetime) -> ExportRun:
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

        remedies = Remedies(self.split_on_failure, self.max_resubmissions, self.resubmit_delay)
        return ExportRun(
            SalesNavigatorHook(self.snav_conn_id),
            export,
            # Nobody is there to submit the rest later: all of it goes out at once.
            remedies=remedies if self.wait_for_completion else NO_REMEDIES,
            schedule=poll_schedule(self.poll_interval, self.max_poll_interval),
            timeout=self.timeout,
            deadline=deadline,
            memory=memory,
            log=self.log,
        )


def poll_schedule(first: Seconds, longest: Seconds) -> PollSchedule:
    """The two poll arguments as seconds.

    :raises SalesNavigatorConfigurationError: not positive, or not numbers.
    """
    try:
        quick, slow = (
            each.total_seconds() if isinstance(each, dt.timedelta) else float(each)
            for each in (first, longest)
        )
    except (TypeError, ValueError):
        quick = slow = 0.0
    if quick <= 0 or slow <= 0:
        raise SalesNavigatorConfigurationError(
            f"poll_interval={first!r} and max_poll_interval={longest!r} must be seconds above 0, or"
            " timedeltas."
        )
    return PollSchedule(quick, max(quick, slow))


class SalesNavigatorAnalyticsExportOperator(_ExportOperator):
    """Exports activity, seat or activity outcome data of one contract.

    The time to export is ``start_at`` up to ``end_at`` if given; else ``window`` before the end of the run's
    data interval (or before its logical date); else the data interval; all of it shifted back by ``lag``. The
    interval is half-open like Airflow's: what happens at its end belongs to the next one. An interval longer
    than 90 days becomes several jobs. Documents: Sales Analytics Export Jobs, Exporting User Activity.

    :param contract: URN or number of the contract.
    :param export_type: ``activity``, ``seat`` or ``activity_outcome``.
    :param start_at: aware datetime, epoch milliseconds or ISO 8601 text (UTC when it has no offset).
    :param end_at: likewise; not exported itself.
    :param window: how much time before the end of the run's data interval.
    :param lag: how far to look back; LinkedIn refreshes its data daily, so a day keeps data delays away.

    All other arguments: see the waiting arguments in the README. Returns the Export.
    """

    template_fields: Sequence[str] = ("contract", "export_type", "start_at", "end_at", "snav_conn_id")
    ui_color = "#dce6f1"

    def __init__(
        self,
        *,
        contract: str | int,
        export_type: str = "activity",
        start_at: str | int | dt.datetime | None = None,
        end_at: str | int | dt.datetime | None = None,
        window: dt.timedelta | None = None,
        lag: dt.timedelta = dt.timedelta(0),
        timeout: dt.timedelta = dt.timedelta(hours=6),
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, **kwargs)
        self.contract = contract
        self.export_type = export_type
        self.start_at = start_at
        self.end_at = end_at
        self.window = window
        self.lag = lag

    def asked(self, context: Context) -> Export:
        """See :meth:`_ExportOperator.asked`."""
        start_at, until = self._interval(context)
        return Export(
            kind=ExportKind.ANALYTICS,
            subject=contract_urn(self.contract),
            export_type=ExportType.parse(self.export_type),
            slices=tuple(map(Slice.of, split(start_at - self.lag, until - self.lag, now()))),
        )

    def _interval(self, context: Context) -> tuple[dt.datetime, dt.datetime]:
        given = {"start_at": _given(self.start_at), "end_at": _given(self.end_at)}
        if any(value is not None for value in given.values()):
            for name, value in given.items():
                if value is None:
                    raise SalesNavigatorWindowError(f"start_at and end_at go together: {name} is missing.")
            return parse_time(given["start_at"], "start_at"), parse_time(given["end_at"], "end_at")
        # In Airflow 3 a run without a logical date has none of these keys.
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        last = end if end is not None else context.get("logical_date")
        if self.window is not None and last is not None:
            until = parse_time(last, "data_interval_end")
            return until - self.window, until
        if start is None or end is None or start == end:
            raise SalesNavigatorWindowError(_no_interval(start))
        return parse_time(start, "data_interval_start"), parse_time(end, "data_interval_end")


def _given(value: Any) -> Any:
    """A template that has nothing to say renders to the text 'None', or to none at all."""
    return None if value in (None, "", "None") else value


def _no_interval(start: dt.datetime | None) -> str:
    found = f"an empty data interval ({to_text(start)})" if start else "no data interval and no logical date"
    return (
        f"This run has {found}, so there is no time to export. Either give start_at and end_at; or give"
        " window=timedelta(days=1), the time before the run's logical date; or schedule the DAG with"
        " CronDataIntervalTimetable('@daily', timezone='UTC'), whose runs have an interval."
    )
