"""This DAG fails on purpose, to show the last message of a failed task.

The member has no reporting access to this contract, so LinkedIn refuses the export. Read the end of the log
of the task `export`. It says what happened, what became of the export, what a retry does, and where to read
more.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator


@dag(
    dag_display_name="Sales Navigator: a failure, on purpose",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator", "fails"],
    schedule=None,
)
def snav_fails_on_purpose():
    SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract="urn:li:contract:345678",
        window=timedelta(days=1),
        lag=timedelta(days=1),
        deferrable=True,
    )


snav_fails_on_purpose()
