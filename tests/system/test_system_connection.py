"""What Airflow's API server makes of our connection type: the form it describes, and the Test button."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness import Deployment

from airflow_provider_snav.sandbox.server import Sandbox

# The first test waits for the deployment to start.
pytestmark = pytest.mark.timeout(300)


def press_test_button(airflow: Deployment, sandbox: Sandbox) -> tuple[bool, str]:
    """What the Test button answers to a connection that is not saved yet."""
    connection = json.loads(sandbox.connection_json())
    extra = json.dumps(connection.pop("extra"))
    said = airflow.call(
        "POST", "connections/test", {"connection_id": "not_saved", "extra": extra, **connection}
    )
    return said["status"], said["message"]


def test_the_page_hears_of_our_form_and_of_its_secrets(airflow: Deployment) -> None:
    forms: list[dict[str, Any]] = airflow.call("GET", "/ui/connections/hook_meta")
    [form] = [form for form in forms if form["connection_type"] == "snav"]
    assert form["hook_name"] == "LinkedIn Sales Navigator"
    assert form["standard_fields"]["password"]["title"] == "Member access token"
    fields = form["extra_fields"].items()
    secrets = [name for name, field in fields if field["schema"].get("format") == "password"]
    assert secrets == ["client_secret", "refresh_token"]


def test_the_test_button_says_what_each_credential_can_do(airflow: Deployment, snav_sandbox: Sandbox) -> None:
    works, message = press_test_button(airflow, snav_sandbox)
    assert works
    assert "The member token sees 3 contracts, 2 with reporting access." in message
    assert "The OAuth client id and secret mint application tokens." in message


def test_the_test_button_says_what_is_wrong_and_not_the_token(
    airflow: Deployment, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    works, message = press_test_button(airflow, snav_sandbox)
    assert not works
    assert "401" in message
    assert snav_sandbox.access_token not in message
