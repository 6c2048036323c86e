"""Exports that share a folder, in any order of runs, re-runs, failures and deaths."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from store_landings import die_at_touch, land, started
from task_runs import START, completed_export, on_worker, parts_of

from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.sandbox.faults import Cut, WrongRowCount, http_error
from airflow_provider_snav.sandbox.server import Sandbox

DAY = dt.timedelta(days=1)
_ORGANISATION = "62a3584-0d9b-44a1-a547-25de5cd95d08"
INSTANCES = [f"urn:li:crmInstance:(DYNAMICS,{digit}{_ORGANISATION})" for digit in (3, 4)]
STRANGERS = {"notes.txt": b"mine", "activity.csv": b"mine too"}
FAULTS = (("status", WrongRowCount()), ("download", Cut(200)), ("download", http_error(503)))


def crm_export(crm_instance: str) -> Any:
    task = SalesNavigatorCrmValidationExportOperator(
        task_id="export", crm_instance=crm_instance, export_start_at=START, poll_interval=0.02
    )
    return on_worker(lambda: task)


@pytest.fixture
def exports(snav_sandbox: Sandbox) -> list[Any]:
    """Two contracts, two types, two days, two CRM instances; of one job, of three, and of several files."""
    snav_sandbox.settings.crm_instances = INSTANCES
    snav_sandbox.settings.rows_per_part = 20
    return [
        completed_export(),
        completed_export(contract=234567),
        completed_export(export_type="seat"),
        completed_export(start_at=START - DAY, end_at=START),
        parts_of(3),
        *(crm_export(instance) for instance in INSTANCES),
    ]


@pytest.fixture
def machine(snav_sandbox: Sandbox, exports: list[Any]) -> type[RuleBasedStateMachine]:
    which = st.integers(0, len(exports) - 1)
    formats = st.sampled_from(
        [
            {},
            {"compression": "gzip"},
            {"compression": "zstd"},
            {"format": "parquet"},
            {"drop_columns": ["createdAt"]},
        ]
    )

    class SharedFolder(RuleBasedStateMachine):
        """What each export has there is known, but for those that died since they last landed."""

        def __init__(self) -> None:
            super().__init__()
            self.folder = Path(tempfile.mkdtemp())
            self.known: dict[int, dict[str, bytes]] = {number: {} for number in range(len(exports))}
            self.died: set[int] = set()
            for name, content in STRANGERS.items():
                (self.folder / name).write_bytes(content)

        def arguments(self, number: int, **chosen: Any) -> dict[str, Any]:
            return {"export": exports[number], "destination": self.folder.as_uri(), **chosen}

        @rule(number=which, how=formats, manifest=st.booleans())
        def lands(self, number: int, how: dict[str, Any], manifest: bool) -> None:
            how = {"ignore_missing_columns": True, "manifest": manifest, **how}
            landed = land(**self.arguments(number, **how))
            names = [file["uri"].rpartition("/")[2] for file in landed]
            if manifest:
                stem = re.sub(r"(\.part-\d+)?\.(csv|parquet).*", "", names[0])
                names.append(f"{stem}.manifest.json")
                assert json.loads((self.folder / names[-1]).read_bytes())["files"] == landed
            self.known[number] = {name: (self.folder / name).read_bytes() for name in names}
            self.died.discard(number)

        @rule(number=which, fault=st.sampled_from(FAULTS))
        def fails(self, number: int, fault: Any) -> None:
            # A CRM job has no rowCount to be wrong.
            kind, what = FAULTS[2] if exports[number]["kind"] == "crm_validation" else fault
            snav_sandbox.fault(kind, what, times=None)
            try:
                with pytest.raises(SalesNavigatorError):
                    land(**self.arguments(number))
            finally:
                snav_sandbox.clear_faults()

        @rule(number=which)
        def is_refused_where_it_lies_already(self, number: int) -> None:
            if self.known[number] and number not in self.died:
                with pytest.raises(AirflowFailException, match="already holds"):
                    land(**self.arguments(number, if_exists="fail"))

        @rule(number=which, at=st.integers(2, 14))
        def is_killed(self, number: int, at: int) -> None:
            process = started(
                partial(die_at_touch, str(self.folder), at), **self.arguments(number, manifest=True)
            )
            process.join()
            self.died.add(number)

        @invariant()
        def each_has_its_own_files_and_no_others(self) -> None:
            # A staged file of a killed landing stays for a day.
            names = [file.name for file in self.folder.iterdir() if not file.name.startswith(".")]
            files = {name: (self.folder / name).read_bytes() for name in names}
            expected = dict(STRANGERS)
            for number, own in self.known.items():
                if number not in self.died:
                    assert not expected.keys() & own.keys()
                    expected |= own
            assert {name: files.get(name) for name in expected} == expected
            if not self.died:
                assert files == expected

        def teardown(self) -> None:
            for number in sorted(self.died):
                self.lands(number, {}, manifest=False)
            self.each_has_its_own_files_and_no_others()
            shutil.rmtree(self.folder)

    return SharedFolder


def test_exports_in_one_folder_never_touch_each_others_files(machine: type[RuleBasedStateMachine]) -> None:
    # Not shrunk: with processes in it, that takes minutes, and ten steps are short enough to read.
    thorough = settings(
        max_examples=20, stateful_step_count=10, deadline=None, derandomize=True, phases=[Phase.generate]
    )
    run_state_machine_as_test(machine, settings=thorough)  # type: ignore[no-untyped-call]
