"""Every day, export the activities of one day and land them as a verified CSV file in the lake.

The DAG needs a connection ``snav_default`` and two Airflow variables: ``snav_contract``, the number of a
contract, and ``snav_lake``, a folder such as ``s3://aws_default@lake/snav``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import Asset, dag  # on Airflow 3 alone: from airflow.sdk
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)


@dag(
    dag_display_name="Sales Navigator: activity, every day",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    # Every run has a data interval of one day; with Airflow 3's plain "@daily" it would be empty.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
)
def snav_activity_daily():
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract="{{ var.value.snav_contract }}",
        export_type="activity",
        # LinkedIn refreshes its data once a day, so only the day before the run's interval is complete.
        lag=timedelta(days=1),
        deferrable=True,
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,
        destination="{{ var.value.snav_lake }}/activity/",
        # snav_activity_consumer runs after each landing.
        outlets=[Asset("snav_activity")],
    )


snav_activity_daily()
