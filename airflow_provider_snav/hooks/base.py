"""The base class of the two hooks."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from typing import TypeVar

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import BaseHook
from airflow_provider_snav.api import calls
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.api.messages import Call, Reply, Step
from airflow_provider_snav.api.models import (
    DOCUMENTED_CRM_INSTANCE,
    Contract,
    ExportJob,
    ExportType,
    crm_instance_urn,
    is_documented_crm_instance,
)
from airflow_provider_snav.api.oauth import exchange_telling_expiry
from airflow_provider_snav.api.windows import Time, Window, parse_time

T = TypeVar("T")


class SalesNavigatorBaseHook(BaseHook):
    """The connection's type, and the calls that both hooks make in the same way."""

    conn_name_attr = "snav_conn_id"
    default_conn_name = "snav_default"
    conn_type = "snav"
    hook_name = "LinkedIn Sales Navigator"
    retry_policy = RetryPolicy()

    def __init__(self, snav_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.snav_conn_id = snav_conn_id

    def _exchange(self, call: Call[T], settings: ConnectionSettings) -> Generator[Step, Reply, T]:
        return exchange_telling_expiry(call, settings, self.retry_policy, now(), random.random)

    def _contracts(
        self, settings: ConnectionSettings, reporting_access_only: bool
    ) -> Generator[Step, Reply, list[Contract]]:
        contracts, total = yield from calls.list_all_contracts(lambda call: self._exchange(call, settings))
        if total > len(contracts):
            self.log.warning(
                "LinkedIn states a total of %s contracts, but its list has %s.", total, len(contracts)
            )
        return [each for each in contracts if each.has_reporting_access or not reporting_access_only]

    @staticmethod
    def _create_analytics_export(
        export_type: str, contract: str | int, start_at: Time, end_at: Time
    ) -> Call[ExportJob]:
        window = Window(parse_time(start_at, "start_at"), parse_time(end_at, "end_at"))
        window.check(now())
        return calls.create_analytics_export(
            ExportType.parse(export_type), contract, window.start_at, window.end_at
        )

    def _create_crm_validation_export(
        self, crm_instance: str | Sequence[str], export_start_at: Time | None
    ) -> Call[ExportJob]:
        start_at = None if export_start_at is None else parse_time(export_start_at, "export_start_at")
        if not is_documented_crm_instance(crm_instance_urn(crm_instance)):
            self.log.warning("%s is not of the documented form %s", crm_instance, DOCUMENTED_CRM_INSTANCE)
        return calls.create_crm_validation_export(crm_instance, start_at)
