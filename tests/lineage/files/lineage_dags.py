"""Tasks that read and write; see ``test_lineage_events.py``."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Asset, dag

from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
    SalesNavigatorProfileAssociationsOperator,
)
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

LAKE = "{{ var.value.snav_lake }}/lineage"
ONE_DAY = {"window": timedelta(days=1)}


def _own_words(context):
    context["outlet_events"][Asset("activity")].extra = {"rows": "many", "owner": "sales"}


@dag(schedule=None)
def lineage():
    export = SalesNavigatorAnalyticsExportOperator(
        task_id="export", contract=123456, deferrable=True, **ONE_DAY
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,
        destination=f"{LAKE}/activity/",
        outlets=[Asset("activity"), Asset("lake")],
        pre_execute=_own_words,
    )
    seats = SalesNavigatorAnalyticsExportOperator.partial(
        task_id="seats", export_type="seat", **ONE_DAY
    ).expand(contract=[123456, 234567])
    SalesNavigatorToObjectStorageOperator.partial(
        task_id="land_seats",
        destination=f"{LAKE}/seats/",
        compression="gzip",
        outlets=[Asset("seats"), Asset.ref(name="lake")],
    ).expand(export=seats.output)

    stale = Asset("stale")
    validation = SalesNavigatorCrmValidationExportOperator(
        task_id="validation",
        crm_instance="{{ var.value.snav_crm_instance }}",
        export_start_at="{{ macros.ds_add(ds, -1) }}",
        watermark=stale,
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="land_stale", export=validation.output, destination=f"{LAKE}/stale/", watermark=stale
    )

    SalesNavigatorProfileAssociationsOperator(
        task_id="enrich",
        keys="{{ var.value.snav_contact_keys }}",
        destination=f"{LAKE}/members.jsonl",
        outlets=[Asset("members")],
    )
    SalesNavigatorToObjectStorageOperator(
        task_id="fails",
        export=export.output,
        destination=f"{LAKE}/forbidden/",
        filename="{{ 'no/folder' }}",
        outlets=[Asset("forbidden")],
    )


lineage()
