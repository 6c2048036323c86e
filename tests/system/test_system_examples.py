"""Every example DAG at once on an Airflow with two schedulers and on S3, while LinkedIn has a bad day."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from harness import Deployment, Run, days_ago
from landing_stores import BUCKET, s3_client
from local_airflow import EXAMPLES, contact_keys, example_variables, wait_for
from store_servers import seaweedfs

from airflow_provider_snav.sandbox.faults import CallKind, Cut, http_error
from airflow_provider_snav.sandbox.server import Sandbox

# The first test waits for the deployment, and for all examples.
pytestmark = pytest.mark.timeout(300)

KEYS = 250
NOW = datetime.now(UTC).isoformat()
DATA_DELAY = "FAILED_DUE_TO_DATA_DELAY"
CONF = {"snav_activity_range": {"start_at": days_ago(200), "end_at": days_ago(0)}}
TRIGGERED = [
    "snav_activity_daily",
    "snav_activity_range",
    "snav_all_contracts",
    "snav_crm_validation",
    "snav_profile_enrichment",
    "snav_retry_policy",
    "snav_seats_weekly",
]
# Runs after landings of the first.
ALL = [*TRIGGERED, "snav_activity_consumer"]
# A DAG with a schedule runs once by itself as soon as it is no longer paused.
RUNS = {"manual": len(TRIGGERED), "scheduled": 5, "asset_triggered": 1}


@dataclass(frozen=True)
class Ran:
    """What all runs left.

    :param landed: the entry of every landed file, as the tasks returned it.
    """

    sandbox: Sandbox
    runs: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    landed: list[dict[str, Any]]
    bucket: Mapping[str, bytes]


@pytest.fixture(scope="module")
def ran(airflow: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    airflow.restore()
    # Slow enough that no job is complete before its task could defer: 2 seconds for analytics, 11 for CRM.
    with (
        airflow.second_scheduler(),
        seaweedfs(tmp_path_factory.mktemp("s3")) as address,
        Sandbox(speed=500) as sandbox,
    ):
        sandbox.script_statuses("PROCESSING", DATA_DELAY)
        sandbox.fault("status", http_error(503))
        sandbox.fault("download", Cut(after_bytes=100))
        s3 = s3_client(f"http://{address}")
        s3.put_object(Bucket=BUCKET, Key="snav/contact_keys.csv", Body=contact_keys(KEYS).encode())
        extra = {"endpoint_url": f"http://{address}", "region_name": "us-east-1"}
        lake = {"conn_type": "aws", "login": "lake-key", "password": "lake-secret", "extra": extra}
        airflow.add_connection("lake_s3", json.dumps(lake))
        airflow.add_connection("snav_default", sandbox.connection_json())
        airflow.add_variables(example_variables(sandbox, f"s3://lake_s3@{BUCKET}/snav"))
        for dag_id in TRIGGERED:
            airflow.trigger_run(dag_id, NOW, **CONF.get(dag_id, {}))
        for dag_id in ALL:
            airflow.call("PATCH", f"dags/{dag_id}", {"is_paused": False})
        try:
            runs = wait_for("all runs to end", lambda: _ended(airflow), timeout=180)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{_unfinished(airflow)}") from None
        for dag_id in ALL:
            airflow.call("PATCH", f"dags/{dag_id}", {"is_paused": True})
        tasks = [task for run in runs for task in _task_instances(airflow, run)]
        yield Ran(sandbox, runs, tasks, _landed(airflow, tasks), _bucket(s3))


def test_every_example_is_run_here() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.py")} == set(ALL)


def test_every_run_succeeds(airflow: Deployment, ran: Ran) -> None:
    assert {run["state"] for run in ran.runs} == {"success"}, _unfinished(airflow)


def test_the_bucket_holds_what_the_sandbox_exported_and_nothing_else(ran: Ran) -> None:
    exported = {
        job.job_id: [file.read() for file in ran.sandbox.files(job.job_id)]
        for job in ran.sandbox.created_jobs
        if DATA_DELAY not in job.statuses_served
    }
    assert len(exported) == len(ran.sandbox.created_jobs) - 1
    assert {entry["job_id"] for entry in ran.landed} == set(exported)
    keys = set()
    for entry in ran.landed:
        key = _key(entry)
        keys.add(key)
        content = gzip.decompress(ran.bucket[key]) if key.endswith(".gz") else ran.bucket[key]
        assert content in exported[entry["job_id"]], entry
    others = set(ran.bucket) - keys - {"snav/contact_keys.csv"}
    # Two CRM validations, one activity export of several files, one answer about the keys.
    assert sorted(name.rpartition(".")[2] for name in others) == ["json", "json", "json", "jsonl"], others


def test_what_the_tasks_returned_is_what_lies_there(ran: Ran) -> None:
    rows: Counter[int] = Counter()
    for entry in ran.landed:
        content = ran.bucket[_key(entry)]
        assert (entry["bytes"], entry["sha256"]) == (len(content), sha256(content).hexdigest())
        rows[entry["job_id"]] += entry["rows"]
    assert rows == {job: sum(file.rows for file in ran.sandbox.files(job)) for job in rows}


def test_a_manifest_lists_the_files_beside_it(ran: Ran) -> None:
    manifests = {name: content for name, content in ran.bucket.items() if name.endswith(".manifest.json")}
    for name, content in manifests.items():
        files = json.loads(content)["files"]
        folder = name.rpartition("/")[0]
        assert files
        assert all(_key(file).startswith(f"{folder}/") and file in ran.landed for file in files)


def test_the_profile_example_answers_every_key(ran: Ran) -> None:
    [name] = [name for name in ran.bucket if name.endswith(".jsonl")]
    lines = [json.loads(line) for line in ran.bucket[name].splitlines()]
    assert [line["record_id"] for line in lines] == [f"record-{number}" for number in range(KEYS)]


def test_the_consumer_reads_from_the_asset_what_the_daily_landing_returned(
    airflow: Deployment, ran: Ran
) -> None:
    [run, *_] = [run for run in ran.runs if run["run_type"] == "asset_triggered"]
    path = f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}"
    extras = [each["extra"] for each in airflow.call("GET", f"{path}/upstreamAssetEvents")["asset_events"]]
    task = f"{path}/taskInstances/landed_files"
    read = airflow.call("GET", f"{task}/xcomEntries/return_value?deserialize=true")["value"]
    assert read == [file for extra in extras for file in extra["files"]] != []
    assert all(file in ran.landed for file in read)
    for extra in extras:
        [file] = extra["files"]
        known = ("rows", "bytes", "start_at", "end_at")
        assert {name: extra[name] for name in known} == {name: file[name] for name in known}


def test_each_day_is_exported_up_to_its_last_millisecond(ran: Ran) -> None:
    daily = [entry for entry in ran.landed if "/activity/" in entry["uri"] and ".part-" not in entry["uri"]]
    assert {(entry["start_at"][10:], entry["end_at"][10:]) for entry in daily} == {
        ("T00:00:00.000Z", "T23:59:59.999Z")
    }


def test_the_bad_day_was_bad(airflow: Deployment, ran: Ran) -> None:
    """Else the other tests would have proved less than they say."""
    assert [job for job in ran.sandbox.created_jobs if DATA_DELAY in job.statuses_served]
    assert (CallKind.STATUS, 503) in [(request.kind, request.status) for request in ran.sandbox.requests]
    assert airflow.logs_with("asking for a new URL")


def test_the_waits_were_deferred(airflow: Deployment, ran: Ran) -> None:
    exports = [task for task in ran.tasks if task["task_id"].endswith("export")]
    deferred = {log.parent for log in airflow.logs_with("Pausing task as DEFERRED") if "export" in str(log)}
    assert len({folder for folder in deferred if "dag_id=snav_" in str(folder)}) >= len(exports)
    # Where Airflow lost a deferral, which happens on a busy machine, the next try found its job completed.
    once = [task for task in exports if task["try_number"] == 1]
    waited = {log.parent for log in airflow.logs_with("The trigger waited: ") if "dag_id=snav_" in str(log)}
    assert len(waited) >= len(once), [(task["dag_id"], task["try_number"]) for task in exports]


def _ended(airflow: Deployment) -> list[dict[str, Any]] | None:
    """All runs of the examples, once all are over."""
    runs = airflow.call("GET", "dags/~/dagRuns?limit=100")["dag_runs"]
    runs = [run for run in runs if run["dag_id"] in ALL]
    over = all(run["state"] in ("success", "failed") for run in runs)
    return runs if over and Counter(run["run_type"] for run in runs) >= Counter(RUNS) else None


def _unfinished(airflow: Deployment) -> str:
    """All that is known of the tasks that have not succeeded."""
    runs = airflow.call("GET", "dags/~/dagRuns?limit=100")["dag_runs"]
    tasks = [task for run in runs if run["dag_id"] in ALL for task in _task_instances(airflow, run)]
    return "\n".join(
        Run(airflow, task["dag_id"], task["dag_run_id"]).story(task)
        for task in tasks
        if task["state"] != "success"
    )


def _task_instances(airflow: Deployment, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    path = f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances"
    found: list[dict[str, Any]] = airflow.call("GET", path)["task_instances"]
    return found


def _landed(airflow: Deployment, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    landed = []
    for task in tasks:
        if task["operator"] == "SalesNavigatorToObjectStorageOperator":
            path = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
            query = f"map_index={task['map_index']}&deserialize=true"
            landed += airflow.call("GET", f"{path}/xcomEntries/return_value?{query}")["value"]
    return landed


def _bucket(s3: Any) -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket=BUCKET)
    assert not listed["IsTruncated"]
    keys = [each["Key"] for each in listed["Contents"]]
    return {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def _key(entry: Mapping[str, Any]) -> str:
    return str(entry["uri"]).removeprefix(f"s3://{BUCKET}/")
