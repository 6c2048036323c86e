"""``check``, ``contracts``, ``explain``, and the same below ``airflow snav``."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Run, secrets_of

from airflow_provider_snav._clock import now
from airflow_provider_snav.cli.commands import COMMANDS
from airflow_provider_snav.cli.explain import read_sections
from airflow_provider_snav.hooks import requests_transport
from airflow_provider_snav.sandbox.faults import http_error
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.tokens import Scope

DAY = dt.timedelta(days=1)


def connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, **changes: Any) -> None:
    connection = {**json.loads(sandbox.connection_json()), **changes}
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(connection))


def test_check_says_what_each_credential_can_do(run: Run, snav_sandbox: Sandbox) -> None:
    ran = run("check")
    assert ran.code == 0
    lines = dict(line.split("\t", 1) for line in ran.out.splitlines())
    assert list(lines) == ["member token", "scopes", "application token", "download hosts", "clock"]
    assert lines["member token"].startswith("ok\tThe member token sees 3 contracts, 2 with reporting access.")
    assert lines["member token"].endswith("in 59 days.")
    assert lines["scopes"].endswith("r_sales_nav_analytics, r_sales_nav_display")
    assert lines["application token"] == "ok\tThe OAuth client id and secret mint application tokens."
    assert lines["clock"].startswith("ok\t")
    assert not any(secret in ran.out + ran.err for secret in secrets_of(snav_sandbox))


def test_check_answers_scripts_in_json(run: Run, snav_sandbox: Sandbox) -> None:
    told = json.loads(run("check", "--json").out)
    assert told["works"] is True
    assert told["member"]["days_left"] == 59
    assert told["member"]["scopes"] == ["r_sales_nav_analytics", "r_sales_nav_display"]
    named = f"localhost:{snav_sandbox.port}"
    assert told["download_hosts"] == ["*.linkedin.com", "*.licdn.com", named]
    assert abs(told["clock_seconds_ahead"]) <= 1


def test_check_fails_where_a_credential_does_not_work(run: Run, snav_sandbox: Sandbox) -> None:
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    ran = run("check")
    assert ran.code == 1
    assert "member token\tFAILED\tCould not list the contracts (HTTP 401" in ran.out
    assert "application token\tok" in ran.out


def test_check_says_which_scope_is_missing(
    run: Run, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    snav_sandbox.settings.enforce_scopes = False
    connect(monkeypatch, snav_sandbox, password=snav_sandbox.issue_token(Scope.DISPLAY))
    assert "r_sales_nav_display; exports need r_sales_nav_analytics" in run("check").out


def test_check_says_how_to_learn_the_scopes_only_where_that_helps(
    run: Run, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = "Unknown. Give the connection the client id and secret of the token's application"
    connect(monkeypatch, snav_sandbox, login=None, extra={})
    assert f"scopes\t\t{advice}" in run("check").out
    snav_sandbox.revoke_token(snav_sandbox.access_token)
    ran = run("check")
    assert "scopes\t\tUnknown.\n" in ran.out
    assert "clock\t-\tNot compared, because no member token works.\n" in ran.out
    connect(monkeypatch, snav_sandbox, password=None)
    assert "scopes\t\t-\n" in run("check").out


def test_check_compares_the_clocks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_transport, "now", lambda: now() + dt.timedelta(minutes=5))
    [clock] = [line for line in run("check").out.splitlines() if line.startswith("clock")]
    assert re.fullmatch(r"clock\tWRONG\tthis machine's clock is 30[012] seconds ahead of LinkedIn's", clock)


def test_contracts_lists_those_one_may_export(run: Run) -> None:
    lines = run("contracts").out.splitlines()
    assert lines[0] == "contract\tname\tdescription\treporting access"
    assert [line.split("\t")[0][-6:] for line in lines[1:]] == ["123456", "234567"]
    assert len(json.loads(run("contracts", "--all", "--json").out)) == 3


@pytest.mark.parametrize("command", ["check", "contracts"])
def test_a_failure_is_one_sentence_and_its_section(run: Run, snav_sandbox: Sandbox, command: str) -> None:
    ran = run(command, "--conn-id", "nobody_made_this")
    assert ran.code == 1
    assert ran.err.startswith("There is no connection 'nobody_made_this'")
    assert ran.err.endswith("explain configuration)\n")
    snav_sandbox.fault("contracts", http_error(403), times=None)
    assert run("contracts").code == 1


@pytest.mark.parametrize("section", [*read_sections(), "(see docs/errors.md#row-count"])
def test_explain_prints_the_section_a_message_names(run: Run, section: str) -> None:
    ran = run("explain", section)
    assert ran.code == 0
    assert len(ran.out.splitlines()) > 2
    told = json.loads(run("explain", section, "--json").out)
    assert ran.out == f"{told['title']}\n\n{told['text']}\n"


def test_explain_lists_its_sections_and_knows_what_was_meant(run: Run) -> None:
    assert "row-count\tRow count" in run("explain").out.splitlines()
    assert json.loads(run("explain", "--json").out) == list(read_sections())
    ran = run("explain", "rowcount")
    assert (ran.code, ran.out) == (2, "")
    assert "Did you mean row-count?" in ran.err


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["contracts", "--nothing"]])
def test_wrong_usage_ends_with_2(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "usage:" in ran.err


def test_a_reader_that_wants_no_more_is_no_reason_for_a_traceback() -> None:
    command = f"{sys.executable} -m airflow_provider_snav explain --json | true"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    assert not ended.stderr


# --- airflow snav -----------------------------------------------------------------------------------------


def _airflow(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("airflow"), *arguments],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_airflow_has_the_same_commands(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    shown = _airflow(tmp_path, "snav", "--help").stdout
    for command in COMMANDS:
        assert command.help in shown
    contracts = _airflow(tmp_path, "snav", "contracts", "--json")
    assert contracts.returncode == 0, contracts.stderr
    assert len(json.loads(contracts.stdout)) == 2
    assert _airflow(tmp_path, "snav", "explain", "nothing").returncode == 2


def test_every_airflow_command_pays_for_two_small_modules_of_ours() -> None:
    """Airflow imports a provider's commands with each of its own."""
    script = (
        "import sys, airflow.cli.cli_parser; before = set(sys.modules);"
        "from airflow_provider_snav.cli.airflow_commands import get_commands; get_commands();"
        "print(*(set(sys.modules) - before))"
    )
    # With this variable Airflow itself leaves out the commands of providers.
    environment = {**os.environ, "AIRFLOW_PACKAGE_NAME": "apache-airflow"}
    added = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in added if name.startswith("airflow_provider_snav")}
    assert {name.partition(".")[0] for name in set(added) - ours} <= sys.stdlib_module_names
    assert ours <= {
        "airflow_provider_snav",
        "airflow_provider_snav.cli",
        "airflow_provider_snav.cli.airflow_commands",
        "airflow_provider_snav.cli.commands",
        "airflow_provider_snav.cli.main",
    }
