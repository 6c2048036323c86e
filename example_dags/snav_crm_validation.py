"""Every week, export the CRM records that went stale since the last landed export. Needs Airflow 3.3.

An asset keeps the watermark. Only the landing moves it, so an export that did not land is exported again. A
DAG scheduled on the asset runs after each landing. The DAG needs a connection ``snav_default`` with an OAuth
client id and secret. It also needs the Airflow variables ``snav_crm_instance`` (the URN of the CRM instance)
and ``snav_lake``.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Asset, dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

STALE_CONTACTS = Asset("snav_stale_contacts")


@dag(
    dag_display_name="Sales Navigator: CRM records gone stale",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 4, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
)
def snav_crm_validation():
    export = SalesNavigatorCrmValidationExportOperator(
        task_id="export",
        crm_instance="{{ var.value.snav_crm_instance }}",
        # The start of the first run. LinkedIn may start later; the log then has a warning.
        export_start_at="2026-01-01",
        watermark=STALE_CONTACTS,
        deferrable=True,
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,
        destination="{{ var.value.snav_lake }}/crm_validation/",
        manifest=True,
        watermark=STALE_CONTACTS,
    )


snav_crm_validation()
