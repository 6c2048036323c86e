"""The task group gives each argument to the task that has it, and works mapped and unmapped."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from task_runs import context_of

from airflow_provider_snav._compat import Asset
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.task_groups import export_and_land

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

DYNAMICS = ("DYNAMICS", "362a3584-0d9b-44a1-a547-25de5cd95d08")


def test_each_task_gets_the_arguments_it_has() -> None:
    lake = Asset("snav_activity")
    with DAG("d", schedule=None) as dag:
        landed = export_and_land(
            contract=123456,
            export_type="seat",
            window=dt.timedelta(days=7),
            destination="/lake/seats",
            compression="gzip",
            snav_conn_id="snav_eu",
            outlets=[lake],
            export_arguments={"pool": "snav"},
            land_arguments={"retries": 5},
        )
    export, land = (dag.get_task(f"export_and_land.{name}") for name in ("export", "land"))
    assert (export.export_type, export.window, export.pool) == ("seat", dt.timedelta(days=7), "snav")
    assert (land.destination, land.compression, land.outlets, land.retries) == (
        "/lake/seats", "gzip", [lake], 5,
    )  # fmt: skip
    assert export.snav_conn_id == land.snav_conn_id == "snav_eu"
    assert land.upstream_task_ids == {"export_and_land.export"}
    assert landed.operator is land


def test_a_crm_instance_makes_it_a_crm_export_and_both_tasks_keep_the_watermark() -> None:
    stale = Asset("snav_stale")
    with DAG("d", schedule=None) as dag:
        export_and_land(
            crm_instance=DYNAMICS, export_start_at="2026-06-01", watermark=stale, destination="/lake/stale"
        )
    export, land = (dag.get_task(f"export_and_land.{name}") for name in ("export", "land"))
    assert isinstance(export, SalesNavigatorCrmValidationExportOperator)
    assert export.watermark == land.watermark == stale


def test_it_is_mapped_over_contracts() -> None:
    with DAG("d", schedule=None) as dag:
        mapped = export_and_land.partial(destination="/lake", window=dt.timedelta(days=1))
        mapped.expand(contract=[123456, 234567])
    export = dag.get_task("export_and_land.export")
    assert export.get_closest_mapped_task_group() is not None


def test_the_pair_exports_and_lands(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    end = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(days=1)
    with DAG("d", schedule=None) as dag:
        export_and_land(
            contract=123456,
            start_at=end - dt.timedelta(days=1),
            end_at=end,
            poll_interval=0.02,
            destination=str(tmp_path),
        )
    export, land = (dag.get_task(f"export_and_land.{name}") for name in ("export", "land"))
    land.export = export.execute(context_of(export))
    [landed] = land.execute(context_of(land))
    [job] = snav_sandbox.created_jobs
    assert landed["rows"] == snav_sandbox.files(job.job_id)[0].rows


WRONG: dict[str, dict[str, Any]] = {
    "export_and_land does not take pool": {"pool": "snav"},
    "export_and_land does not take wait_for_completion": {"wait_for_completion": False},
    "export_and_land does not take export_typ": {"export_typ": "seat"},
    "export_and_land does not take export": {"export": {}},
    "export_arguments does not take contract": {"export_arguments": {"contract": 234567}},
    "export_arguments does not take wait_for_completion": {
        "export_arguments": {"wait_for_completion": False}
    },
    "land_arguments does not take destination": {"land_arguments": {"destination": "/elsewhere"}},
}


@pytest.mark.parametrize(("message", "arguments"), WRONG.items(), ids=WRONG)
def test_an_argument_in_the_wrong_place_is_an_import_error(message: str, arguments: dict[str, Any]) -> None:
    with DAG("d", schedule=None), pytest.raises(SalesNavigatorConfigurationError, match=f"^{message}\\."):
        export_and_land(contract=123456, destination="/lake", **arguments)
