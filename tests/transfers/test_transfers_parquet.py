"""An export as Parquet: the same rows with types, whole or not there at all."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from typing import Any

import duckdb
import polars
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException
from landing_stores import Store
from task_runs import CONTRACT, completed_export, context_of

from airflow_provider_snav import __version__
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.schemas import SCHEMAS
from airflow_provider_snav.sandbox.faults import Answer
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(autouse=True)
def quick(snav_sandbox: Sandbox) -> None:
    snav_sandbox.settings.speed = 1e9


def land(export: Any, store: Store, **arguments: Any) -> list[dict[str, Any]]:
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=str(store.folder), **{"format": "parquet"} | arguments
    )
    landed: list[dict[str, Any]] = task.execute(context_of(task))
    return landed


def exported(sandbox: Sandbox) -> bytes:
    [content] = [file.read() for job in sandbox.jobs for file in sandbox.files(job)]
    return content


def rows_of(content: bytes) -> list[dict[str, str | None]]:
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return [{name: value or None for name, value in row.items()} for row in rows]


def test_a_parquet_file_says_what_it_was_made_from(snav_sandbox: Sandbox, store: Store) -> None:
    [landed] = land(completed_export(), store, manifest=True)
    content = exported(snav_sandbox)
    name = landed["uri"].rpartition("/")[2]
    stored = store.files()[name]
    assert name.endswith("Z.parquet")
    assert json.loads(store.files()[name.replace(".parquet", ".manifest.json")])["files"] == [landed]
    assert (landed["bytes"], landed["sha256"]) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert landed["source_sha256"] == hashlib.sha256(content).hexdigest()
    assert landed["columns"] == [column.name for column in SCHEMAS["activity"].columns]
    metadata = pq.read_metadata(io.BytesIO(stored)).metadata
    assert {key: value for key, value in metadata.items() if key.startswith(b"snav.")} == {
        b"snav.kind": b"analytics",
        b"snav.export_type": b"activity",
        b"snav.contract": CONTRACT.encode(),
        b"snav.start_at": landed["start_at"].encode(),
        b"snav.end_at": landed["end_at"].encode(),
        b"snav.job_id": str(landed["job_id"]).encode(),
        b"snav.source_sha256": landed["source_sha256"].encode(),
        b"snav.version": __version__.encode(),
    }


@pytest.mark.parametrize("export_type", ["activity", "activity_outcome", "seat"])
def test_all_text_is_what_the_csv_has(snav_sandbox: Sandbox, local_store: Store, export_type: str) -> None:
    [landed] = land(completed_export(export_type=export_type), local_store, typed=False)
    [stored] = local_store.files().values()
    rows = rows_of(exported(snav_sandbox))
    assert pq.read_table(io.BytesIO(stored)).to_pylist() == rows
    assert landed["rows"] == len(rows)
    assert landed["untyped_columns"] == landed["columns"]


def test_pyarrow_duckdb_and_polars_agree_on_types_rows_and_values(
    snav_sandbox: Sandbox, local_store: Store
) -> None:
    [landed] = land(completed_export(), local_store)
    path = landed["uri"].removeprefix("file://")
    table = pq.read_table(path)
    relation = duckdb.connect().read_parquet(path)
    frame = polars.read_parquet(path)
    assert list(map(str, table.schema.types)) == [
        "string",
        "string",
        "timestamp[ms, tz=UTC]",
        "int64",
        "string",
    ]
    assert list(map(str, relation.types)) == [
        "VARCHAR",
        "VARCHAR",
        "TIMESTAMP WITH TIME ZONE",
        "BIGINT",
        "VARCHAR",
    ]
    text = polars.String()
    assert frame.dtypes == [text, text, polars.Datetime("ms", "UTC"), polars.Int64(), text]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert len(rows) == landed["rows"] == len(rows_of(exported(snav_sandbox)))
    assert rows == frame.rows()
    assert relation.project("activityId, epoch_ms(createdAt), seatId, memberIdentityKey").fetchall() == [
        (row[0], int(row[2].timestamp()) * 1000, *row[3:]) for row in rows
    ]


def test_a_landing_in_another_format_leaves_only_its_own_files(store: Store) -> None:
    export = completed_export()
    for arguments in ({"format": "csv", "compression": "gzip"}, {}, {"format": "csv"}, {}):
        [landed] = land(export, store, **arguments)
        assert list(store.files()) == [landed["uri"].rpartition("/")[2]]


HEADER = b"activityId,activityType,createdAt,seatId,memberIdentityKey\n"
ROW = b"0a,SAVED_LEAD,11-28-2026 23:59:59,1001,AE1\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            HEADER + ROW * 3 + ROW.replace(b"11-28", b"secret-28"),
            "Line 5, column 'createdAt': the value is not a time",
        ),
        (
            b"\n" + HEADER + ROW.replace(b"1001", b"secret"),
            "Line 3, column 'seatId': the value is not a whole number",
        ),
        (HEADER + b'"two\nlines",secret\n' + ROW, "Line 2 has 2 fields where the header has 5"),
        (HEADER.replace(b"seatId", b"createdAt") + ROW, "column 'createdAt' more than once"),
        (HEADER + b"\xffsecret" + ROW, "Line 2, column 'activityId': the value is not text in UTF-8"),
    ],
    ids=["time", "number", "fields", "columns", "encoding"],
)
def test_a_file_that_does_not_fit_fails_with_its_place_and_is_not_retried(
    snav_sandbox: Sandbox,
    local_store: Store,
    content: bytes,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export = completed_export()
    snav_sandbox.fault("download", Answer(200, content, {"Content-Type": "text/csv"}))
    with pytest.raises(AirflowFailException, match=says) as failure:
        land(export, local_store, verify=False)
    assert "Nothing was published" in str(failure.value)
    assert "secret" not in str(failure.value) + "".join(capsys.readouterr())
    assert (local_store.files(), local_store.leftovers()) == ({}, [])


@pytest.mark.parametrize("arguments", [{}, {"format": "csv", "drop_columns": ["seatId"]}], ids=str)
def test_a_file_that_ends_in_the_middle_of_a_record_is_downloaded_again(
    snav_sandbox: Sandbox, local_store: Store, arguments: dict[str, Any]
) -> None:
    export = completed_export()
    whole = exported(snav_sandbox)
    snav_sandbox.fault("download", Answer(200, whole[: whole.rfind(b",")], {"Content-Type": "text/csv"}))
    [landed] = land(export, local_store, **arguments)
    assert landed["rows"] == len(rows_of(whole))


def test_a_column_that_is_new_is_text_and_listed(snav_sandbox: Sandbox, local_store: Store) -> None:
    export = completed_export()
    content = HEADER.strip() + b",score\n" + ROW.strip() + b",007\n"
    snav_sandbox.fault("download", Answer(200, content, {"Content-Type": "text/csv"}))
    [landed] = land(export, local_store, verify=False)
    [stored] = local_store.files().values()
    assert landed["untyped_columns"] == ["score"]
    assert pq.read_table(io.BytesIO(stored))["score"].to_pylist() == ["007"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"format": "orc"}, r'format is "csv" or "parquet"'),
        ({"compression": "gzip"}, "Leave it out: Parquet files are compressed inside"),
        ({"typed": "no"}, "typed='no' must be True or False"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_dag_file_is_read(
    local_store: Store, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match=says):
        land("{{ export }}", local_store, **arguments)


def test_without_pyarrow_the_dag_file_is_refused_and_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, local_store: Store
) -> None:
    # As find_spec answers where there is none.
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SalesNavigatorConfigurationError, match=r"airflow-provider-snav\[parquet\]"):
        land("{{ export }}", local_store)
