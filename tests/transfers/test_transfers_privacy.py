"""Dropped and hashed columns: no personal value leaves the process, in whatever way."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import given, settings
from hypothesis import strategies as st
from landing_stores import Store
from store_landings import die_on_disk, started
from store_servers import Moment
from task_runs import completed_export, context_of

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.landing.blocks import Blocks
from airflow_provider_snav.landing.compress import compressor
from airflow_provider_snav.landing.privacy import ColumnRules, RedactedCsv
from airflow_provider_snav.sandbox.faults import Answer
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

pytestmark = pytest.mark.usefixtures("impatient")

KEY = "a key of thirty-two letters, here"
RULES: dict[str, Any] = {
    "drop_columns": ["sandbox_name"],
    "hash_columns": ["sandbox_email"],
    "hash_key_conn_id": "lake_key",
}


@pytest.fixture(autouse=True)
def _arranged(snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    snav_sandbox.settings.speed = 1e9
    monkeypatch.setenv("AIRFLOW_CONN_LAKE_KEY", json.dumps({"conn_type": "generic", "password": KEY}))
    monkeypatch.setenv("AIRFLOW_CONN_NO_KEY", json.dumps({"conn_type": "generic"}))


def task_of(export: Any, destination: str, **arguments: Any) -> SalesNavigatorToObjectStorageOperator:
    return SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=destination, **arguments
    )


def land(export: Any, store: Store, **arguments: Any) -> list[dict[str, Any]]:
    task = task_of(export, str(store.folder), **arguments)
    landed: list[dict[str, Any]] = task.execute(context_of(task))
    return landed


def hashed(value: str) -> str:
    return hmac.new(KEY.encode(), value.encode(), hashlib.sha256).hexdigest()


def seats(sandbox: Sandbox) -> tuple[bytes, list[dict[str, str]]]:
    [content] = [file.read() for job in sandbox.jobs for file in sandbox.files(job)]
    return content, list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def redacted(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [
        {
            name: hashed(text) if name == "sandbox_email" else text
            for name, text in row.items()
            if name != "sandbox_name"
        }
        for row in rows
    ]


def rows_of(content: bytes, format_: str) -> list[dict[str, Any]]:
    if format_ == "csv":
        return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def personal(rows: list[dict[str, str]]) -> set[str]:
    return {row[column] for row in rows for column in ("sandbox_email", "sandbox_name")}


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_what_must_not_land_leaves_the_process_in_no_way(
    snav_sandbox: Sandbox,
    store: Store,
    format_: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    lake = Asset("lake")
    task = task_of(
        completed_export(export_type="seat"),
        str(store.folder),
        manifest=True,
        outlets=[lake],
        format=format_,
        **RULES,
    )
    context = context_of(task)
    [landed] = task.execute(context)
    content, rows = seats(snav_sandbox)
    event = context["outlet_events"][lake].extra
    name = landed["uri"].rpartition("/")[2]
    stored = store.files()[name]

    assert landed["columns"] == [column for column in rows[0] if column != "sandbox_name"]
    assert (landed["dropped_columns"], landed["hashed_columns"]) == (["sandbox_name"], ["sandbox_email"])
    assert landed["source_sha256"] == hashlib.sha256(content).hexdigest()
    assert landed["sha256"] == hashlib.sha256(stored).hexdigest() != landed["source_sha256"]
    assert event["files"] == [landed]
    assert rows_of(stored, format_) == redacted(rows)

    lineage = repr(task.get_openlineage_facets_on_complete(None))
    said = (
        "".join(capsys.readouterr()) + caplog.text + json.dumps([landed, event], ensure_ascii=False) + lineage
    )
    everything = b"".join(store.files().values()) + said.encode()
    secret = personal(rows) | {KEY}
    assert len(secret) == 13
    assert not [value for value in secret if value.encode() in everything]


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_staged_file_of_a_killed_landing_holds_no_personal_value(
    snav_sandbox: Sandbox, tmp_path: Path, format_: str
) -> None:
    export = completed_export(export_type="seat")
    arguments = {"export": export, "destination": tmp_path.as_uri(), "filename": "mine", "format": format_}
    process = started(partial(die_on_disk, "mine", Moment.PUBLISH), **arguments, **RULES)
    process.join()
    [staged] = tmp_path.iterdir()
    _, rows = seats(snav_sandbox)
    assert rows_of(staged.read_bytes(), format_) == redacted(rows)
    assert not [value for value in personal(rows) if value.encode() in staged.read_bytes()]


def test_the_same_value_has_the_same_hash_in_every_run_and_an_empty_one_stays_empty(
    snav_sandbox: Sandbox, local_store: Store
) -> None:
    export = completed_export()
    content = b"activityId,seatId,memberIdentityKey\n1,1001,AE1\n2,1002,\n3,1001,AE1\n"
    for _ in range(2):
        snav_sandbox.fault("download", Answer(200, content, {"Content-Type": "text/csv"}))
        land(
            export,
            local_store,
            verify=False,
            hash_columns=["seatId", "memberIdentityKey"],
            hash_key_conn_id="lake_key",
        )
        [stored] = local_store.files().values()
        assert stored.decode() == (
            "activityId,seatId,memberIdentityKey\n"
            f"1,{hashed('1001')},{hashed('AE1')}\n2,{hashed('1002')},\n3,{hashed('1001')},{hashed('AE1')}\n"
        )


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "text for a list": ({"drop_columns": "seatId"}, "drop_columns='seatId' must be a list of column names"),
    "a name twice": ({"drop_columns": ["a", "a"]}, "each of them once"),
    "dropped and hashed": (RULES | {"drop_columns": ["sandbox_email"]}, "both name sandbox_email"),
    "no key named": ({"hash_columns": ["seatId"]}, "hash_columns needs hash_key_conn_id"),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_rule_is_refused_when_the_dag_file_is_read(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match=says):
        task_of("{{ export }}", "file:///tmp/lake", **arguments)


EVERYTHING = ["activityId", "activityType", "createdAt", "seatId", "memberIdentityKey"]
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such connection": (RULES | {"hash_key_conn_id": "nowhere"}, "there is no such connection"),
    "no key in it": (RULES | {"hash_key_conn_id": "no_key"}, "has no password, which is the key"),
    "every documented column": ({"drop_columns": EVERYTHING}, "names every column: nothing would be left"),
}


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
def test_what_the_worker_knows_is_refused_before_any_call(
    snav_sandbox: Sandbox, local_store: Store, arguments: dict[str, Any], says: str
) -> None:
    export = completed_export()
    calls = len(snav_sandbox.requests)
    with pytest.raises((AirflowFailException, SalesNavigatorConfigurationError), match=says):
        land(export, local_store, **arguments)
    assert len(snav_sandbox.requests) == calls


def test_a_column_the_file_lacks_is_an_error_that_names_those_it_has_unless_it_may_be_missing(
    snav_sandbox: Sandbox, local_store: Store
) -> None:
    export = completed_export()
    says = r"names 'seatID', .* The file has activityId, .*memberIdentityKey\. Did you mean 'seatId'\?"
    with pytest.raises(AirflowFailException, match=says):
        land(export, local_store, drop_columns=["seatID"])
    assert (local_store.files(), local_store.leftovers()) == ({}, [])
    [landed] = land(export, local_store, drop_columns=["seatID", "seatId"], ignore_missing_columns=True)
    assert landed["dropped_columns"] == ["seatId"]


PERSONAL = b"2026-11-28,1001,Ada,ada@example.com\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"day,seat,name,mail\n" + PERSONAL.replace(b",ada@", b"\n"),
            "Line 2 has 3 fields where the header has 4",
        ),
        (PERSONAL * 2, "does not look like a header, so it is not shown"),
        (PERSONAL.replace(b"1001", b"\xff") * 2, "does not look like a header, so it is not shown"),
        (b"name,name\nAda,ada@example.com\n", "names every column of the file"),
    ],
    ids=["too few fields", "no header", "no header, no UTF-8", "all dropped"],
)
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_an_error_about_a_file_shows_no_value_of_it(
    snav_sandbox: Sandbox, local_store: Store, content: bytes, says: str, format_: str
) -> None:
    export = completed_export(export_type="seat")
    snav_sandbox.fault("download", Answer(200, content, {"Content-Type": "text/csv"}))
    with pytest.raises(AirflowFailException, match=says) as failure:
        land(
            export,
            local_store,
            verify=False,
            drop_columns=["name"],
            format=format_,
            ignore_missing_columns=True,
        )
    assert "Ada" not in str(failure.value)
    assert "ada@" not in str(failure.value)
    assert (local_store.files(), local_store.leftovers()) == ({}, [])


TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(st.text(st.sampled_from('a",\r\n é\ufeff'), max_size=6), min_size=width, max_size=width),
        max_size=6,
    )
)


@settings(max_examples=150, deadline=None)
@given(rows=TABLES, line_end=st.sampled_from(["\n", "\r\n", "\r"]), quoting=st.sampled_from([0, 1]))
def test_records_keep_every_other_value_whatever_is_in_it(
    rows: list[list[str]], line_end: str, quoting: Any
) -> None:
    if not rows:
        return
    text = io.StringIO(newline="")
    # Python's writer before 3.13 leaves a CR or LF in a field unquoted if its own line end is the other one.
    writer = csv.writer(
        text, lineterminator=line_end, quoting=quoting if line_end == "\r\n" else csv.QUOTE_ALL
    )
    writer.writerows(rows)
    columns = [f"c{place}" for place in range(len(rows[0]))]
    redaction = RedactedCsv(
        ColumnRules(drop=["c0"] if len(columns) > 1 else ["c9"], ignore_missing=True),
        columns,
        compressor(None),
    )
    blocks = Blocks()
    pieces = [*blocks.feed(text.getvalue().encode()), blocks.finish()]
    content = b"".join([*(redaction.feed(piece, 1) for piece in pieces), redaction.finish({})]).decode()
    kept = slice(1, None) if len(columns) > 1 else slice(None)
    expected = [record for record in csv.reader(io.StringIO(text.getvalue(), newline="")) if record]
    assert [*csv.reader(io.StringIO(content, newline=""))] == [
        columns[kept],
        *(row[kept] for row in expected),
    ]
    assert redaction.rows == len(expected)
