"""Every code block of README.md and docs/ does what the page says."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from unittest.mock import patch

import pytest
from airflow.sdk import Connection
from doc_runs import ELSEWHERE, TOUR, Done, ended, proved_elsewhere, shell, started
from doc_snippets import BASH, DAGS, FILES, JSON, PLAIN, PYTHON, SNIPPETS, Snippet
from real_airflow import RealAirflow

from airflow_provider_snav.api.associations import ProfileAssociation, ProfileAssociationKey
from airflow_provider_snav.hooks.connection_cache import settings_of
from airflow_provider_snav.landing.plan import LandedFile
from airflow_provider_snav.sandbox.server import Sandbox

# What is shown and not run: output, and directives of Sphinx.
NOT_CODE = {"text", "{toctree}", "{eval-rst}"}
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
TWO_YEARS = {"start_at": str((TODAY - timedelta(days=729)).date()), "end_at": str(TODAY.date())}
FILES_LANDED = {
    "activity_backfill": 9,
    "crm_validation": 5,
    "every_contract": 2,
    "every_contract_in_one_call": 2,
    "profile_enrichment": 0,
    "member_token_alert": 0,
}
STORES = {"aws", "google_cloud_platform", "wasb", "sftp"}


def test_every_block_is_in_a_language_that_is_tested_here() -> None:
    assert {each.language for each in SNIPPETS} - NOT_CODE == {"python", "bash", "json", "sql"}


def test_no_two_dags_of_the_docs_share_a_name() -> None:
    assert len(DAGS) == sum(each.dag_id is not None for each in PYTHON)


# --- DAGs -------------------------------------------------------------------------------------------------


@pytest.fixture
def variables(snav_sandbox: Sandbox, s3_endpoint: str, tmp_path: Path) -> dict[str, str]:
    """What the DAGs of the docs read; ``aws_default`` is where README lands."""
    # A month of CRM records, whatever the day on which this runs.
    snav_sandbox.settings.clamp_crm_start = True
    keys = tmp_path / "keys.csv"
    keys.write_text("instance_id,partner,record_id\n" + "crm.example.com,MS,7\n" * 30)
    return {
        "AIRFLOW_CONN_AWS_DEFAULT": os.environ["AIRFLOW_CONN_LAKE"],
        "AIRFLOW_CONN_SNAV_DEFAULT": snav_sandbox.connection_json(),
        "AIRFLOW_VAR_SNAV_CONTRACT": "123456",
        "AIRFLOW_VAR_SNAV_CRM_INSTANCE": snav_sandbox.settings.crm_instances[0],
        "AIRFLOW_VAR_SNAV_LAKE": tmp_path.as_uri(),
        "AIRFLOW_VAR_SNAV_CONTACT_KEYS": keys.as_uri(),
        "AIRFLOW_VAR_SNAV_WAREHOUSE": str(tmp_path / "warehouse.db"),
        "AIRFLOW_VAR_SNAV_DUCKDB": str(tmp_path / "warehouse.duckdb"),
    }


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_dag_succeeds_and_lands_all_rows_of_its_jobs(
    airflow: RealAirflow, snav_sandbox: Sandbox, variables: dict[str, str], dag_id: str
) -> None:
    date = (TODAY - timedelta(days=3)).isoformat()
    done = airflow.run(dag_id, date, variables, TWO_YEARS if dag_id == "activity_backfill" else {})
    assert done.state == "success", f"{DAGS[dag_id].place}\n{done.log}"
    landings = {each["task_id"] for each in done.tasks if each["task_id"].endswith("land")}
    landed = [file for task in landings for files in done.mapped_xcoms(task) for file in files]
    assert {file["job_id"] for file in landed} == set(snav_sandbox.jobs)
    assert sum(file["rows"] for file in landed) == sum(
        file.rows for job_id in snav_sandbox.jobs for file in snav_sandbox.files(job_id)
    )
    assert len(landed) == FILES_LANDED.get(dag_id, 1)
    if dag_id in {"activity_to_warehouse", "activity_to_duckdb"}:
        assert done.xcom("load") == sum(file["rows"] for file in landed)
    if dag_id == "profile_enrichment":
        assert done.xcom("enrich")["keys"] == 30


# --- other Python -----------------------------------------------------------------------------------------


# The blocks of one page are one session.
SESSIONS = {page: list(blocks) for page, blocks in groupby(PLAIN, key=lambda each: each.page)}


@pytest.mark.parametrize("page", SESSIONS)
def test_the_other_python_of_a_page_runs_from_top_to_bottom(page: str, snav_sandbox: Sandbox) -> None:
    namespace = {"__name__": "page", "snav_sandbox": snav_sandbox}
    with patch.dict(os.environ):
        for block in SESSIONS[page]:
            # So that a traceback names the line of the page.
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, block.page, "exec", dont_inherit=True), namespace)  # noqa: S102
    assert snav_sandbox.requests or "sandbox" in namespace


def test_the_test_files_of_the_docs_pass_in_a_project_of_their_own(tested: Done) -> None:
    assert tested.returncode == 0, tested.output
    tests = [name for name in FILES if Path(name).name.startswith("test_")]
    assert f"{len(tests)} passed" in tested.output
    assert len(tests) >= 2


def test_a_complete_test_of_a_dag_is_less_than_twenty_lines() -> None:
    for name, snippet in FILES.items():
        if "/test_" in name:
            assert len([line for line in snippet.code.splitlines() if line.strip()]) < 20


# --- JSON -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", JSON, ids=lambda each: each.place)
def test_json_is_what_the_code_reads_or_writes(block: Snippet) -> None:
    value = json.loads(block.code)
    if "conn_type" not in value:
        landed = {field.name for field in fields(LandedFile) if field.default is not None}
        profile = {
            field.name for kind in (ProfileAssociationKey, ProfileAssociation) for field in fields(kind)
        }
        assert set(value) in (landed, profile | {"error"})
        return
    connection = Connection.from_json(block.code)
    if connection.conn_type == "snav":
        settings = settings_of(connection, connection.extra_dejson)
        assert settings.access_token or settings.client_secret
    else:
        assert connection.conn_type in STORES


# --- shell ------------------------------------------------------------------------------------------------


def test_the_quick_start_lands_a_file(toured: Done) -> None:
    assert toured.returncode == 0, toured.output
    assert "snav-tour/lake/activity/activity_contract-123456_" in toured.output
    assert "\nactivityId," in toured.output


OTHERS = [each for each in BASH if each.page != TOUR and not proved_elsewhere(each.code)]


@pytest.mark.parametrize("block", OTHERS, ids=lambda each: each.place)
def test_a_command_beside_the_quick_start_works_where_the_dags_are(
    block: Snippet, airflow: RealAirflow, tmp_path: Path
) -> None:
    home = {"AIRFLOW_HOME": str(airflow.home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    with started(shell(block.code), tmp_path, **home) as process:
        done = ended(process)
    assert done.returncode == 0, done.output


def test_every_exception_is_needed() -> None:
    for start in ELSEWHERE:
        assert any(line.startswith(start) for each in BASH for line in each.code.splitlines()), start
