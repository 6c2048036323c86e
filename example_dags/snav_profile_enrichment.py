"""Find the LinkedIn members behind the contacts of a CRM: read a CSV file of keys, write a JSONL file.

The DAG needs a connection ``snav_default`` with an OAuth client id and secret. It also needs the Airflow
variables ``snav_lake`` and ``snav_contact_keys``. The latter is the URI of a CSV with the columns
``instance_id``, ``partner`` and ``record_id``.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorProfileAssociationsOperator


@dag(
    dag_display_name="Sales Navigator: the members behind CRM contacts",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    schedule=None,
    default_args={"retries": 2},
)
def snav_profile_enrichment():
    SalesNavigatorProfileAssociationsOperator(
        task_id="enrich",
        keys="{{ var.value.snav_contact_keys }}",
        destination="{{ var.value.snav_lake }}/profiles/{{ run_id | replace(':', '') }}.jsonl",
    )


snav_profile_enrichment()
