"""The same daily export as in ``by_hand.py``, with this provider."""

from __future__ import annotations

import pendulum
from airflow.sdk import dag
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)


def export_activity(dag_id, schedule):
    @dag(
        dag_id=dag_id,
        schedule=schedule,
        start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
        catchup=False,
        default_args={"retries": 2},
    )
    def with_the_provider():
        export = SalesNavigatorAnalyticsExportOperator(
            task_id="export", contract="urn:li:contract:123456", deferrable=True
        )
        SalesNavigatorToObjectStorageOperator(
            task_id="land", export=export.output, destination="{{ var.value.snav_lake }}"
        )

    with_the_provider()


export_activity("with_the_provider", CronDataIntervalTimetable("@daily", timezone="UTC"))
export_activity("with_the_provider_plain_daily", "@daily")
export_activity("with_the_provider_half_yearly", CronDataIntervalTimetable("0 0 1 */6 *", timezone="UTC"))
