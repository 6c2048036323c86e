"""What the tests of the commands share."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests

from airflow_provider_snav.sandbox.server import Sandbox

TODAY = dt.datetime.now(dt.UTC).date()
WEEK = ("--from", str(TODAY - dt.timedelta(days=9)), "--to", str(TODAY - dt.timedelta(days=2)))
CONTRACT = ("--contract", "123456")
CRM = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
SUBMITS = "The same command submits it. (see"
GOES_ON = "The same command continues this export and submits only the missing jobs. (see"


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]
Export = Callable[..., Ran]


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


def rows_in(lake: Path) -> int:
    """How many rows have landed."""
    return sum(len(list(csv.reader(io.StringIO(file.read_text())))) - 1 for file in lake.glob("*.csv"))
