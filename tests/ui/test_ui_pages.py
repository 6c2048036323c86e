"""What a person sees of us in Airflow's web page: the connection's form, runs, logs and asset events."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from local_airflow import wait_for
from up import Tour

from airflow_provider_snav.sandbox.faults import Delay

# The first test waits for Airflow to start.
pytestmark = pytest.mark.timeout(300)

Picture = Callable[..., None]


def test_the_form_asks_for_a_connection_in_our_words_and_hides_its_secrets(
    page: Any, picture: Picture
) -> None:
    form = new_connection(page)
    for label in ("API base URL", "OAuth client id", "Member access token"):
        form.get_by_text(label, exact=True).wait_for()
    for name in ("host", "port", "schema"):
        assert form.locator(f"[name={name}]").count() == 1
    secrets = [field.get_attribute("name") for field in form.locator("input[type=password]").all()]
    assert secrets == ["password", "element_client_secret", "element_refresh_token"]
    picture("connection-form", height=960)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for label in ("OAuth client secret", "OAuth token URL", "Further headers", "TLS verification"):
        form.get_by_text(label, exact=True).wait_for()
    picture("connection-form-extra", height=1420)


def test_a_connection_is_made_without_json_and_its_test_says_which_credentials_work(
    page: Any, there: Tour, picture: Picture
) -> None:
    sandbox = there.sandbox
    form = new_connection(page)
    form.locator("[name=connection_id]").fill("by_hand")
    form.locator("[name=host]").fill(sandbox.base_url)
    form.locator("[name=login]").fill(sandbox.client_id)
    form.locator("[name=password]").fill(sandbox.access_token)
    form.locator("[name=port]").fill(sandbox.base_url.removesuffix("/v2").rpartition(":")[2])
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.locator("[name=element_client_secret]").fill(sandbox.client_secret)
    form.locator("[name=element_token_url]").fill(sandbox.token_url)
    form.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="by_hand")
    row.get_by_role("button", name="Test Connection").click()
    page.get_by_text("The member token sees 3 contracts, 2 with reporting access.").wait_for()
    assert page.get_by_text("The OAuth client id and secret mint application tokens.").is_visible()
    picture("connection-test")


def test_the_grid_names_every_contract(page: Any, there: Tour, picture: Picture) -> None:
    run = finished_run(there, "snav_all_contracts")
    page.goto(f"/dags/snav_all_contracts/runs/{run}")
    page.get_by_text("5 Task Instances").wait_for()
    for contract in ("urn:li:contract:123456", "urn:li:contract:234567"):
        page.get_by_text(contract, exact=True).first.wait_for()
    picture("run")


def test_the_log_of_an_export_says_what_was_asked_and_what_became_of_it(page: Any, there: Tour) -> None:
    run = finished_run(there, "snav_activity_daily")
    page.goto(f"/dags/snav_activity_daily/runs/{run}/tasks/export")
    for said in ("Submitted: activity export of urn:li:contract:123456", "COMPLETED, 144 rows", "Complete:"):
        page.get_by_text(said).first.wait_for()


def test_an_asset_event_tells_what_landed(page: Any, there: Tour, picture: Picture) -> None:
    finished_run(there, "snav_activity_daily")
    page.goto("/assets")
    page.get_by_role("link", name="snav_activity", exact=True).click()
    # The extra is there as folded JSON.
    page.locator(".codicon-folding-collapsed").first.click()
    page.get_by_text("urn:li:contract:123456").first.wait_for()
    picture("asset-event")


def test_a_long_landing_says_how_far_it_is(page: Any, there: Tour, picture: Picture) -> None:
    for dag_id in ("snav_all_contracts", "snav_crm_validation", "snav_retry_policy", "snav_seats_weekly"):
        finished_run(there, dag_id)
    there.sandbox.settings.bulk_bytes = 16 * 2**20
    there.sandbox.fault("download", Delay(timedelta(seconds=5)), times=None)
    today = datetime.now(UTC).date()
    days = {"start_at": str(today - timedelta(days=725)), "end_at": str(today)}
    asked = {"logical_date": None, "conf": days}
    there.airflow.call("POST", "dags/snav_activity_range/dagRuns", asked)
    run = finished_run(there, "snav_activity_range")
    page.goto(f"/dags/snav_activity_range/runs/{run}/tasks/land")
    page.get_by_text(
        re.compile(r"Downloaded \d of 9 files so far, [\d.]+ MiB, [\d.]+ MiB/s")
    ).first.wait_for()
    page.get_by_text(re.compile(r"Landed \d+ rows, \d+ bytes: file:///")).first.wait_for()
    picture("landing-log", height=650)


def new_connection(page: Any) -> Any:
    """The empty form of our type."""
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    # Not a click: the placeholder lies in front of the field.
    form.get_by_role("combobox").focus()
    page.keyboard.type("LinkedIn Sales")
    page.keyboard.press("Enter")
    form.get_by_text("Standard Fields").wait_for()
    return form


def finished_run(there: Tour, dag_id: str) -> str:
    """The id of the only run of a DAG, once it has succeeded."""

    def succeeded() -> str | None:
        there.airflow.check()
        runs = there.airflow.call("GET", f"dags/{dag_id}/dagRuns")["dag_runs"]
        ended = [run["dag_run_id"] for run in runs if run["state"] == "success"]
        return ended[0] if ended else None

    return wait_for(f"a run of {dag_id} to succeed", succeeded, timeout=120)
