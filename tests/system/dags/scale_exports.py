"""What `make test-scale` runs: many contracts, exported and landed, or only waited for."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task_group

from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorListContractsOperator,
)
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

CONN_ID = "{{ params.snav_conn_id }}"
SETTINGS = {
    "is_paused_upon_creation": False,
    "default_args": {"retries": 2},
    "params": {
        "snav_conn_id": Param("snav_default", type="string"),
        "lake": Param("file:///nowhere", type="string", description="Files land below it"),
        "start_at": Param("2026-01-01", type="string"),
        "end_at": Param("2026-01-02", type="string"),
    },
}
ASKED = {
    "snav_conn_id": CONN_ID,
    "export_type": "seat",
    "start_at": "{{ params.start_at }}",
    "end_at": "{{ params.end_at }}",
    "deferrable": True,
}

with DAG("scale_landings", schedule=None, **SETTINGS) as landings:
    contracts = SalesNavigatorListContractsOperator(task_id="contracts", snav_conn_id=CONN_ID)

    @task_group
    def one_contract(contract: str) -> None:
        export = SalesNavigatorAnalyticsExportOperator(task_id="export", contract=contract, **ASKED)
        SalesNavigatorToObjectStorageOperator(
            task_id="land", export=export.output, destination="{{ params.lake }}", snav_conn_id=CONN_ID
        )

    one_contract.expand(contract=contracts.output)

with DAG("scale_waits", schedule=None, **SETTINGS) as waits:
    contracts = SalesNavigatorListContractsOperator(task_id="contracts", snav_conn_id=CONN_ID)
    SalesNavigatorAnalyticsExportOperator.partial(task_id="export", **ASKED).expand(contract=contracts.output)
