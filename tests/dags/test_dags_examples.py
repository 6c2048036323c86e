"""Every example DAG runs in a real Airflow against the sandbox, deferred, and lands what was exported."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dag_runs import ROOT, AirflowHome

from airflow_provider_snav.sandbox.server import Sandbox

EXAMPLES = ROOT / "example_dags"
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
LOGICAL_DATE = (TODAY - timedelta(days=3)).isoformat()
RANGE = {"start_at": str((TODAY - timedelta(days=200)).date()), "end_at": str(TODAY.date())}
LANDINGS = {
    "snav_activity_daily": ("export", "land", 1),
    "snav_activity_range": ("export", "land", 3),
    "snav_all_contracts": ("one_contract.export", "one_contract.land", 2),
    "snav_crm_validation": ("export", "land", 1),
    "snav_retry_policy": ("export", "land", 1),
    "snav_seats_weekly": ("export", "land", 1),
}


@dataclass(frozen=True)
class Ran:
    home: AirflowHome
    sandbox: Sandbox
    log: str


@pytest.fixture(scope="module")
def ran(airflow_home: AirflowHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """All of them, one after the other."""
    instance = "362a3584-0d9b-44a1-a547-25de5cd95d08"
    keys = tmp_path_factory.mktemp("keys") / "keys.csv"
    keys.write_text(
        "instance_id,partner,record_id\n" + "".join(f"{instance},DYNAMICS,record-{n}\n" for n in range(30))
    )
    ids = sorted([*LANDINGS, "snav_profile_enrichment"])
    runs = [{"dag_id": dag_id, "logical_date": LOGICAL_DATE} for dag_id in ids]
    for run in runs:
        if run["dag_id"] == "snav_activity_range":
            run["conf"] = RANGE  # type: ignore[assignment]
    with Sandbox(speed=12_000) as sandbox:
        log = airflow_home.run(sandbox, EXAMPLES, runs, AIRFLOW_VAR_SNAV_CONTACT_KEYS=keys.as_uri())
        yield Ran(airflow_home, sandbox, log)


def test_every_example_is_run_here() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.py")} == {*LANDINGS, "snav_profile_enrichment"}


@pytest.mark.parametrize("dag_id", LANDINGS)
def test_an_example_lands_all_rows_of_its_jobs(ran: Ran, dag_id: str) -> None:
    exporting, landing, jobs = LANDINGS[dag_id]
    states = ran.home.states(dag_id)
    assert set(states.values()) == {"success"}, ran.log[-5000:]
    exported = {
        part["job_id"] for export in ran.home.returned(dag_id, exporting) for part in export["slices"]
    }
    landed = [file for files in ran.home.returned(dag_id, landing) for file in files]
    assert {file["job_id"] for file in landed} == exported
    assert len(exported) == jobs
    assert sum(file["rows"] for file in landed) == sum(
        file.rows for job_id in exported for file in ran.sandbox.files(job_id)
    )
    for file in landed:
        path = Path(file["uri"].removeprefix("file://"))
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", newline="", encoding="utf-8") as text:
            assert sum(1 for _ in csv.reader(text)) - 1 == file["rows"]


def test_the_waits_were_deferred(ran: Ran) -> None:
    assert ran.log.count("The trigger waited: ") >= len(LANDINGS)


def test_the_profile_example_writes_a_line_for_every_key(ran: Ran) -> None:
    assert ran.home.states("snav_profile_enrichment") == {"enrich": "success"}
    [written] = (ran.home.lake / "profiles").glob("*.jsonl")
    assert len(written.read_text().splitlines()) == 30


def test_each_day_is_exported_up_to_its_last_millisecond(ran: Ran) -> None:
    [export] = ran.home.returned("snav_activity_daily", "export")
    [part] = export["slices"]
    assert (part["start_at"][10:], part["end_at"][10:]) == ("T00:00:00.000Z", "T23:59:59.999Z")
