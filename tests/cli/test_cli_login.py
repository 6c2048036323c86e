"""``login``: from nothing to a connection, and one clear sentence where that fails."""

from __future__ import annotations

import datetime as dt
import json
import os
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from cli_runs import Ran, Run, address_in, decide, parameter_of, secrets_of

from airflow_provider_snav.cli import login
from airflow_provider_snav.sandbox.server import Sandbox

Browser = Callable[[Callable[[str], object]], None]
DAY = dt.timedelta(days=1)


def connection_in(ran: Ran) -> dict[str, Any]:
    """The connection that was printed for a shell."""
    [_, assignment] = shlex.split(ran.out)
    variable, _, text = assignment.partition("=")
    assert variable == "AIRFLOW_CONN_SNAV_DEFAULT"
    return dict(json.loads(text))


def test_a_member_who_allows_gives_a_connection_with_its_end(
    run: Run, browser: Browser, callback: str, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser(decide)
    before = dt.datetime.now(dt.UTC)
    ran = run("login", "--redirect-uri", callback)
    assert ran.code == 0, ran.err
    connection = connection_in(ran)
    assert connection["host"] == snav_sandbox.base_url
    assert connection["password"] != snav_sandbox.access_token
    ends = dt.datetime.fromisoformat(connection["extra"]["expires_at"])
    assert abs(ends - before - 60 * DAY) < dt.timedelta(minutes=1)
    assert "in 59 days" in ran.err
    assert connection["password"] not in ran.err
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps(connection))
    assert run("check").code == 0


def test_a_refresh_token_is_kept_when_linkedin_gives_one_and_an_old_one_is_not(
    run: Run, browser: Browser, callback: str, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser(decide)
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", snav_sandbox.connection_json(refresh_token=True))
    without = json.loads(run("login", "--json", "--redirect-uri", callback).out)
    assert "refresh_token" not in without["extra"]
    snav_sandbox.settings.issue_refresh_tokens = True
    given = json.loads(run("login", "--json", "--redirect-uri", callback).out)
    assert given["extra"]["refresh_token"] == snav_sandbox.refresh_token


class Person:
    """A person with a browser elsewhere: reads the address from the terminal, answers on standard input.

    :param first: lines that are asked for before.
    :param answer: what they paste, given the address.
    """

    def __init__(self, first: list[str], answer: Callable[[str], str]) -> None:
        self.told = ""
        self._first = first
        self._answer = answer

    def isatty(self) -> bool:
        return False

    def readline(self) -> str:
        return self._first.pop(0) if self._first else self._answer(address_in(self.told))


def ended(address: str) -> str:
    """Where the browser of a member ends who allows the access."""
    return decide(address, follow=False).headers["location"]


@pytest.fixture
def paste(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """``login --paste`` with that person."""

    def paste(*arguments: str, first: tuple[str, ...] = (), answer: Callable[[str], str] = ended) -> Ran:
        person = Person(list(first), answer)

        def say(text: str) -> None:
            person.told += f"{text}\n"
            sys.stderr.write(text)

        monkeypatch.setattr(login, "say", say)
        return run("login", "--paste", *arguments, stdin=person)

    return paste


def test_on_a_machine_without_a_browser_the_last_address_is_pasted(
    paste: Callable[..., Ran], snav_sandbox: Sandbox
) -> None:
    elsewhere = "https://example.com/after-login?from=linkedin"
    snav_sandbox.settings.redirect_uris = (elsewhere,)
    ran = paste("--redirect-uri", elsewhere, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["extra"]["expires_at"]


def test_with_nothing_but_an_application_its_id_and_secret_are_read_from_standard_input(
    paste: Callable[..., Ran], snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "snav", "host": snav_sandbox.base_url}
    extra = {"token_url": snav_sandbox.token_url}
    monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", json.dumps({**connection, "extra": extra}))
    ran = paste("--json", first=(snav_sandbox.client_id, snav_sandbox.client_secret))
    assert ran.code == 0, ran.err
    printed = json.loads(ran.out)
    assert printed["login"] == snav_sandbox.client_id
    assert printed["extra"]["client_secret"] == snav_sandbox.client_secret


# --- failures ---------------------------------------------------------------------------------------------


def deny(address: str) -> object:
    return decide(address, "deny")


def say_nothing(address: str) -> object:
    state = parameter_of(address, "state")
    return requests.get(redirect_of(address), params={"state": state}, timeout=10)


def look_elsewhere(address: str) -> object:
    """Open other pages of this machine, as browsers do."""
    return requests.get(redirect_of(address).replace("/callback", "/favicon.ico"), timeout=10)


def redirect_of(address: str) -> str:
    return parameter_of(address, "redirect_uri")


@pytest.mark.parametrize(
    ("act", "arguments", "sentence"),
    [
        (deny, [], "The access was not allowed (user_cancelled_authorize: "),
        (say_nothing, [], "The answer holds no code."),
        (look_elsewhere, ["--timeout", "0.3"], "within 0.3 seconds."),
        (decide, ["--scope", "r_liteprofile"], "LinkedIn does not allow these scopes for this application"),
    ],
    ids=["denied", "no code", "no answer", "a scope too many"],
)
def test_an_answer_that_is_no_consent_is_told_in_one_sentence(
    run: Run,
    browser: Browser,
    callback: str,
    snav_sandbox: Sandbox,
    act: Callable[[str], object],
    arguments: list[str],
    sentence: str,
) -> None:
    browser(act)
    ran = run("login", "--redirect-uri", callback, *arguments)
    assert ran.code == 1
    assert sentence in ran.err
    assert ran.err.rstrip().endswith("explain authentication)")
    assert not ran.out
    assert not any(secret in ran.err for secret in secrets_of(snav_sandbox))


@pytest.mark.parametrize("query", ["", "?code=stolen&state=mine", "?error=access_denied&state=mine"])
def test_a_request_that_is_not_of_this_login_does_not_end_it(
    run: Run, browser: Browser, callback: str, query: str
) -> None:
    answers: list[int] = []

    def preview_then_decide(address: str) -> object:
        """Request the redirect address as a link preview or an old tab does, then allow the access."""
        answers.append(requests.get(redirect_of(address) + query, timeout=10).status_code)
        return decide(address)

    browser(preview_then_decide)
    ran = run("login", "--redirect-uri", callback)
    assert (ran.code, answers) == (0, [400]), ran.err


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("AQTqX3mZ", "Use the whole address at which the browser ended."),
        ("http://localhost:8401/callback", "Use the whole address at which the browser ended."),
        (
            "http://localhost:8401/callback?code=stolen&state=mine",
            "The `state` in the answer is not the one this login sent. Nothing was exchanged.",
        ),
    ],
    ids=["a bare code", "no query", "another state"],
)
def test_an_address_that_is_not_the_answer_to_this_login_is_not_exchanged(
    paste: Callable[..., Ran], snav_sandbox: Sandbox, pasted: str, sentence: str
) -> None:
    ran = paste(answer=lambda _: pasted)
    assert ran.code == 1
    assert sentence in ran.err
    assert pasted not in ran.err
    assert not snav_sandbox.requests


def test_a_wrong_client_secret_is_told_in_one_sentence(
    run: Run, browser: Browser, callback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser(decide)
    monkeypatch.setenv("SNAV_CLIENT_SECRET", "not-this-one")
    ran = run("login", "--redirect-uri", callback)
    assert ran.code == 1
    assert "LinkedIn does not accept the client secret" in ran.err
    assert "not-this-one" not in ran.err


@pytest.mark.parametrize("when", ["used", "expired"])
def test_a_code_that_is_no_longer_good_is_told_in_one_sentence(
    paste: Callable[..., Ran], snav_sandbox: Sandbox, when: str
) -> None:
    def answer(address: str) -> str:
        location = ended(address)
        if when == "expired":
            snav_sandbox.advance(dt.timedelta(minutes=30))
        else:
            form = {"client_id": snav_sandbox.client_id, "client_secret": snav_sandbox.client_secret}
            form |= {"grant_type": "authorization_code", "redirect_uri": redirect_of(address)}
            form["code"] = parameter_of(location, "code")
            assert requests.post(snav_sandbox.token_url, data=form, timeout=10).ok
        return location

    ran = paste(answer=answer)
    assert ran.code == 1
    assert "A code works once, within 30 minutes, and with the same redirect address." in ran.err
    assert "code=" not in ran.err


def test_a_port_that_is_taken_is_told_before_the_browser_opens(
    run: Run, browser: Browser, snav_sandbox: Sandbox
) -> None:
    opened: list[str] = []
    browser(opened.append)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("login", "--redirect-uri", f"http://localhost:{port}/callback")
    assert ran.code == 1
    assert f"Port {port} of this machine cannot be used (Address already in use)." in ran.err
    assert not opened
    assert not snav_sandbox.requests


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--redirect-uri", "https://example.com/callback"], "Add --paste"),
        (["--timeout", "-1"], "--timeout -1 is not a number of seconds"),
        (["--redirect-uri", "http://localhost:99999/callback"], "is not an absolute http or https address"),
        (["--redirect-uri", "callback"], "is not an absolute http or https address"),
        (["--redirect-uri", "http://localhost:8401/callback#top"], "address without #"),
        (["--paste"], "Nothing was given for: The address at which the browser ended"),
        (["--client-id", "another", "--paste"], "Nothing was given for: Client secret"),
        (
            ["--conn-id", "nobodys"],
            "No connection 'nobodys' was found. The command begins with an empty one.",
        ),
        (["--conn-id", "warehouse"], "The connection 'warehouse' is of type 'postgres', not 'snav'."),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_give(
    run: Run, snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://user:password@example.com/db")
    ran = run("login", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert not snav_sandbox.requests


# --- a new user, with nothing -----------------------------------------------------------------------------


def test_a_new_user_saves_a_connection_and_no_secret_is_left_anywhere(
    snav_sandbox: Sandbox, callback: str, tmp_path: Path
) -> None:
    connection = json.loads(snav_sandbox.connection_json(access_token=False))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONN_START": json.dumps(connection),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("AIRFLOW_CONN_SNAV_DEFAULT")
    ours = [sys.executable, "-m", "airflow_provider_snav"]
    command = [*ours, "login", "--conn-id", "start", "--save", "snav_default", "--no-browser"]
    command += ["--redirect-uri", callback]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "Run airflow db migrate first" in refused.stderr
    subprocess.run(
        [Path(sys.executable).with_name("airflow"), "db", "migrate"],
        env=environment,
        capture_output=True,
        check=True,
    )

    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database, database:
        database.execute(
            "INSERT INTO connection (conn_id, conn_type, is_encrypted, is_extra_encrypted)"
            " VALUES ('warehouse', 'postgres', 0, 0)"
        )
    overwriting = [name.replace("snav_default", "warehouse") for name in command]
    refused = subprocess.run(overwriting, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "The connection 'warehouse' is of type 'postgres', not 'snav'." in refused.stderr
    assert "/oauth/v2/authorization?" not in refused.stderr

    seen: list[str] = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        told = ""
        while "/oauth/v2/authorization?" not in told:
            told += process.stderr.readline()
        watch = threading.Thread(target=_watch, args=(process, seen))
        watch.start()
        decide(address_in(told))
        out, err = process.communicate()
        watch.join()
    assert (process.returncode, out) == (0, ""), err
    assert "The connection 'snav_default' has a new member token. It expires on " in err

    checked = subprocess.run(
        [*ours, "check", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["member"]["days_left"] == 59
    [granted] = {
        request.headers["authorization"][0].removeprefix("Bearer ")
        for request in snav_sandbox.requests
        if request.kind == "contracts"
    }
    told = "".join([*seen, told, err, checked.stdout, checked.stderr])
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (granted, snav_sandbox.client_secret):
        assert secret not in told
        assert secret.encode() not in files


def _watch(process: subprocess.Popen[str], seen: list[str]) -> None:
    """Read what ``ps`` shows of it."""
    while process.poll() is None:
        seen.append(Path(f"/proc/{process.pid}/cmdline").read_text())
        time.sleep(0.02)
