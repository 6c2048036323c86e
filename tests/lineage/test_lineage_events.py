"""What OpenLineage's own listener sends, and what asset events hold, after a run in a real Airflow."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from real_airflow import RealAirflow, Run

from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav.api.schemas import SCHEMAS
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.landing.plan import LandedFile
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.tasks.lineage import MAX_ASSET_FILES, landed_data, landing_extra, stored_data

DAG_FILE = Path(__file__).parent / "files" / "lineage_dags.py"
DOCS = Path(__file__).parents[2] / "docs"
LINKEDIN = "linkedin://salesnavigator"
TWO_DAYS_AGO = datetime.now(UTC) - timedelta(days=2)
KEYS = 5


@dataclass(frozen=True)
class Told:
    """What others heard of a run."""

    run: Run
    lake: Path
    keys: Path
    crm_instance: str
    events: list[dict[str, Any]]
    assets: list[tuple[str, dict[str, Any]]]
    secrets: set[str]

    def of(self, task_id: str, kind: str = "COMPLETE") -> list[dict[str, Any]]:
        """The OpenLineage events of a task, mapped ones by their input."""
        name = f"lineage.{task_id}"
        found = [e for e in self.events if (e["job"]["name"], e["eventType"]) == (name, kind)]
        return sorted(found, key=lambda event: json.dumps(event["inputs"]))

    def extras(self, asset: str) -> list[dict[str, Any]]:
        return [extra for name, extra in self.assets if name == asset]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("lineage")
    sent, lake, keys = folder / "events.jsonl", folder / "lake", folder / "keys.csv"
    rows = "".join(f"organisation.crm.dynamics.com,MS,record-{n}\n" for n in range(KEYS))
    keys.write_text(f"instance_id,partner,record_id\n{rows}")
    transport = {"type": "file", "log_file_path": str(sent), "append": True}
    airflow = RealAirflow([DAG_FILE], AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport))
    with Sandbox(speed=12_000, rows_per_part=300) as sandbox:
        [instance, *_] = sandbox.settings.crm_instances
        environment = {
            "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(),
            "AIRFLOW_VAR_SNAV_CRM_INSTANCE": instance,
            "AIRFLOW_VAR_SNAV_LAKE": lake.as_uri(),
            "AIRFLOW_VAR_SNAV_CONTACT_KEYS": keys.as_uri(),
        }
        try:
            run = airflow.run("lineage", TWO_DAYS_AGO.isoformat(), environment, {})
            with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
                assets = database.execute(
                    "SELECT name, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id"
                ).fetchall()
        finally:
            airflow.end()
        yield Told(
            run=run,
            lake=lake,
            keys=keys,
            crm_instance=instance,
            events=[json.loads(line) for line in sent.read_text().splitlines()],
            assets=[(name, json.loads(extra)) for name, extra in assets],
            secrets={sandbox.client_secret, "x-li-ambry-ep="}
            | {
                header.removeprefix("Bearer ")
                for request in sandbox.requests
                for header in request.headers.get("authorization", ())
            },
        )


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


def statistics(dataset: dict[str, Any]) -> tuple[int, int | None, int]:
    """Rows, bytes, files."""
    facet = dataset["outputFacets"]["outputStatistics"]
    return facet["rowCount"], facet.get("size"), facet["fileCount"]


def totals(files: list[dict[str, Any]]) -> tuple[int, int, int]:
    return sum(file["rows"] for file in files), sum(file["bytes"] for file in files), len(files)


def columns(dataset: dict[str, Any]) -> list[str]:
    return [field["name"] for field in dataset["facets"]["schema"]["fields"]]


def test_a_landing_reads_the_contracts_data_and_writes_the_folder(told: Told) -> None:
    [event] = told.of("land")
    files = told.run.xcom("land")
    assert names(event["inputs"]) == [(LINKEDIN, "urn:li:contract:123456/activity")]
    [output] = event["outputs"]
    assert names([output]) == [("file", f"{told.lake}/lineage/activity")]
    assert columns(output) == files[0]["columns"] != []
    documented = [
        {"name": each.name, "type": each.type, "description": each.description}
        for each in SCHEMAS["activity"].columns
    ]
    fields = output["facets"]["schema"]["fields"]
    assert [{key: field[key] for key in documented[0]} for field in fields] == documented
    assert statistics(output) == totals(files)


def test_each_mapped_landing_has_its_own_source_and_all_have_the_one_folder(told: Told) -> None:
    events = told.of("land_seats")
    assert [names(event["inputs"]) for event in events] == [
        [(LINKEDIN, "urn:li:contract:123456/seat")],
        [(LINKEDIN, "urn:li:contract:234567/seat")],
    ]
    assert [statistics(event["outputs"][0]) for event in events] == [
        totals(files) for files in told.run.mapped_xcoms("land_seats")
    ]
    assert {name for event in events for name in names(event["outputs"])} == {
        ("file", f"{told.lake}/lineage/seats")
    }


def test_several_files_are_one_dataset(told: Told) -> None:
    files = told.run.xcom("land_stale")
    [event] = told.of("land_stale")
    [output] = event["outputs"]
    assert names(event["inputs"]) == [(LINKEDIN, f"{told.crm_instance}/crm_validation")]
    assert statistics(output) == totals(files)
    assert len(files) > 1


def test_an_association_reads_the_keys_and_writes_the_object(told: Told) -> None:
    [event] = told.of("enrich")
    [output] = event["outputs"]
    assert names(event["inputs"]) == [(LINKEDIN, "profile_associations"), ("file", str(told.keys))]
    assert names([output]) == [("file", f"{told.lake}/lineage/members.jsonl")]
    assert statistics(output) == (KEYS, None, 1)
    [line, *_] = (told.lake / "lineage" / "members.jsonl").read_text().splitlines()
    assert columns(output) == list(json.loads(line))


def test_a_failed_landing_names_its_source_and_no_output(told: Told) -> None:
    [event] = told.of("fails", "FAIL")
    assert names(event["inputs"]) == [(LINKEDIN, "urn:li:contract:123456/activity")]
    assert event["outputs"] == []
    assert told.extras("forbidden") == []


@pytest.mark.parametrize("task_id", ["export", "validation"])
def test_an_export_moves_no_data(told: Told, task_id: str) -> None:
    [event] = told.of(task_id)
    assert (event["inputs"], event["outputs"]) == ([], [])


def test_nothing_is_claimed_before_it_happened(told: Told) -> None:
    started = [event for event in told.events if event["eventType"] == "START"]
    assert {event["job"]["name"] for event in started} >= {"lineage.land", "lineage.enrich"}
    assert all((event["inputs"], event["outputs"]) == ([], []) for event in started)


def test_every_outlet_of_a_landing_knows_rows_window_and_files(told: Told) -> None:
    files = told.run.xcom("land")
    [extra] = [extra for extra in told.extras("lake") if extra["export_type"] == "activity"]
    assert extra == {
        "kind": "analytics",
        "export_type": "activity",
        "contract": "urn:li:contract:123456",
        "folder": f"{told.lake.as_uri()}/lineage/activity",
        "start_at": files[0]["start_at"],
        "end_at": files[-1]["end_at"],
        "rows": files[0]["rows"],
        "bytes": files[0]["bytes"],
        "file_count": 1,
        "files": files,
    }


def test_what_the_author_put_into_an_event_stays(told: Told) -> None:
    [extra] = told.extras("activity")
    assert (extra["rows"], extra["owner"]) == ("many", "sales")
    assert extra["files"] == told.run.xcom("land")


def test_each_mapped_landing_has_an_event_of_its_own(told: Told) -> None:
    landed = [extra["files"] for extra in told.extras("seats")]
    assert sorted(landed, key=str) == sorted(told.run.mapped_xcoms("land_seats"), key=str)


def test_an_outlet_that_only_refers_to_an_asset_is_told_too(told: Told) -> None:
    seats = [extra for extra in told.extras("lake") if extra["export_type"] == "seat"]
    assert seats == told.extras("seats") != []


def test_the_asset_of_a_watermark_is_an_outlet_like_any_other(told: Told) -> None:
    [extra] = told.extras("stale")
    assert (extra["kind"], extra["crm_instance"]) == ("crm_validation", told.crm_instance)
    assert (extra["rows"], extra["bytes"], extra["file_count"]) == totals(told.run.xcom("land_stale"))


def test_an_association_tells_what_it_returned(told: Told) -> None:
    assert told.extras("members") == [told.run.xcom("enrich")]


def test_no_event_holds_a_secret(told: Told) -> None:
    everything = json.dumps([told.events, told.assets])
    # The member's token, a minted one, the client's secret, and what download URLs are known by.
    assert len(told.secrets) >= 4
    assert not [secret for secret in told.secrets if secret in everything]


def test_the_docs_name_every_key_of_an_event(told: Told) -> None:
    text = (DOCS / "how-to" / "lineage.md").read_text(encoding="utf-8")
    [table] = re.findall(r"^\| key \|.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    named = {key for row in table.splitlines() for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == {key for extra in told.extras("seats") + told.extras("stale") for key in extra}


WINDOW = {"start_at": "2026-01-01T00:00:00Z", "end_at": "2026-01-02T00:00:00Z"}
ACTIVITY = Export.from_json(
    {"kind": "analytics", "export_type": "activity", "contract": "urn:li:contract:1", "slices": [WINDOW]}
)


def test_a_folder_has_the_columns_of_all_its_files(tmp_path: Path) -> None:
    first, second = (LandedFile("file:///a.csv", 2, 3, "", columns, 1, **WINDOW) for columns in ("ab", "bc"))
    folder = storage_path(tmp_path.as_uri(), "destination")
    columns = landed_data(ACTIVITY, folder, [first, second]).columns
    assert [column.name for column in columns] == ["a", "b", "c"]


@pytest.mark.parametrize(("scheme", "named"), [("gcs", "gs"), ("s3a", "s3")])
def test_a_scheme_with_two_names_is_one_place(scheme: str, named: str) -> None:
    place = stored_data(ObjectStoragePath(f"{scheme}://lake/snav/"))
    assert (place.namespace, place.name) == (f"{named}://lake", "snav")


def test_an_event_lists_so_many_files_and_counts_all() -> None:
    file = LandedFile("s3://lake/a.csv", 2, 3, "", ["a"], 1, **WINDOW)
    extra = landing_extra(ACTIVITY, "s3://lake", [file] * (MAX_ASSET_FILES + 6))
    assert len(extra["files"]) == MAX_ASSET_FILES == 64
    assert (extra["file_count"], extra["rows"], extra["bytes"]) == (70, 140, 210)


def test_an_event_spans_the_whole_export_although_a_window_had_no_file() -> None:
    windows = [WINDOW, {"start_at": "2026-01-02T00:00:00Z", "end_at": "2026-01-03T00:00:00Z"}]
    export = Export.from_json(
        {"kind": "analytics", "export_type": "seat", "contract": "urn:li:contract:1", "slices": windows}
    )
    second = LandedFile("s3://lake/a.csv", 2, 3, "", ["a"], 1, **windows[1])
    extra = landing_extra(export, "s3://lake", [second])
    assert (extra["start_at"], extra["end_at"]) == ("2026-01-01T00:00:00.000Z", "2026-01-03T00:00:00.000Z")
