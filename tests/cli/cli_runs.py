"""What the tests of the commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import requests

from airflow_provider_snav.sandbox.server import Sandbox


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def decide(address: str, decision: str = "allow", *, follow: bool = True) -> requests.Response:
    """Press a button of the consent page at this address."""
    page = requests.get(address, timeout=10)
    if "<form" not in page.text:
        return page
    return requests.post(address, data={"decision": decision}, allow_redirects=follow, timeout=10)


def secrets_of(sandbox: Sandbox) -> list[str]:
    return [sandbox.access_token, sandbox.client_secret, sandbox.refresh_token]


def address_in(text: str) -> str:
    """The consent page's address, as ``login`` prints it."""
    [found] = re.findall(r"^  (http://\S+/oauth/v2/authorization\?\S+)$", text, re.MULTILINE)
    return str(found)


def parameter_of(address: str, name: str) -> str:
    """What an address says in its query."""
    [value] = parse_qs(urlsplit(address).query)[name]
    return value
