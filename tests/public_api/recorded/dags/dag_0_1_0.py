"""Every operator of 0.1.0 with every argument it had; a later version must take them all."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset

from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
    SalesNavigatorListContractsOperator,
    SalesNavigatorProfileAssociationsOperator,
)
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

WATERMARK = Asset("snav_stale_contacts")
WAITING = {
    "timeout": timedelta(hours=6),
    "wait_for_completion": True,
    "deferrable": True,
    "durable": True,
    "poll_interval": 15,
    "max_poll_interval": 300,
    "split_on_failure": True,
    "max_resubmissions": 3,
    "resubmit_delay": timedelta(hours=1),
    "snav_conn_id": "snav_default",
}

with DAG("everything_of_0_1_0", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
    SalesNavigatorListContractsOperator(
        task_id="contracts", reporting_access_only=True, snav_conn_id="snav_default"
    )
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract="urn:li:contract:123456",
        export_type="activity",
        start_at=None,
        end_at=None,
        window=timedelta(days=1),
        lag=timedelta(days=1),
        **WAITING,
    )
    given = SalesNavigatorAnalyticsExportOperator(
        task_id="given",
        contract=123456,
        start_at="{{ data_interval_start }}",
        end_at="{{ data_interval_end }}",
    )
    crm = SalesNavigatorCrmValidationExportOperator(
        task_id="crm",
        crm_instance=("DYNAMICS", "362a3584-0d9b-44a1-a547-25de5cd95d08"),
        export_start_at=None,
        watermark=WATERMARK,
        **WAITING,
    )
    sensor = SalesNavigatorExportSensor(
        task_id="wait", export=given.output, deferrable=True, snav_conn_id="snav_default"
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,
        destination="file:///lake/",
        filename="activity-{{ ds }}",
        if_exists="fail",
        compression="gzip",
        verify=True,
        manifest=True,
        max_parallel=4,
        object_storage_conn_id=None,
        snav_conn_id="snav_default",
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land_crm", export=crm.output, destination="file:///lake/", watermark=WATERMARK
    )
    for name in ("output", "output_uri"):
        SalesNavigatorProfileAssociationsOperator(
            task_id=name, keys="file:///lake/keys.csv", snav_conn_id="snav_default", **{name: "/lake/a.jsonl"}
        )
