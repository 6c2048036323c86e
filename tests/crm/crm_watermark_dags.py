"""CRM validation exports with a watermark, as DAG authors write them; see ``test_crm_watermark.py``."""

from __future__ import annotations

import datetime as dt

from airflow.sdk import Asset, dag

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

AS_TOLD = "{{ params.export_start_at }}"
# As in our example DAG: another time each time it is rendered.
MOVING = "{{ (macros.datetime.utcnow() - macros.timedelta(days=1)).isoformat() }}"
INSTANCES = [
    "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)",
    ("DYNAMICS", "another-organisation"),
]
DAG_ARGUMENTS = {
    "start_date": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "params": {"export_start_at": None, "lake": ""},
}
QUICK = {"poll_interval": 0.02, "max_poll_interval": 0.05}


def one_instance(name: str, *, export_start_at: str = AS_TOLD, **export_arguments):
    asset = Asset(name)

    @dag(dag_id=name, schedule=None, **DAG_ARGUMENTS)
    def plain():
        export = SalesNavigatorCrmValidationExportOperator(
            task_id="export",
            crm_instance=INSTANCES[0],
            export_start_at=export_start_at,
            watermark=asset,
            retry_delay=dt.timedelta(0),
            **QUICK,
            **export_arguments,
        )
        SalesNavigatorToObjectStorageOperator(
            task_id="land", export=export.output, destination="{{ params.lake }}", watermark=asset
        )

    plain()


def many_instances(name: str, *, inlets: bool, outlets: bool):
    asset = Asset(name)

    @dag(dag_id=name, schedule=None, **DAG_ARGUMENTS)
    def mapped():
        export = SalesNavigatorCrmValidationExportOperator.partial(
            task_id="export",
            export_start_at=AS_TOLD,
            watermark=asset,
            **QUICK,
            **({"inlets": [asset]} if inlets else {}),
        ).expand(crm_instance=INSTANCES)
        SalesNavigatorToObjectStorageOperator.partial(
            task_id="land",
            destination="{{ params.lake }}",
            watermark=asset,
            **({"outlets": [asset]} if outlets else {}),
        ).expand(export=export.output)

    mapped()


one_instance("crm_on_a_worker")
one_instance("crm_deferred", deferrable=True)
one_instance("crm_landing_fails")
one_instance("crm_retried", export_start_at=MOVING, retries=1)
one_instance("crm_cleared", export_start_at=MOVING)
one_instance("crm_rewound")
one_instance("crm_backfilled")
one_instance("crm_repeating_start")
one_instance("crm_nothing_landed")
many_instances("crm_mapped", inlets=True, outlets=True)
many_instances("crm_mapped_without_inlets", inlets=False, outlets=True)
many_instances("crm_mapped_without_outlets", inlets=True, outlets=False)
