"""A sensor that waits for exports submitted elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    conf,
)
from airflow_provider_snav._guide import see
from airflow_provider_snav._stopping import Stoppable
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorError,
    SalesNavigatorExportFailedError,
    SalesNavigatorNotFoundError,
)
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.exports.plan import NO_REMEDIES, Done, next_step
from airflow_provider_snav.exports.polling import Outcome, PollReport, PollSchedule, look, timed_out
from airflow_provider_snav.tasks.arguments import check_arguments, connection_id, switch
from airflow_provider_snav.tasks.failures import before, check_when_read, explaining
from airflow_provider_snav.tasks.waiting import poll_on_worker, trigger_for, write_findings

_ADVICE = (
    "The sensor applies no remedy and LinkedIn does not run a failed job again. Clear the export task. With"
    " wait_for_completion=True its operator applies remedies to failed jobs."
)
_TIMED_OUT = (
    "The jobs continue at LinkedIn. Airflow does not retry a sensor that timed out. Clear the sensor to wait"
    " again."
)
_SHORTEST_INTERVAL = 0.1


class SalesNavigatorExportSensor(Stoppable, BaseSensorOperator):
    """Waits until every job of an Export is completed. Returns the Export as JSON.

    The sensor has Airflow's sensor arguments with Airflow's defaults, such as ``poke_interval=60`` seconds.
    In the triggerer the pause between two polls is ``poke_interval``. With ``exponential_backoff`` the pauses
    grow from ``poke_interval`` to ``max_wait``. Document:
    https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs

    :param export: the output of an export operator with ``wait_for_completion=False``.
    :param deferrable: if True, the sensor waits in the triggerer and holds no worker slot.
    :param snav_conn_id: the id of a connection of type ``snav``.
    :raises SalesNavigatorConfigurationError: when the DAG file is read: a literal argument is wrong.
    """

    template_fields: Sequence[str] = ("export", "snav_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"export": "json"}
    ui_color = "#dce6f1"

    def __init__(
        self,
        *,
        export: Mapping[str, Any],
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        snav_conn_id: str = "snav_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export = export
        self.deferrable = deferrable
        self.snav_conn_id = snav_conn_id
        self._told_to_wait: set[int] = set()
        check_when_read(self)

    def check_arguments(self) -> None:
        """Check every argument that is not a template.

        :raises SalesNavigatorConfigurationError: an argument is wrong; the message says how to write it.
        """
        check_arguments(
            self,
            {
                "export": lambda value, _: Export.from_json(value),
                "deferrable": switch,
                "snav_conn_id": connection_id,
            },
        )

    def execute(self, context: Context) -> Any:
        """Wait on the worker or, if ``deferrable`` and a job is not completed, in the triggerer.

        :returns: the Export as JSON.
        :raises AirflowSensorTimeout: ``timeout`` (seconds) passed.
        :raises AirflowFailException: a job failed, or a retry would fail in the same way.
        :raises SalesNavigatorError: a retry may succeed.
        """
        with self._lenient(), explaining(before("Nothing was sent to LinkedIn.")):
            self.check_arguments()
            _check_submitted(Export.from_json(self.export))
        if not self.deferrable:
            return super().execute(context)
        deadline = now() + dt.timedelta(seconds=self.timeout)
        with self._lenient():
            found = self.poke(context)
        if found.is_done:
            return found.xcom_value
        return self._defer(Export.from_json(self.export), deadline)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll the jobs that have not ended. A job behind another one in LinkedIn's queue is not polled.

        :returns: done with the Export as JSON, or not done. For the errors see :meth:`execute`.
        """
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
        from airflow_provider_snav.hooks.token_warning import warn_before_expiry

        with explaining(_consequence), SalesNavigatorHook(self.snav_conn_id, stopping=self._stopping) as hook:
            export = Export.from_json(self.export)
            # In a deferrable sensor the trigger logs that a job waits for its turn.
            told_to_wait = set(export.job_ids) if self.deferrable else self._told_to_wait
            report = PollReport(export, now(), told_to_wait=told_to_wait)
            problems = poll_on_worker(look(report, now), export, hook, self.log)
            write_findings(report, self.log)
            if report.outcome is Outcome.POLL_FAILED:
                raise problems[-1]
            warn_before_expiry(hook, export, self.log, is_accepted=report.polls > 0)
            self.export = report.export.to_json()
            done = _is_done(report.export)
            return PokeReturnValue(is_done=done, xcom_value=self.export if done else None)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Continue after the trigger's event.

        :param event: a :class:`~airflow_provider_snav.exports.polling.PollReport` as JSON.
        :returns: and raises: see :meth:`execute`.
        """
        with explaining(_consequence):
            report = PollReport.from_event(event)
        self.log.info("The trigger waited: %s", report.post_mortem())
        write_findings(report, self.log)
        self.export = report.export.to_json()
        if report.outcome is not Outcome.TIMEOUT:
            with self._lenient():
                found = self.poke(context)
            if found.is_done:
                return found.xcom_value
        export = Export.from_json(self.export)
        # Without this check, a triggerer that fails each time could defer the sensor without end.
        if report.outcome is Outcome.TIMEOUT or now() >= report.deadline:
            timeout = dt.timedelta(seconds=self.timeout)
            error = timed_out(export, timeout, report.last_problem)
            raise AirflowSensorTimeout(str(error.because(f"{_TIMED_OUT} {see(error)}")))
        return self._defer(export, report.deadline)

    def _get_next_poke_interval(self, *args: Any) -> float:
        """Wait here and return 0: Airflow's ``time.sleep`` would not end after ``on_kill``."""
        seconds: float = super()._get_next_poke_interval(*args)
        if self.reschedule:
            return seconds
        with explaining(_consequence):
            self._stopping.sleep(seconds)
        return 0.0

    @contextmanager
    def _lenient(self) -> Iterator[None]:
        """Skip the task as a sensor that is not deferrable does.

        Airflow reads ``soft_fail`` of a deferrable sensor only when the sensor resumes.
        """
        try:
            yield
        except (AirflowFailException, SalesNavigatorError) as error:
            if self.never_fail or (self.soft_fail and isinstance(error, AirflowFailException)):
                raise AirflowSkipException(f"Skipping: {error}") from error
            raise

    def _defer(self, export: Export, deadline: dt.datetime) -> NoReturn:
        interval = max(self.poke_interval, _SHORTEST_INTERVAL)
        slowest = self.max_wait.total_seconds() if self.exponential_backoff and self.max_wait else interval
        trigger = trigger_for(
            export,
            max_running=NO_REMEDIES.max_running,
            schedule=PollSchedule(interval, max(interval, slowest)),
            deadline=deadline,
            snav_conn_id=self.snav_conn_id,
        )
        self.defer(trigger=trigger, method_name="execute_complete")


def _check_submitted(export: Export) -> None:
    if len(export.job_ids) < len(export.slices):
        raise SalesNavigatorConfigurationError(
            "Some jobs of this Export are not submitted, and a sensor does not submit jobs. Give it the"
            " output of an operator with wait_for_completion=False."
        )


def _is_done(export: Export) -> bool:
    try:
        return isinstance(next_step(export, NO_REMEDIES, now()).step, Done)
    except SalesNavigatorExportFailedError as error:
        # A retry would read the same job, whose status does not change.
        error.retryable = False
        raise


def _consequence(error: SalesNavigatorError) -> str:
    if isinstance(error, SalesNavigatorExportFailedError):
        return _ADVICE
    if isinstance(error, SalesNavigatorNotFoundError):
        return "LinkedIn no longer has the job. Clear the export task."
    if error.retryable:
        return "The jobs continue at LinkedIn. A retry waits for them again."
    return "The jobs continue at LinkedIn. Correct the cause, then clear the sensor. It then waits again."
