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
from airflow_provider_snav.tasks.failures import check_when_read, explaining
from airflow_provider_snav.tasks.waiting import poll_on_worker, trigger_for, write_findings

_ADVICE = (
    "The sensor applies no remedy and LinkedIn does not run a failed job again: clear the export task, and"
    " give its operator wait_for_completion=True to have failures remedied."
)
_TIMED_OUT = (
    "The jobs go on at LinkedIn. Airflow does not retry a sensor that timed out; clear it to wait on."
)
_SHORTEST_INTERVAL = 0.1


class SalesNavigatorExportSensor(Stoppable, BaseSensorOperator):
    """Waits until every job of an Export is completed.

    Takes the usual sensor arguments, with Airflow's defaults (``poke_interval``: a minute). Deferrable, it
    polls every ``poke_interval`` seconds, with ``exponential_backoff`` ever slower up to ``max_wait``.
    Returns the finished Export.

    :param export: the output of an export operator with ``wait_for_completion=False``.
    :param deferrable: wait in the triggerer, holding no worker.
    :param snav_conn_id: a connection of type ``snav``.
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
        """Refuse an argument that is wrong, unless it is a template yet.

        :raises SalesNavigatorConfigurationError: says how to write it.
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
        """Wait here, or in the triggerer if the jobs are not completed yet."""
        with self._lenient(), explaining(_consequence):
            self.check_arguments()
        if not self.deferrable:
            return super().execute(context)
        deadline = now() + dt.timedelta(seconds=self.timeout)
        with self._lenient():
            found = self.poke(context)
        if found.is_done:
            return found.xcom_value
        return self._defer(Export.from_json(self.export), deadline)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll the jobs that have not ended; those behind another in LinkedIn's queue wait for it."""
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
        from airflow_provider_snav.hooks.token_warning import warn_before_expiry

        with explaining(_consequence), SalesNavigatorHook(self.snav_conn_id, stopping=self._stopping) as hook:
            export = Export.from_json(self.export)
            if len(export.job_ids) < len(export.slices):
                raise SalesNavigatorConfigurationError(
                    "This Export has jobs yet to be submitted, which a sensor does not do: give it the"
                    " output of an operator with wait_for_completion=False."
                )
            warn_before_expiry(hook, export, self.log)
            # Deferred, the trigger writes that a job waits for its turn.
            told_to_wait = set(export.job_ids) if self.deferrable else self._told_to_wait
            report = PollReport(export, now(), told_to_wait=told_to_wait)
            problems = poll_on_worker(look(report, now), export, hook, self.log)
            write_findings(report, self.log)
            if report.outcome is Outcome.POLL_FAILED:
                raise problems[-1]
            self.export = report.export.to_json()
            done = _is_done(report.export)
            return PokeReturnValue(is_done=done, xcom_value=self.export if done else None)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Go on where the trigger stopped waiting."""
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
        # The triggerer may fail where the worker does not, each time anew.
        if report.outcome is Outcome.TIMEOUT or now() >= report.deadline:
            timeout = dt.timedelta(seconds=self.timeout)
            error = timed_out(export, timeout, report.last_problem)
            raise AirflowSensorTimeout(str(error.because(f"{_TIMED_OUT} {see(error)}")))
        return self._defer(export, report.deadline)

    def _get_next_poke_interval(self, *args: Any) -> float:
        """Wait here and leave Airflow no wait: its ``time.sleep`` goes on after ``on_kill``."""
        seconds: float = super()._get_next_poke_interval(*args)
        if self.reschedule:
            return seconds
        with explaining(_consequence):
            self._stopping.sleep(seconds)
        return 0.0

    @contextmanager
    def _lenient(self) -> Iterator[None]:
        """Skip where a sensor that is not deferred would: Airflow minds soft_fail only on resuming."""
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


def _is_done(export: Export) -> bool:
    try:
        return isinstance(next_step(export, NO_REMEDIES, now()).step, Done)
    except SalesNavigatorExportFailedError as error:
        # A retry would ask about the same job, which stays failed.
        error.retryable = False
        raise


def _consequence(error: SalesNavigatorError) -> str:
    if isinstance(error, SalesNavigatorExportFailedError):
        return _ADVICE
    if isinstance(error, SalesNavigatorNotFoundError):
        return "LinkedIn no longer knows the job: clear the export task."
    if error.retryable:
        return "The jobs go on at LinkedIn; a retry waits for them again."
    return "The jobs go on at LinkedIn. Correct the cause, then clear the task: it waits again."
