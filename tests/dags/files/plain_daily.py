"""DAGs as Airflow 3 has them by default: an empty data interval, or none."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

START = pendulum.datetime(2026, 1, 1, tz="UTC")


@dag(schedule="@daily", start_date=START, catchup=False)
def plain_daily():
    SalesNavigatorAnalyticsExportOperator(task_id="export", contract=123456, deferrable=True)


@dag(schedule="@daily", start_date=START, catchup=False)
def plain_daily_window():
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export", contract=123456, window=timedelta(days=1), deferrable=True
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export.output, destination="{{ var.value.snav_lake }}/plain/"
    )


@dag(schedule=None)
def no_logical_date():
    SalesNavigatorAnalyticsExportOperator(task_id="export", contract=123456, deferrable=True)


plain_daily()
plain_daily_window()
no_logical_date()
