"""What one cell of the matrix is asked. Runs in the cell's own environment, with the wheel and no checkout.

Started by ``run_matrix.py`` as ``python -I matrix_checks.py FOLDER``: all it makes lies in the folder, the
answers in its ``answers.json``, one for each check, as ``{"passed": bool, "found": str}``.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from airflow_provider_snav.sandbox.server import Sandbox

PROVIDER = "airflow-provider-snav"
PUBLIC_NAMES = {
    "hooks.sales_navigator": ("SalesNavigatorHook", "SalesNavigatorAsyncHook"),
    "operators.sales_navigator": (
        "SalesNavigatorAnalyticsExportOperator",
        "SalesNavigatorCrmValidationExportOperator",
        "SalesNavigatorListContractsOperator",
        "SalesNavigatorProfileAssociationsOperator",
    ),
    "sensors.sales_navigator": ("SalesNavigatorExportSensor",),
    "triggers.sales_navigator": ("SalesNavigatorExportTrigger",),
    "transfers.sales_navigator_to_object_storage": ("SalesNavigatorToObjectStorageOperator",),
    "api.errors": ("SalesNavigatorError",),
}
AIRFLOW = version("apache-airflow")
MINOR = tuple(map(int, AIRFLOW.split(".")[:2]))
TODAY = datetime.now(UTC).date()
TWO_DAYS = {"start_at": str(TODAY - timedelta(days=3)), "end_at": str(TODAY - timedelta(days=1))}

# The example DAGs poll as often as is polite to LinkedIn; this cluster policy tells them where they are.
HASTE = """
def task_policy(task):
    if hasattr(task, "poll_interval"):
        task.poll_interval = task.max_poll_interval = 0.05
"""


class Cell:
    """An Airflow home beside a sandbox.

    :param folder: holds ``dags``; the rest is made here.
    """

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.dags = folder / "dags"
        self.lake = folder / "lake"
        self.sandbox = sandbox
        home = folder / "airflow"
        self.database = home / "airflow.db"
        self.lineage = folder / "lineage.jsonl"
        (home / "config").mkdir(parents=True)
        (home / "config" / "airflow_local_settings.py").write_text(HASTE)
        # For this process too: it imports Airflow later.
        os.environ.update(
            {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                    {"type": "file", "log_file_path": str(self.lineage), "append": True}
                ),
                "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(),
                "AIRFLOW_VAR_SNAV_CONTRACT": "123456",
                "AIRFLOW_VAR_SNAV_CRM_INSTANCE": sandbox.settings.crm_instances[0],
                "AIRFLOW_VAR_SNAV_LAKE": self.lake.as_uri(),
            }
        )

    def airflow(self, *arguments: str) -> tuple[int, str]:
        """Run an Airflow command; its exit code and all it printed, on one line."""
        command = [str(Path(sys.executable).with_name("airflow")), *arguments]
        print(f"\n$ airflow {' '.join(arguments)}", flush=True)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        print(done.stdout, flush=True)
        # Airflow 3.0 draws boxes around tracebacks and breaks their lines.
        return done.returncode, re.sub(r"[\s│]+", " ", done.stdout)

    def test_dag(self, dag_id: str, folder: str) -> str:
        """Run a DAG; every row its jobs exported must have landed in a folder of the lake.

        :returns: all that was printed.
        """
        before = set(self.sandbox.jobs)
        code, printed = self.airflow("dags", "test", dag_id, "--conf", json.dumps(TWO_DAYS))
        jobs = [job for job in self.sandbox.jobs if job not in before]
        exported = sum(file.rows for job in jobs for file in self.sandbox.files(job))
        landed = sum(map(rows_of, (self.lake / folder).rglob("*.csv*")))
        assert code == 0, f"{dag_id} ended with exit code {code}"
        assert jobs, f"{dag_id} exported nothing"
        assert landed == exported, f"{dag_id}: {exported} rows exported, {landed} landed"
        return printed


def rows_of(path: Path) -> int:
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def provider_is_discovered(cell: Cell) -> str:
    import airflow_provider_snav

    assert Path(airflow_provider_snav.__file__).is_relative_to(sys.prefix), airflow_provider_snav.__file__
    code, printed = cell.airflow("providers", "get", PROVIDER)
    assert code == 0, printed
    assert version(PROVIDER) in printed, printed
    return ""


def public_names_import(cell: Cell) -> str:
    for module, names in PUBLIC_NAMES.items():
        found = importlib.import_module(f"airflow_provider_snav.{module}")
        for name in names:
            getattr(found, name)
    return ""


def places_keep_their_connection(_: Cell) -> str:
    from airflow_provider_snav.storage.paths import storage_path

    place = str(storage_path("file://lake@/tmp/", "destination"))
    assert place.startswith("file://lake@"), place
    return ""


def connection_form_is_ours(cell: Cell) -> str:
    if MINOR < (3, 0):
        from airflow.providers_manager import ProvidersManager

        behaviour = ProvidersManager().field_behaviours["snav"]
        assert behaviour["relabeling"]["password"] == "Member access token", behaviour
        return "labels"
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    [form] = [each for each in HookMetaService.hook_meta_data() if each.connection_type == "snav"]
    assert form.hook_name == "LinkedIn Sales Navigator", form
    if form.standard_fields is None and MINOR < (3, 2) and not importlib.util.find_spec("wtforms"):
        return "Airflow's own, without wtforms"
    assert form.standard_fields, form
    assert form.standard_fields.password, form
    assert form.standard_fields.password.title == "Member access token", form
    fields = form.extra_fields or {}
    assert bool(fields) == (MINOR >= (3, 2)), form
    return "labels, own fields" if fields else "labels"


def dag_files_parse(cell: Cell) -> str:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag

    errors = DagBag(str(cell.dags)).import_errors
    for file, error in errors.items():
        print(f"\n{file}\n{error}")
    refused = {Path(file).name for file in errors}
    # The examples that need what only Airflow 3.3 has.
    assert refused == (set() if MINOR >= (3, 3) else {"snav_retry_policy.py", "snav_crm_validation.py"}), (
        errors
    )
    return "no" if errors else "yes"


def deferred_export_lands(cell: Cell) -> str:
    printed = cell.test_dag("snav_activity_range", "activity")
    assert "The trigger waited: " in printed, "nothing was deferred"
    return ""


def exports_on_a_worker_land(cell: Cell) -> str:
    if MINOR < (3, 0):
        # Airflow 3 does this by itself: a DAG's assets have to be known before they have events.
        cell.airflow("dags", "reserialize")
    cell.test_dag("matrix_on_a_worker", "on_a_worker")
    return ""


def asset_events_say_what_landed(cell: Cell) -> str:
    """Of the landings just before."""
    if MINOR == (3, 0):
        return "not tried"
    with closing(sqlite3.connect(cell.database)) as database:
        table = "asset_event" if MINOR >= (3, 0) else "dataset_event"
        rows = database.execute(f"SELECT extra FROM {table}")  # noqa: S608 - one of two names
        extras = [json.loads(extra) for (extra,) in rows]
    assert {extra["kind"] for extra in extras} == {"analytics", "crm_validation"}, extras
    landed = sum(map(rows_of, (cell.lake / "on_a_worker").rglob("*.csv*")))
    assert sum(extra["rows"] for extra in extras) == landed, extras
    return "yes"


def lineage_says_what_landed(cell: Cell) -> str:
    """Of the landings before."""
    events = [json.loads(line) for line in cell.lineage.read_text().splitlines()]
    landed = [
        event for event in events if event["eventType"] == "COMPLETE" and ".land" in event["job"]["name"]
    ]
    assert len(landed) == 3, [event["job"]["name"] for event in events]
    for event in landed:
        assert [each["namespace"] for each in event["inputs"]] == ["linkedin://salesnavigator"], event
        assert [each["namespace"] for each in event["outputs"]] == ["file"], event
    return "yes"


def watermark_moves_or_is_refused(cell: Cell) -> str:
    if MINOR >= (3, 3):
        printed = cell.test_dag("snav_crm_validation", "crm_validation")
        assert "The watermark of " in printed, "the watermark did not move"
        return "yes"
    from airflow.providers.common.compat.sdk import Asset

    from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
    from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator

    instance = cell.sandbox.settings.crm_instances[0]
    said = ""
    try:
        SalesNavigatorCrmValidationExportOperator(
            task_id="export",
            crm_instance=instance,
            export_start_at=TWO_DAYS["start_at"],
            watermark=Asset("a"),
        )
    except SalesNavigatorConfigurationError as error:
        said = str(error)
    assert "watermark needs Airflow 3.3 or later" in said, said
    return "refused"


def jobs_are_remembered_or_not(cell: Cell) -> str:
    cell.sandbox.script_statuses("PROCESSING")
    _, printed = cell.airflow("dags", "test", "matrix_too_slow", "--conf", json.dumps(TWO_DAYS))
    assert "was not complete after timeout=" in printed, "it did not time out"
    goes_on = "A retry continues this export and submits only the missing jobs." in printed
    again = "A retry submits the whole export again." in printed
    assert (goes_on, again) == ((True, False) if MINOR >= (3, 3) else (False, True)), "wrong advice"
    return "yes" if goes_on else "no"


def commands_work(cell: Cell) -> str:
    code, printed = cell.airflow("snav", "explain", "row-count")
    assert (code == 0) is (MINOR >= (3, 2)), printed
    week = ["--from", str(TODAY - timedelta(days=9)), "--to", str(TODAY - timedelta(days=2))]
    export = ["export", "activity", "--contract", "123456", *week, "--into", str(cell.lake / "commands")]
    environment = {**os.environ, "XDG_STATE_HOME": str(cell.lake.with_name("state"))}
    for command in (["check", "--json"], ["contracts", "--json"], [*export, "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "airflow_provider_snav", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
    return "also as airflow snav" if MINOR >= (3, 2) else "no airflow snav"


CHECKS = (
    provider_is_discovered,
    public_names_import,
    connection_form_is_ours,
    dag_files_parse,
    deferred_export_lands,
    exports_on_a_worker_land,
    places_keep_their_connection,
    asset_events_say_what_landed,
    lineage_says_what_landed,
    watermark_moves_or_is_refused,
    jobs_are_remembered_or_not,
    commands_work,
)


def main() -> int:
    folder = Path(sys.argv[1])
    answers: dict[str, Any] = {}
    with Sandbox(speed=12_000) as sandbox:
        cell = Cell(folder, sandbox)
        code, printed = cell.airflow("db", "migrate")
        assert code == 0, printed
        for check in CHECKS:
            print(f"\n== {check.__name__}", flush=True)
            try:
                answers[check.__name__] = {"passed": True, "found": check(cell)}
            except Exception as error:  # noqa: BLE001 - the other checks run all the same
                print(f"FAILED: {type(error).__name__}: {error}", flush=True)
                answers[check.__name__] = {"passed": False, "found": f"{type(error).__name__}: {error}"}
    versions = {"airflow": AIRFLOW, "python": platform.python_version(), "provider": version(PROVIDER)}
    (folder / "answers.json").write_text(json.dumps({"versions": versions, "checks": answers}))
    return 0 if all(answer["passed"] for answer in answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
