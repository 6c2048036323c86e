"""What a person sees in front of a browser when ``login`` asks for their consent."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_snav.sandbox.server import Sandbox


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """An empty tab, without an Airflow behind it."""
    context = chromium.new_context()
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("button", ["Allow", "Deny"])
def test_a_member_presses_a_button_and_the_terminal_goes_on(
    tab: Any, snav_sandbox: Sandbox, button: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        callback = f"http://localhost:{free.getsockname()[1]}/callback"
    snav_sandbox.settings.redirect_uris = (callback,)
    command = [sys.executable, "-m", "airflow_provider_snav", "login", "--no-browser", "--json"]
    with subprocess.Popen(
        [*command, "--redirect-uri", callback],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        told = ""
        while not (address := re.search(r"^  (http://\S+)\n", told, re.MULTILINE)):
            told += process.stderr.readline()
        tab.goto(address[1])
        assert tab.get_by_role("listitem").all_inner_texts() == [
            "r_sales_nav_analytics",
            "r_sales_nav_display",
        ]
        tab.get_by_role("button", name=button).click()
        tab.get_by_text("Close this page and return to the terminal.").wait_for()
        out, err = process.communicate(timeout=30)
    if button == "Allow":
        assert process.returncode == 0, err
        assert json.loads(out)["extra"]["expires_at"]
    else:
        assert (process.returncode, out) == (1, "")
        assert "The access was not allowed (user_cancelled_authorize" in err
