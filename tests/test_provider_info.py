"""Airflow can discover this provider, and likes what it finds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from airflow_provider_snav import __version__
from airflow_provider_snav.get_provider_info import get_provider_info

PACKAGE_NAME = "airflow-provider-snav"

# One process for all of it: each command would otherwise pay for importing Airflow again.
ASK_AIRFLOW = """
import contextlib, io, json, sys
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from airflow.cli import cli_parser

answers = {}
for command in sys.argv[1:]:
    arguments = cli_parser.get_parser().parse_args(["providers", *command.split(), "--output", "json"])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        arguments.func(arguments)
    answers[command] = json.loads(printed.getvalue())
answers["form"] = [form.model_dump() for form in HookMetaService.hook_meta_data()]
print(json.dumps(answers))
"""

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def connection_type() -> dict[str, Any]:
    only: dict[str, Any]
    [only] = _info()["connection-types"]
    return only


@pytest.fixture(scope="module")
def airflow_says(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """The rows each ``airflow providers`` command prints, and the ``form`` rows the UI asks for."""
    commands = ["list", f"get {PACKAGE_NAME}", "hooks", "behaviours", "widgets", "triggers"]
    asked = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW, *commands],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    answers: dict[str, Rows] = json.loads(asked.stdout.splitlines()[-1])
    return answers


def _info() -> Any:
    return get_provider_info()


def _schema(name: str) -> Any:
    return json.loads(files("airflow").joinpath(name).read_text(encoding="utf-8"))


def test_the_description_satisfies_the_schema_airflow_checks_at_run_time() -> None:
    jsonschema.validate(_info(), _schema("provider_info.schema.json"))


def test_every_section_satisfies_the_strict_schema_of_the_community_providers() -> None:
    strict = _schema("provider.yaml.schema.json")
    for section, value in _info().items():
        schema = {**strict["properties"][section], "definitions": strict["definitions"]}
        jsonschema.validate(value, schema)


def test_the_form_fields_are_valid_json_schemas(connection_type: dict[str, Any]) -> None:
    for field in connection_type["conn-fields"].values():
        jsonschema.Draft7Validator.check_schema(field["schema"])
        assert field["description"].endswith(".")


def test_every_secret_of_the_form_is_a_password_field(connection_type: dict[str, Any]) -> None:
    fields = connection_type["conn-fields"].items()
    passwords = [name for name, field in fields if field["schema"].get("format") == "password"]
    assert passwords == ["client_secret", "refresh_token"]


def test_the_form_of_older_airflows_hides_and_renames_the_same_fields(
    connection_type: dict[str, Any],
) -> None:
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

    # Airflow looks only at what the class itself defines.
    assert "get_ui_field_behaviour" in vars(SalesNavigatorHook)
    older = SalesNavigatorHook.get_ui_field_behaviour()
    newer = connection_type["ui-field-behaviour"]
    assert older["hidden_fields"] == newer["hidden-fields"]
    assert older["relabeling"] == newer["relabeling"]


def test_the_installed_distribution_announces_this_function_under_its_own_name() -> None:
    [entry] = [
        entry for entry in entry_points(group="apache_airflow_provider") if entry.load() is get_provider_info
    ]
    assert entry.dist is not None
    canonical = re.sub(r"[-_.]+", "-", entry.dist.name).lower()
    assert _info()["package-name"] == canonical == PACKAGE_NAME


def test_importing_the_description_imports_nothing_else() -> None:
    script = """
import sys
before = set(sys.modules)
from airflow_provider_snav.get_provider_info import get_provider_info
get_provider_info()
print(*sorted(set(sys.modules) - before))
"""
    added = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert added.split() == ["airflow_provider_snav", "airflow_provider_snav.get_provider_info"]


def test_exactly_the_modules_named_after_the_service_are_listed() -> None:
    listed = {
        module
        for kind in ("operators", "sensors", "hooks", "triggers")
        for integration in _info()[kind]
        for module in integration["python-modules"]
    } | {transfer["python-module"] for transfer in _info()["transfers"]}
    package = files("airflow_provider_snav")
    present = {
        f"airflow_provider_snav.{kind}.{file.name.removesuffix('.py')}"
        for kind in ("operators", "sensors", "hooks", "triggers", "transfers")
        for file in package.joinpath(kind).iterdir()
        if file.name.startswith("sales_navigator")
    }
    assert listed == present


def test_airflow_lists_the_provider(airflow_says: dict[str, Rows]) -> None:
    versions = {row["package_name"]: row["version"] for row in airflow_says["list"]}
    assert versions[PACKAGE_NAME] == __version__


def test_airflow_finds_the_provider_by_its_name(airflow_says: dict[str, Rows]) -> None:
    assert airflow_says[f"get {PACKAGE_NAME}"] == [{"Provider": PACKAGE_NAME, "Version": __version__}]


def test_airflow_imports_the_hook_and_no_other_provider_claims_its_connection_type(
    airflow_says: dict[str, Rows],
) -> None:
    assert [row for row in airflow_says["hooks"] if row["connection_type"] == "snav"] == [
        {
            "connection_type": "snav",
            "class": "airflow_provider_snav.hooks.sales_navigator.SalesNavigatorHook",
            "conn_id_attribute_name": "snav_conn_id",
            "package_name": PACKAGE_NAME,
            "hook_name": "LinkedIn Sales Navigator",
        }
    ]


def test_airflow_has_a_behaviour_for_the_standard_fields(airflow_says: dict[str, Rows]) -> None:
    assert {"field_behaviours": "snav"} in airflow_says["behaviours"]


def test_airflow_has_a_widget_for_every_field_of_our_own(
    airflow_says: dict[str, Rows], connection_type: dict[str, Any]
) -> None:
    shown = {row["connection_parameter_name"] for row in airflow_says["widgets"]}
    assert {f"extra__snav__{name}" for name in connection_type["conn-fields"]} <= shown


def test_airflow_lists_the_trigger_module(airflow_says: dict[str, Rows]) -> None:
    rows = [row["class"] for row in airflow_says["triggers"] if row["package_name"] == PACKAGE_NAME]
    assert rows == ["airflow_provider_snav.triggers.sales_navigator"]


def test_the_connection_form_shows_our_labels_and_every_field(
    airflow_says: dict[str, Rows],
) -> None:
    [form] = [form for form in airflow_says["form"] if form["connection_type"] == "snav"]
    assert form["hook_name"] == "LinkedIn Sales Navigator"
    standard = form["standard_fields"]
    assert standard["host"]["title"] == "API base URL"
    assert standard["host"]["placeholder"] == "https://api.linkedin.com/v2"
    assert standard["login"]["title"] == "OAuth client id"
    assert standard["password"]["title"] == "Member access token"
    assert not [name for name, field in standard.items() if field and field["hidden"]]
    assert standard["port"]["placeholder"].startswith("443")
    assert list(form["extra_fields"]) == [
        "client_secret",
        "refresh_token",
        "expires_at",
        "token_url",
        "download_hosts",
        "headers",
        "http_timeout",
        "tls_verify",
    ]
