"""The example DAG that exports every contract, on a real Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from real_airflow import Run, real_airflow

from airflow_provider_snav.sandbox.faults import Answer
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.settings import SandboxContract

URNS = ["urn:li:contract:111111", "urn:li:contract:222222", "urn:li:contract:333333"]


def contracts(*, lost: str | None) -> list[SandboxContract]:
    """What the member sees; one of them has no reporting access (any more)."""
    known = [SandboxContract(urn, "Team", has_reporting_access=urn != lost) for urn in URNS]
    return [*known, SandboxContract("urn:li:contract:444444", "Never ours", has_reporting_access=False)]


@pytest.fixture
def run(snav_sandbox: Sandbox, tmp_path: Path) -> Run:
    """One run in which the member loses the second contract after it was listed."""
    snav_sandbox.settings.contracts = contracts(lost=None)
    listing = requests.get(
        f"{snav_sandbox.base_url}/salesContracts?q=contractsByMember",
        headers={
            "Authorization": f"Bearer {snav_sandbox.access_token}",
            "X-RestLi-Protocol-Version": "2.0.0",
        },
        timeout=10,
    )
    snav_sandbox.fault("contracts", Answer(200, listing.content, {"Content-Type": "application/json"}))
    snav_sandbox.settings.contracts = contracts(lost=URNS[1])
    return real_airflow().run(
        "snav_all_contracts",
        "2026-11-01T00:00:00Z",
        {
            "AIRFLOW_CONN_SNAV_DEFAULT": snav_sandbox.connection_json(),
            "AIRFLOW_VAR_SNAV_LAKE": tmp_path.as_uri(),
        },
        {},
    )


def test_a_contract_that_fails_stops_only_its_own_and_map_indexes_name_contracts(
    run: Run, snav_sandbox: Sandbox, tmp_path: Path
) -> None:
    assert run.state == "failed", run.log
    assert run.xcom("contracts") == URNS
    assert run.states("one_contract.export") == ["success", "failed", "success"], run.log
    assert run.states("one_contract.land") == ["success", "upstream_failed", "success"]
    assert run.names("one_contract.export") == URNS
    assert [run.names("one_contract.land")[index] for index in (0, 2)] == [URNS[0], URNS[2]]
    assert "The member behind the token needs a reporting or administrator role" in run.log
    landed = {path.name for path in (tmp_path / "activity").iterdir()}
    assert {name.split("_")[1] for name in landed} == {"contract-111111", "contract-333333"}
    rows = {file["job_id"]: file["rows"] for files in run.mapped_xcoms("one_contract.land") for file in files}
    created = {job.job_id: job.urn for job in snav_sandbox.created_jobs}
    assert {created[job_id] for job_id in rows} == {URNS[0], URNS[2]}
    assert rows == {job_id: snav_sandbox.files(job_id)[0].rows for job_id in rows}
