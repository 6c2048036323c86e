"""What an earlier version left in Airflow's database, in the lake and in DAG files is taken up by this one.

``recorded/`` has for each version what it stores, in ``landed/`` a folder it landed in, and in ``dags/`` the
arguments it took. ``UPDATE_PUBLIC_API=1 python -m pytest tests/public_api`` writes the first two for this
version. Those of a released version never change: ``make release`` compares them with the tag's.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import runpy
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from public_api_stored import CRM_INSTANCE, Store, create_jobs, stored_values
from task_runs import context_of, events_of, on_worker, over_the_wire

from airflow_provider_snav import __version__
from airflow_provider_snav._compat import AirflowProviderDeprecationWarning, Asset
from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
)
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

RECORDS = Path(__file__).with_name("recorded")
RECORDED = sorted(RECORDS.glob("*.json"))
DAG_FILES = sorted((RECORDS / "dags").glob("*.py"))
UPDATING = bool(os.environ.get("UPDATE_PUBLIC_API"))
ASSET = Asset("snav_stale_contacts")


@pytest.fixture(params=RECORDED, ids=lambda file: file.stem)
def record(request: pytest.FixtureRequest) -> Path:
    """Where one version's values are."""
    return Path(request.param)


@pytest.fixture
def recorded(record: Path) -> Any:
    """What one version stored."""
    return json.loads(record.read_text(encoding="utf-8"))


@pytest.fixture
def sandbox(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that has the recorded jobs, at the time they were asked for."""
    begun = time.time()
    asked_at = dt.datetime.fromisoformat(recorded["asked_at"]).timestamp()
    with Sandbox(speed=12_000, clock=lambda: asked_at + time.time() - begun) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", sandbox.connection_json())
        create_jobs(recorded)
        yield sandbox


def exporting(recorded: Any) -> SalesNavigatorAnalyticsExportOperator:
    """The task that stored the values, as its DAG file makes it."""
    slices = recorded["export"]["slices"]
    end_at = dt.datetime.fromisoformat(slices[-1]["end_at"]) + dt.timedelta(milliseconds=1)
    return SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        contract=recorded["export"]["contract"],
        export_type=recorded["export"]["export_type"],
        start_at=slices[0]["start_at"],
        end_at=end_at,
        poll_interval=0.02,
        max_poll_interval=0.05,
    )


def crm_exporting() -> SalesNavigatorCrmValidationExportOperator:
    return SalesNavigatorCrmValidationExportOperator(
        task_id="export", crm_instance=CRM_INSTANCE, watermark=ASSET, wait_for_completion=False
    )


def landing(export: Any, folder: Path, **arguments: Any) -> list[dict[str, Any]]:
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=folder.as_uri(), **arguments
    )
    return task.execute(context_of(task))


def statuses(export: Any) -> set[str]:
    return {part["status"] for part in export["slices"]}


def jobs_of(export: Any) -> list[tuple[Any, ...]]:
    names = ("start_at", "end_at", "job_id", "status", "attempt")
    return [tuple(part[name] for name in names) for part in export["slices"]]


def rows_exported(sandbox: Sandbox, export: Any) -> int:
    return sum(file.rows for part in export["slices"] for file in sandbox.files(part["job_id"]))


def test_the_record_of_this_version_is_what_it_stores() -> None:
    file = RECORDS / f"{__version__}.json"
    if UPDATING and not is_up_to_date(file):
        values = stored_values(dt.datetime.now(dt.UTC).replace(microsecond=0))
        file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    assert is_up_to_date(file), (
        f"{__version__} stores something else now. Once it is released, raise __version__ first. Then run"
        " UPDATE_PUBLIC_API=1 python -m pytest tests/public_api"
    )


def is_up_to_date(file: Path) -> bool:
    if not file.exists():
        return False
    recorded = json.loads(file.read_text(encoding="utf-8"))
    values = stored_values(dt.datetime.fromisoformat(recorded["asked_at"]))
    return bool(recorded == json.loads(json.dumps(values)))


def test_every_version_of_the_changelog_is_here() -> None:
    changelog = (Path(__file__).parent.parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert {file.stem for file in RECORDS.glob("*.json")} == set(versions)


def test_a_trigger_row_is_polled_to_its_event(recorded: Any, sandbox: Sandbox) -> None:
    path, kwargs = recorded["trigger"]
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**kwargs)
    [event] = asyncio.run(events_of(trigger))
    # Its deadline passed long ago; one look is taken all the same.
    assert event["status"] in ("ready", "timeout")
    assert [part["job_id"] for part in event["export"]["slices"]] == [100_001, 100_002, 100_003]
    assert event["polls"] >= 1


def test_an_event_is_taken_to_the_task_s_end(recorded: Any, sandbox: Sandbox) -> None:
    task = exporting(recorded)
    export = task.execute_complete(context_of(task), over_the_wire(recorded["event"]))
    assert jobs_of(export) == jobs_of(recorded["export"])


def test_a_task_s_state_is_taken_up_and_nothing_submitted_again(recorded: Any, sandbox: Sandbox) -> None:
    task = exporting(recorded)
    # Neither retried nor cleared since: the try counts are those that were recorded.
    context = context_of(task, Store(recorded["task_state"]))  # type: ignore[arg-type]
    before = list(sandbox.jobs)
    export = task.execute(context)
    assert list(sandbox.jobs) == before
    assert [part["job_id"] for part in export["slices"]] == [100_001, 100_002, 100_003]
    assert statuses(export) == {"COMPLETED"}


def test_a_sensor_waits_for_a_stored_export(recorded: Any, sandbox: Sandbox) -> None:
    export = recorded["trigger"][1]["export"]
    found = on_worker(lambda: SalesNavigatorExportSensor(task_id="wait", export=export, poke_interval=0.05))
    assert jobs_of(found) == jobs_of(recorded["export"])


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.stem)
def test_a_dag_file_is_read_as_before(file: Path) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        dag = runpy.run_path(str(file))["dag"]
    assert len(dag.tasks) > 5
    assert {each.category for each in told} <= {AirflowProviderDeprecationWarning}


def test_a_landing_replaces_what_an_earlier_version_landed_and_nothing_else(
    record: Path, recorded: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = RECORDS / "landed" / record.name
    if UPDATING and not file.exists():
        land_both(recorded, tmp_path)
        file.write_text(json.dumps(as_text(tmp_path), indent=1) + "\n", encoding="utf-8")
    before = json.loads(file.read_text(encoding="utf-8"))
    for name, text in {**before, "activity_contract-9.csv": "of somebody else"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    published = land_both(recorded, tmp_path)
    after = as_text(tmp_path)
    assert after.pop("activity_contract-9.csv") == "of somebody else"
    assert {name.partition(".")[0] for name in after} == {name.partition(".")[0] for name in before}
    manifests = {name for name in after if name.endswith(".manifest.json")}
    assert after.keys() - manifests == {entry["uri"].rpartition("/")[2] for entry in published}
    for name in manifests:
        old, new = json.loads(before[name]), json.loads(after[name])
        assert old.keys() <= new.keys()
        assert old["files"][0].keys() <= new["files"][0].keys()


def land_both(recorded: Any, folder: Path) -> list[dict[str, Any]]:
    """Both recorded exports, with their manifests."""
    exports = [recorded["export"], recorded["crm_export"]]
    for export in exports:
        arguments = {"export": running(export), "poke_interval": 0.05}
        on_worker(lambda arguments=arguments: SalesNavigatorExportSensor(task_id="wait", **arguments))
    return [entry for export in exports for entry in landing(export, folder, manifest=True)]


def as_text(folder: Path) -> dict[str, str]:
    """The files of a folder, a CSV by its header, wherever the folder is."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}
    return {
        name: text.replace(folder.as_uri(), "file:///lake")
        if name.endswith(".json")
        else text.partition("\n")[0]
        for name, text in texts.items()
    }


@pytest.mark.parametrize("name", ["export", "crm_export"])
def test_a_stored_export_lands(recorded: Any, sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    export = recorded[name]
    on_worker(lambda: SalesNavigatorExportSensor(task_id="wait", export=running(export), poke_interval=0.05))
    files = landing(export, tmp_path)
    assert {file["job_id"] for file in files} == {part["job_id"] for part in export["slices"]}
    assert sum(file["rows"] for file in files) == rows_exported(sandbox, export) > 0


def running(export: Any) -> Any:
    """The export before its jobs had ended."""
    return {**export, "slices": [{**part, "status": "PROCESSING"} for part in export["slices"]]}


@pytest.mark.parametrize(
    ("run_id", "entry", "field"),
    [
        ("scheduled__1", ".run.", "export_start_at"),
        ("scheduled__2", ".landed", "next_export_start_at"),
    ],
    ids=["an old run again", "a new run"],
)
def test_a_watermark_says_where_to_begin(
    recorded: Any, sandbox: Sandbox, run_id: str, entry: str, field: str
) -> None:
    [stored] = [value for key, value in recorded["asset_state"].items() if entry in key]
    task = crm_exporting()
    context = {**context_of(task), "asset_state_store": {ASSET: Store(recorded["asset_state"])}}
    export = task.execute({**context, "run_id": run_id})
    assert export is not None
    [part] = export["slices"]
    assert part["start_at"] == stored[field]
