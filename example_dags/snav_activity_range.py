"""Export the activities of any range of days, which you choose when you trigger the DAG.

The range may start at most two years ago. If it is longer than 90 days, the task submits several jobs. The
DAG needs the connection and variables of ``snav_activity_daily``.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)


@dag(
    dag_display_name="Sales Navigator: activity of the days you name",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    schedule=None,
    default_args={"retries": 2},
    params={
        "start_at": Param(type="string", format="date", description="First day (UTC), such as 2026-01-01"),
        "end_at": Param(type="string", format="date", description="The day after the last"),
    },
)
def snav_activity_range():
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract="{{ var.value.snav_contract }}",
        export_type="activity",
        start_at="{{ params.start_at }}",
        end_at="{{ params.end_at }}",
        deferrable=True,
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,
        destination="{{ var.value.snav_lake }}/activity/",
        manifest=True,
    )


snav_activity_range()
