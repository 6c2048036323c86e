"""The operators: both kinds of export, the list of contracts, and profile associations."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar
from uuid import uuid4

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import Asset, BaseOperator, Context, ObjectStoragePath
from airflow_provider_snav._deprecations import renamed
from airflow_provider_snav._stopping import Stoppable
from airflow_provider_snav.api.associations import RESULT_COLUMNS, AssociationResult, result_row
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorDestinationError,
    SalesNavigatorError,
)
from airflow_provider_snav.api.models import (
    DOCUMENTED_CRM_INSTANCE,
    ExportType,
    contract_urn,
    crm_instance_urn,
    is_documented_crm_instance,
)
from airflow_provider_snav.api.schemas import Column
from airflow_provider_snav.api.windows import Span, Time, Window, check_window, to_text
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.interval import given_interval, optional_time, run_interval, windows_of
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.operators.base import ExportOperator
from airflow_provider_snav.storage.paths import check_object, storage_path
from airflow_provider_snav.storage.staging import open_stage
from airflow_provider_snav.tasks.arguments import (
    Checks,
    Duration,
    check_arguments,
    connection_id,
    duration,
    is_template,
    optional,
    switch,
)
from airflow_provider_snav.tasks.association_keys import check_keys, few_enough, keys_of
from airflow_provider_snav.tasks.failures import before, check_when_read, explaining
from airflow_provider_snav.tasks.lineage import ASSOCIATIONS, add_asset_event_extra, facets, stored_data
from airflow_provider_snav.tasks.task_state import confirm_try
from airflow_provider_snav.tasks.watermark import Watermark, check_watermark


class SalesNavigatorAnalyticsExportOperator(ExportOperator):
    """Exports activity, seat or activity outcome data of one contract. Returns the Export as JSON.

    The first of these rules that applies gives the interval to export:

    1. From ``start_at`` up to ``end_at``, if they are given.
    2. The time of length ``window`` before the end of the run's data interval. A run without a data interval
       uses its logical date. A run without a logical date, such as one that an asset starts, uses
       ``dag_run.run_after``.
    3. The run's data interval.

    ``lag`` moves the interval of rules 2 and 3 back. Without an interval the task fails before any call. The
    interval is half-open, like Airflow's: its end is not exported. An interval longer than 90 days becomes
    several jobs, cut at midnight UTC. An end in the future is refused. An end less than 24 hours ago logs a
    warning, because LinkedIn refreshes its data once a day. Documents:
    https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs
    https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/exporting-user-activity

    All other arguments and the errors are those of
    :class:`~airflow_provider_snav.operators.base.ExportOperator`.

    :param contract: the URN or the number of the contract.
    :param export_type: ``activity``, ``seat`` or ``activity_outcome``.
    :param start_at: an aware datetime, epoch milliseconds or ISO 8601 text (UTC when it has no offset).
    :param end_at: the same types. The moment itself is not exported.
    :param window: a timedelta, or a ``pendulum.duration`` or ``relativedelta`` of calendar months or years.
        A window of whole days, weeks, months or years begins and ends at midnight UTC. Leave ``window`` out
        if the schedule's time zone has summer time and its runs start near midnight UTC. Otherwise, twice a
        year, two runs export the same day or no run exports a day.
    :param lag: seconds, or a timedelta. One day avoids most failures by a data delay.
    """

    template_fields: Sequence[str] = ("contract", "export_type", "start_at", "end_at", "snav_conn_id")
    ui_color = "#dce6f1"
    argument_checks: ClassVar[Checks] = ExportOperator.argument_checks | {
        "contract": lambda value, _: contract_urn(value),
        "export_type": lambda value, _: ExportType.parse(value),
        "start_at": optional_time,
        "end_at": optional_time,
        "window": optional(lambda value, _: check_window(value)),
        "lag": duration,
    }

    def __init__(
        self,
        *,
        contract: str | int,
        export_type: str = "activity",
        start_at: Time | None = None,
        end_at: Time | None = None,
        window: Span | None = None,
        lag: Duration = dt.timedelta(0),
        timeout: Duration = dt.timedelta(hours=24),
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, **kwargs)
        self.contract = contract
        self.export_type = export_type
        self.start_at = start_at
        self.end_at = end_at
        self.window = window
        self.lag = lag
        check_when_read(self)

    def check_arguments(self) -> None:
        super().check_arguments()
        if not is_template((self.start_at, self.end_at)):
            self._given_windows()

    def build_export(self, context: Context) -> Export:
        windows = self._given_windows()
        if not windows:
            interval = run_interval(context, self.window, duration(self.lag, "lag"))
            windows = windows_of(interval, self.export_type)
        return Export(
            kind=ExportKind.ANALYTICS,
            subject=contract_urn(self.contract),
            export_type=ExportType.parse(self.export_type),
            slices=tuple(map(Slice.of, windows)),
        )

    def _given_windows(self) -> tuple[Window, ...]:
        interval = given_interval(self.start_at, self.end_at)
        return windows_of(interval, self.export_type) if interval else ()

    def check_submittable(self, asked: Export) -> None:
        windows = [part.window for part in asked.slices if part.window]
        windows[0].check_age(now())
        windows[-1].check_end(now())
        if windows[-1].ends_before_refresh(now()):
            self.log.warning(
                "The window ends at %s, less than 24 hours ago. LinkedIn refreshes its data once a day, so"
                " rows may be missing. Choose an earlier end, for example with lag=timedelta(days=1).",
                to_text(windows[-1].end_at),
            )


class SalesNavigatorCrmValidationExportOperator(ExportOperator):
    """Exports the CRM records whose company does not match LinkedIn's. Returns the Export as JSON.

    An export covers the time from ``export_start_at`` to the moment at which LinkedIn creates the job. With a
    ``watermark``, a run begins where the last *landed* export of the CRM instance ended. Give the same asset
    to the transfer, which moves the watermark after it publishes the files. Document:
    https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation

    All other arguments and the errors are those of
    :class:`~airflow_provider_snav.operators.base.ExportOperator`.

    :param crm_instance: the full URN, or ``(key, value)`` such as ``("DYNAMICS", organisation_guid)``.
    :param export_start_at: an aware datetime, epoch milliseconds or ISO 8601 text (UTC when it has no
        offset). With a watermark, only the first run of the CRM instance uses it.
    :param watermark: an asset whose state holds the watermark. Needs Airflow 3.3 or later.
    """

    template_fields: Sequence[str] = ("crm_instance", "export_start_at", "snav_conn_id")
    ui_color = "#dce6f1"
    argument_checks: ClassVar[Checks] = ExportOperator.argument_checks | {
        "crm_instance": lambda value, _: crm_instance_urn(value),
        "export_start_at": optional_time,
        "watermark": optional(check_watermark),
    }

    def __init__(
        self,
        *,
        crm_instance: str | Sequence[str],
        export_start_at: Time | None = None,
        watermark: Asset | None = None,
        timeout: Duration = dt.timedelta(hours=24),
        poll_interval: Duration = 60,
        max_poll_interval: Duration = 600,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            timeout=timeout, poll_interval=poll_interval, max_poll_interval=max_poll_interval, **kwargs
        )
        self.crm_instance = crm_instance
        self.export_start_at = export_start_at
        self.watermark = watermark
        if isinstance(watermark, Asset) and watermark not in self.inlets:
            self.inlets = [*self.inlets, watermark]
        check_when_read(self)

    def check_arguments(self) -> None:
        super().check_arguments()
        if not is_template(self.export_start_at) and self._first_start() is None and self.watermark is None:
            raise SalesNavigatorConfigurationError(
                "There is no time to export from: give export_start_at, or a watermark (an Asset) and"
                " export_start_at for its first run."
            )

    def build_export(self, context: Context) -> Export:
        urn = crm_instance_urn(self.crm_instance)
        if not is_documented_crm_instance(urn):
            self.log.warning("%s is not of the documented form %s", urn, DOCUMENTED_CRM_INSTANCE)
        start = self._first_start()
        if self.watermark is not None:
            start = Watermark(context, self.watermark, urn).start(start)
        assert start
        return Export(ExportKind.CRM_VALIDATION, urn, None, (Slice(start),))

    def _first_start(self) -> dt.datetime | None:
        return optional_time(self.export_start_at, "export_start_at")


class SalesNavigatorListContractsOperator(Stoppable, BaseOperator):
    """Lists the contracts of the member to whom the token belongs.

    Returns the URNs in LinkedIn's order, for ``.expand(contract=...)``. The XCom key ``contracts`` holds the
    full records. Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-contracts

    :param reporting_access_only: if True, list only the contracts whose data the member may export.
    :param snav_conn_id: the id of a connection of type ``snav``.
    """

    template_fields: Sequence[str] = ("snav_conn_id",)
    ui_color = "#dce6f1"

    def __init__(
        self, *, reporting_access_only: bool = True, snav_conn_id: str = "snav_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.reporting_access_only = reporting_access_only
        self.snav_conn_id = snav_conn_id
        check_when_read(self)

    def check_arguments(self) -> None:
        check_arguments(self, {"reporting_access_only": switch, "snav_conn_id": connection_id})

    def execute(self, context: Context) -> list[str]:
        """Read all pages of the list. The errors are those of :meth:`ExportOperator.execute`."""
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

        with explaining(before("Nothing was sent to LinkedIn.")):
            self.check_arguments()
        with explaining(_read_only), SalesNavigatorHook(self.snav_conn_id, stopping=self._stopping) as hook:
            contracts = hook.list_contracts(self.reporting_access_only)
        self.log.info(
            "Found %s contracts: %s", len(contracts), ", ".join(each.contract for each in contracts)
        )
        context["ti"].xcom_push(key="contracts", value=[asdict(contract) for contract in contracts])
        return [contract.contract for contract in contracts]


class SalesNavigatorProfileAssociationsOperator(Stoppable, BaseOperator):
    """Finds the LinkedIn members with whom LinkedIn matched the records of a CRM.

    The task reads the keys and writes the results in batches, in constant memory. A result is a JSON object
    with ``instance_id``, ``partner``, ``record_id``, ``member``, ``profile``, ``profile_photo`` and
    ``error``. Without a match the member's fields are null. ``error`` is null unless LinkedIn failed on this
    key alone. With ``destination`` the task returns ``uri``, ``keys``, ``matched`` and ``failed``, and adds
    the same to the ``extra`` of each asset event of ``outlets``. Without it the task returns the results in
    the order of the keys. Document:
    https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_profiles/sales-navigator-profile-associations

    :param keys: a list of mappings with ``instance_id``, ``partner`` and ``record_id``, or the URI of a CSV
        or JSONL file with these columns.
    :param destination: the URI of the JSONL file to write. The file appears when it is complete. Without it
        at most 1,000 keys are allowed.
    :param output: deprecated, as is ``output_uri``: an older name of ``destination``.
    :param snav_conn_id: the id of a connection of type ``snav``.
    """

    template_fields: Sequence[str] = ("keys", "destination", "snav_conn_id")
    ui_color = "#dce6f1"
    argument_checks: ClassVar[Checks] = {
        "keys": check_keys,
        "destination": optional(lambda value, _: check_object(value, "destination")),
        "snav_conn_id": connection_id,
    }

    def __init__(
        self,
        *,
        keys: str | Sequence[Mapping[str, str]],
        destination: str | None = None,
        output: str | None = None,
        output_uri: str | None = None,
        snav_conn_id: str = "snav_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.keys = keys
        self.destination = renamed("destination", destination, output=output, output_uri=output_uri)
        self.snav_conn_id = snav_conn_id
        self._written: tuple[ObjectStoragePath, int] | None = None
        self._may_be_written = False
        check_when_read(self)

    def check_arguments(self) -> None:
        check_arguments(self, self.argument_checks)
        if self.destination is None and isinstance(self.keys, list | tuple):
            few_enough(self.keys)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        # Airflow finds the upstream tasks of a mapped task only in arguments with a template field's name.
        if older := {name: kwargs.pop(name) for name in ("output", "output_uri") if name in kwargs}:
            kwargs["destination"] = renamed("destination", kwargs.get("destination"), **older)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Read and write all results. The errors are those of :meth:`ExportOperator.execute`."""
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

        with explaining(before("Nothing was sent to LinkedIn.")):
            self.check_arguments()
            output = self._output()
            keys = keys_of(self.keys)
            if output is None:
                keys = few_enough(keys)
            hook = SalesNavigatorHook(self.snav_conn_id, stopping=self._stopping)
        with explaining(self._fate), hook, self._stopping.stopped_by_interrupt():
            found = hook.iter_profile_associations(keys)
            if output is not None:
                written = self._write(found, output, context)
                self._written = output, written["keys"]
                add_asset_event_extra(self.outlets, written, context)
                return written
            results = list(found)
            self._tell_failures(sum(result.error is not None for result in results))
            return list(map(result_row, results))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the datasets that this task read and wrote, for OpenLineage."""
        inputs, outputs = [ASSOCIATIONS], []
        if isinstance(self.keys, str):
            inputs.append(stored_data(storage_path(self.keys, "keys", written=False)))
        if self._written:
            path, rows = self._written
            outputs.append(stored_data(path, columns=list(map(Column, RESULT_COLUMNS)), rows=rows, files=1))
        return facets(inputs, outputs)

    def _output(self) -> ObjectStoragePath | None:
        if self.destination is None:
            return None
        check_object(self.destination, "destination")
        return storage_path(self.destination, "destination")

    def _write(
        self, results: Iterable[AssociationResult], path: ObjectStoragePath, context: Context
    ) -> dict[str, Any]:
        counts = {"keys": 0, "matched": 0, "failed": 0}
        stage = open_stage(path, attempt=uuid4().hex[:8])
        try:
            for result in results:
                counts["keys"] += 1
                counts["matched"] += result.association is not None
                counts["failed"] += result.error is not None
                stage.write(json.dumps(result_row(result)).encode() + b"\n")
            stage.seal()
            confirm_try(context, self._stopping)
            try:
                stage.publish()
            except SalesNavigatorDestinationError:
                self._may_be_written = stage.may_be_revealed()
                raise
        finally:
            stage.discard()
        self._tell_failures(counts["failed"])
        self.log.info("Wrote %s: %s", stage.uri, counts)
        return {"uri": stage.uri, **counts}

    def _fate(self, error: SalesNavigatorError) -> str:
        # The message cannot say that nothing was sent: the task sends requests while it reads a file of keys.
        left = "The file may be written" if self._may_be_written else "Nothing was written or returned"
        retry = " A retry sends the requests again." if error.retryable else ""
        return f"{left}, and nothing was changed at LinkedIn.{retry}"

    def _tell_failures(self, failed: int) -> None:
        if failed:
            self.log.warning("LinkedIn failed on %s keys. The error of each key says why.", failed)


def _read_only(error: SalesNavigatorError) -> str:
    return "Nothing was changed at LinkedIn; a retry reads it again." if error.retryable else ""
