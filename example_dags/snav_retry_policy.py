"""Which errors to retry, and when: a policy over the provider's typed errors. Airflow 3.3 and later.

What a retry cannot mend (a refused token, a missing role, an illegal window) is failed by the provider itself
and never reaches a policy. Needs the connection and variables of ``snav_activity_daily``.
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
            reason="The retry goes on waiting for the same jobs",
        ),
        RetryRule(
            exception=_ERRORS + "SalesNavigatorRowCountError",
            action=RetryAction.FAIL,
            reason="Somebody should look at the file before it is asked for again",
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
        # Outcomes may come long after their activity: two days are read again every day.
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
