"""A retry policy chooses, by the provider's error classes, what to retry and when. Needs Airflow 3.3.

Some errors cannot be fixed by a retry: a refused token, a missing role, an illegal window. The provider
itself fails the task then, and the policy is not used. The DAG needs the connection and variables of
``snav_activity_daily``.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

_ERRORS = "airflow_provider_snav.api.errors."

POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=_ERRORS + "SalesNavigatorRateLimitError",
            action=RetryAction.RETRY,
            retry_delay=timedelta(hours=6),
            reason="LinkedIn's call budgets reset at midnight UTC",
        ),
        RetryRule(
            exception=_ERRORS + "SalesNavigatorExportTimeoutError",
            action=RetryAction.RETRY,
            retry_delay=timedelta(minutes=1),
            reason="The retry continues to wait for the same jobs",
        ),
        RetryRule(
            exception=_ERRORS + "SalesNavigatorRowCountError",
            action=RetryAction.FAIL,
            reason="A person should look at the file before it is exported again",
        ),
    ]
)


@dag(
    dag_display_name="Sales Navigator: activity outcomes, with a retry policy",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 4, "retry_delay": timedelta(minutes=10), "retry_policy": POLICY},
)
def snav_retry_policy():
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract="{{ var.value.snav_contract }}",
        export_type="activity_outcome",
        # Outcomes may come long after their activity, so every run exports two days.
        window=timedelta(days=2),
        lag=timedelta(days=1),
        deferrable=True,
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,
        destination="{{ var.value.snav_lake }}/activity_outcome/",
        compression="gzip",
    )


snav_retry_policy()
