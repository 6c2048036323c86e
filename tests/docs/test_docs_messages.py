"""The last message of a failed task says what a retry will do, and ends with the section to read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from task_runs import completed_export, deferred, exporting, on_worker

from airflow_provider_snav._guide import guide
from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorListContractsOperator,
    SalesNavigatorProfileAssociationsOperator,
)
from airflow_provider_snav.sandbox.faults import WrongRowCount, http_error
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

SECOND = dt.timedelta(seconds=1)


def refused(sandbox: Sandbox, _: Path) -> Any:
    sandbox.fault("create", http_error(403))
    return exporting()


def failing(sandbox: Sandbox, _: Path) -> Any:
    sandbox.script_statuses("FAILED_DUE_TO_DATA_DELAY")
    return exporting(max_resubmissions=0)


def slow(sandbox: Sandbox, _: Path) -> Any:
    sandbox.script_statuses("PROCESSING")
    return exporting(timeout=SECOND)


def slow_elsewhere(sandbox: Sandbox, _: Path) -> Any:
    sandbox.script_statuses("PROCESSING")
    export = on_worker(exporting(wait_for_completion=False))
    arguments = {"export": export, "poke_interval": 0.1, "timeout": 1}
    return lambda: SalesNavigatorExportSensor(task_id="wait", deferrable=True, **arguments)


def miscounted(sandbox: Sandbox, folder: Path) -> Any:
    export = completed_export()
    sandbox.fault("status", WrongRowCount(by=-1))
    return lambda: SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=folder.as_uri()
    )


def unlisted(sandbox: Sandbox, _: Path) -> Any:
    sandbox.revoke_token(sandbox.access_token)
    return lambda: SalesNavigatorListContractsOperator(task_id="contracts")


def keyless(_: Sandbox, folder: Path) -> Any:
    keys = (folder / "keys.csv").as_uri()
    return lambda: SalesNavigatorProfileAssociationsOperator(task_id="enrich", keys=keys)


@pytest.mark.parametrize(
    ("arrange", "run", "section"),
    [
        (refused, on_worker, "permission"),
        (refused, deferred, "permission"),
        (failing, on_worker, "data-delay"),
        (failing, deferred, "data-delay"),
        (slow, on_worker, "export-timeout"),
        (slow, deferred, "export-timeout"),
        (slow_elsewhere, deferred, "export-timeout"),
        (miscounted, on_worker, "row-count"),
        (unlisted, on_worker, "authentication"),
        (keyless, on_worker, "configuration"),
    ],
)
def test_a_failure_ends_with_its_section(
    snav_sandbox: Sandbox,
    tmp_path: Path,
    arrange: Callable[[Sandbox, Path], Any],
    run: Callable[..., Any],
    section: str,
) -> None:
    task = arrange(snav_sandbox, tmp_path)
    with pytest.raises(Exception, match=r"docs/errors\.md") as failure:
        run(task)
    message = str(failure.value)
    command = f"python -m airflow_provider_snav explain {section}"
    assert message.endswith(f". (see {guide()}#{section}; {command})")
    assert message.count("docs/errors.md") == 1
    assert message.count("does not retry") + message.lower().count("a retry") == 1
