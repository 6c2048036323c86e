"""Every Monday, export the seat statistics of the last Saturday.

Seat exports have a daily summary of every seat holder, so one day is a snapshot. They contain names, so
decide who may read the folder. The DAG needs the connection and variables of ``snav_activity_daily``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)


@dag(
    dag_display_name="Sales Navigator: seats, every week",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    schedule="0 12 * * MON",
    start_date=pendulum.datetime(2026, 1, 5, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
)
def snav_seats_weekly():
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract="{{ var.value.snav_contract }}",
        export_type="seat",
        # The last whole day (UTC) that ended at least 24 hours before the run.
        window=timedelta(days=1),
        lag=timedelta(days=1),
        deferrable=True,
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,
        destination="{{ var.value.snav_lake }}/seat/",
    )


snav_seats_weekly()
