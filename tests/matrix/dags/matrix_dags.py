"""What the matrix runs besides the example DAGs: exports that hold their worker, and one that is too slow."""

from __future__ import annotations

from datetime import timedelta

from airflow import __version__
from airflow.providers.common.compat.sdk import Asset, dag

from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
)
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

TIMES = {"start_at": "{{ params.start_at }}", "end_at": "{{ params.end_at }}"}
PARAMS = {"start_at": "", "end_at": ""}
# The `airflow dags test` of Airflow 3.0 refuses every task with an asset.
OUTLETS = [] if __version__.startswith("3.0.") else [Asset("matrix_landed")]


@dag(schedule=None, params=PARAMS)
def matrix_on_a_worker():
    activity = SalesNavigatorAnalyticsExportOperator(
        task_id="activity", contract="{{ var.value.snav_contract }}", deferrable=False, **TIMES
    )
    crm = SalesNavigatorCrmValidationExportOperator(
        task_id="crm",
        crm_instance="{{ var.value.snav_crm_instance }}",
        export_start_at="{{ params.start_at }}",
        deferrable=False,
    )
    for export in (activity, crm):
        SalesNavigatorToObjectStorageOperator(
            task_id=f"land_{export.task_id}",
            export=export.output,
            destination="{{ var.value.snav_lake }}/on_a_worker/",
            compression="gzip",
            manifest=True,
            outlets=OUTLETS,
        )


@dag(schedule=None, params=PARAMS)
def matrix_too_slow():
    SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract="{{ var.value.snav_contract }}",
        timeout=timedelta(seconds=1),
        deferrable=True,
        **TIMES,
    )


matrix_on_a_worker()
matrix_too_slow()
