"""Every day, export the activities of every contract that the member may export.

Each contract has its own mapped task group that exports and lands it, so if one contract fails, the others
continue. The DAG needs a connection ``snav_default`` and the Airflow variable ``snav_lake``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task_group
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorListContractsOperator,
)
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)


@dag(
    dag_display_name="Sales Navigator: activity of every contract",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
)
def snav_all_contracts():
    contracts = SalesNavigatorListContractsOperator(task_id="contracts")

    @task_group
    def one_contract(contract: str):
        export = SalesNavigatorAnalyticsExportOperator(
            task_id="export",
            contract=contract,
            lag=timedelta(days=1),
            deferrable=True,
            map_index_template="{{ task.contract }}",
            # LinkedIn limits the calls of a day and does not publish the limit, so export few at a time.
            max_active_tis_per_dagrun=8,
        )
        SalesNavigatorToObjectStorageOperator(
            task_id="land",
            export=export.output,
            destination="{{ var.value.snav_lake }}/activity/",
            map_index_template="{{ task.export['contract'] }}",
        )

    one_contract.expand(contract=contracts.output)


snav_all_contracts()
