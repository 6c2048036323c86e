"""The SQL of the docs runs on files that really landed, or at least is SQL of its warehouse."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from doc_snippets import SQL, Snippet
from sqlglot import exp
from task_runs import START, UNTIL, completed_export, context_of, on_worker

from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

DAY = dt.timedelta(days=1)


def dialect(block: Snippet) -> str:
    return block.code.partition("\n")[0].removeprefix("-- ").lower()


def land(export: Any, folder: Path, **arguments: Any) -> list[dict[str, Any]]:
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=folder.as_uri(), **arguments
    )
    landed: list[dict[str, Any]] = task.execute(context_of(task))
    return landed


@pytest.fixture
def lake(snav_sandbox: Sandbox, tmp_path: Path) -> Path:
    """Two days of activity, the second one twice; outcomes of both, CRM records, CSV of two kinds."""
    snav_sandbox.settings.speed = 1e9
    lake = tmp_path / "lake"
    for start_at, end_at in ((START - DAY, START), (START - DAY, UNTIL)):
        for kind in ("activity", "activity_outcome"):
            export = completed_export(export_type=kind, start_at=start_at, end_at=end_at)
            land(export, lake / kind, format="parquet")
    for start_at, kind in ((START - DAY, "gzip"), (START, "zstd")):
        export = completed_export(start_at=start_at, end_at=start_at + DAY)
        land(export, lake / "activity_csv", compression=kind)
    crm = SalesNavigatorCrmValidationExportOperator(
        task_id="export",
        crm_instance=snav_sandbox.settings.crm_instances[0],
        export_start_at=START,
        poll_interval=0.02,
    )
    export = on_worker(lambda: crm)
    for name in ("first", "second"):
        land(export, lake / "crm_validation", format="parquet", filename=name)
    return lake


def test_duckdb_reads_the_landed_folders(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lake.parent)
    database = duckdb.connect()
    for block in SQL:
        if dialect(block) == "duckdb":
            database.execute(block.code)

    def count(query: str) -> int:
        [[rows]] = database.execute(f"SELECT count(*) FROM {query}").fetchall()  # noqa: S608
        return int(rows)

    per_day = 6 * 24
    assert count("activity") == count("activity_csv") == 2 * per_day
    assert count("(SELECT DISTINCT activityId FROM activity)") == 2 * per_day
    equal = "SELECT activityId, epoch(createdAt), seatId, memberIdentityKey FROM"
    assert count(f"({equal} activity EXCEPT {equal} activity_csv)") == 0
    assert count("activity_outcome") == 2 * per_day
    matched = count("activity_with_outcome WHERE outcomeType IS NOT NULL")
    # The outcomes of the first three hours belong to activities of the day before.
    assert matched == count("activity_outcome SEMI JOIN activity USING (activityId)") < 2 * per_day
    assert count("activity_with_outcome") >= 2 * per_day
    files = "read_parquet('lake/crm_validation/*.parquet')"
    assert count("stale_record") == count(files) / 2 > 0


@pytest.mark.parametrize("block", SQL, ids=lambda block: block.place)
def test_every_statement_is_one_its_warehouse_parses(
    block: Snippet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    statements = sqlglot.parse(block.code, dialect=dialect(block))
    assert statements
    # A Command is what the parser does not understand.
    assert not [each for each in statements if each is None or each.find(exp.Command)]
    assert not caplog.records
