"""What the crash tests run: exports as users write them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow.sdk import DAG, Param, conf

from airflow_provider_snav.landing.publish import Publication
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorAnalyticsExportOperator
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

PARAMS = {
    "snav_conn_id": Param("snav_default", type="string"),
    "folder": Param("/nowhere", type="string", description="Files land in landed/ below it"),
    "lake": Param("", type="string", description="Files land here instead"),
    "start_at": Param("2026-01-01", type="string"),
    "end_at": Param("2026-01-02", type="string"),
    "halt_at": Param(
        "", type="string", description="Method at whose beginning the export waits to be killed, once"
    ),
}
ASKED = {
    "snav_conn_id": "{{ params.snav_conn_id }}",
    "contract": "123456",
    "export_type": "seat",
}


class HaltingExportOperator(SalesNavigatorAnalyticsExportOperator):
    """Reaches a point between two calls and stays there, so that a test can kill its worker just then."""

    template_fields = (*SalesNavigatorAnalyticsExportOperator.template_fields, "halt_at", "folder")

    def __init__(self, *, halt_at: str, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.halt_at = halt_at
        self.folder = folder

    def defer(self, **kwargs: Any) -> Any:
        self._halt("defer")
        super().defer(**kwargs)

    def execute_complete(self, *args: Any, **kwargs: Any) -> Any:
        self._halt("execute_complete")
        return super().execute_complete(*args, **kwargs)

    def _halt(self, method: str) -> None:
        halted = Path(self.folder, f"halted-at-{method}")
        if self.halt_at == method and not halted.exists():
            halted.touch()
            time.sleep(600)


class HaltingTransfer(SalesNavigatorToObjectStorageOperator):
    """Waits once, when every file is sealed and none is published, until a test lets it go on."""

    template_fields = (*SalesNavigatorToObjectStorageOperator.template_fields, "halt_at", "folder")

    def __init__(self, *, halt_at: str, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.halt_at = halt_at
        self.folder = folder

    def execute(self, context: Any) -> Any:
        publish = Publication.publish

        def halting(publication: Publication, *arguments: Any) -> None:
            halted = Path(self.folder, "halted-at-publish")
            if self.halt_at == "publish" and not halted.exists():
                halted.touch()
                while not Path(self.folder, "go-on").exists():
                    time.sleep(0.1)
            publish(publication, *arguments)

        with patch.object(Publication, "publish", halting):
            return super().execute(context)


def export_and_land(dag_id: str, *, deferrable: bool, executor: str | None = None) -> DAG:
    with DAG(
        dag_id,
        schedule=None,
        params=PARAMS,
        is_paused_upon_creation=False,
        default_args={"retries": 2, "executor": executor},
    ) as dag:
        export = HaltingExportOperator(
            task_id="export",
            **ASKED,
            start_at="{{ params.start_at }}",
            end_at="{{ params.end_at }}",
            deferrable=deferrable,
            halt_at="{{ params.halt_at }}",
            folder="{{ params.folder }}",
        )
        HaltingTransfer(
            task_id="land",
            halt_at="{{ params.halt_at }}",
            folder="{{ params.folder }}",
            export=export.output,
            destination="{{ params.lake or 'file://' ~ params.folder ~ '/landed/' }}",
            snav_conn_id="{{ params.snav_conn_id }}",
        )
    return dag


deferred = export_and_land("export_deferred", deferrable=True)
on_worker = export_and_land("export_on_worker", deferrable=False)
if "pods:" in conf.get("core", "executor"):
    in_pods = export_and_land("export_in_pods", deferrable=True, executor="pods")

# Paused: its runs have task instances, which a test defers by itself and nobody resumes.
with DAG("export_crowd", schedule=None, params=PARAMS) as crowd:
    SalesNavigatorAnalyticsExportOperator.partial(
        task_id="export",
        snav_conn_id="{{ params.snav_conn_id }}",
        start_at="{{ params.start_at }}",
        end_at="{{ params.end_at }}",
        deferrable=True,
    ).expand(contract=["123456"] * 1000)
