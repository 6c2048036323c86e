"""One of everything that could show a secret: a long wait, a download, a failure, both token families."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
)
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)


@dag(schedule=None)
def all_secrets():
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export", contract=123456, window=timedelta(days=1), deferrable=True
    )
    land = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export.output, destination="{{ var.value.snav_lake }}/secrets/", manifest=True
    )
    crm = SalesNavigatorCrmValidationExportOperator(
        task_id="crm",
        crm_instance="{{ var.value.snav_crm_instance }}",
        export_start_at="{{ macros.datetime.utcnow().date() - macros.timedelta(days=2) }}",
        deferrable=True,
    )
    fails = SalesNavigatorToObjectStorageOperator(
        task_id="fails", export=export.output, destination="file:///proc/no/such/folder"
    )
    land >> crm >> fails


all_secrets()
