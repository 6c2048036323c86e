"""The argument itself: an asset is wired to its task, anything else is one clear error and no call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowFailException
from task_runs import MAPPED, context_of, on_worker

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

CRM_INSTANCE = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
SAYS = r"watermark='s3://x' must be an Asset, such as Asset\('snav_crm'\)"


def exporting(**arguments: Any) -> SalesNavigatorCrmValidationExportOperator:
    return SalesNavigatorCrmValidationExportOperator(
        task_id="export", crm_instance=CRM_INSTANCE, export_start_at="2026-01-01", **arguments
    )


def landing(export: Any, folder: Path, **arguments: Any) -> SalesNavigatorToObjectStorageOperator:
    return SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=folder.as_uri(), **arguments
    )


def test_an_export_refuses_a_watermark_that_is_no_asset(snav_sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match=f"{SAYS}.*Nothing was submitted"):
        on_worker(lambda: exporting(watermark="s3://x", **MAPPED))
    assert snav_sandbox.requests == []


def test_a_landing_refuses_a_watermark_that_is_no_asset(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    snav_sandbox.settings.crm_instances = (CRM_INSTANCE,)
    export = on_worker(lambda: exporting(wait_for_completion=False))
    asked = len(snav_sandbox.requests)
    task = landing(export, tmp_path, watermark="s3://x", **MAPPED)
    with pytest.raises(AirflowFailException, match=f"{SAYS}.*Nothing was downloaded"):
        task.execute(context_of(task))
    assert len(snav_sandbox.requests) == asked
    assert list(tmp_path.iterdir()) == []


def test_it_is_not_wired_to_the_dag_as_if_it_were_one(tmp_path: Path) -> None:
    with DAG("d", schedule=None):
        assert exporting(watermark="s3://x", **MAPPED).inlets == []
        assert landing({}, tmp_path, watermark="s3://x", **MAPPED).outlets == []


def test_an_asset_the_author_has_wired_is_not_wired_again(tmp_path: Path) -> None:
    asset = Asset("snav_crm")
    with DAG("d", schedule=None):
        assert exporting(watermark=asset, inlets=[asset]).inlets == [asset]
        assert landing("{{ export }}", tmp_path, watermark=asset, outlets=[asset]).outlets == [asset]
