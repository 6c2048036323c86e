"""The public API changes on purpose or not at all."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
from public_api_text import public_api

SNAPSHOT = Path(__file__).with_name("public_api.txt")
ADVICE = """
The public API is not what public_api.txt says. If that is a mistake, mend the code. If it is meant, run

    UPDATE_PUBLIC_API=1 python -m pytest tests/public_api

and commit the new public_api.txt with a line in CHANGELOG.md. What it means for the version:
- a name, an optional argument or a key is new: a new minor version;
- anything is gone, renamed, required, of another type or default: a new major version, below 1.0 a minor one;
- what Airflow stores may only gain keys that are optional when read: test_public_api_recorded.py sees to it.
"""


def test_the_public_api_is_that_of_the_snapshot() -> None:
    now = public_api()
    if os.environ.get("UPDATE_PUBLIC_API"):
        SNAPSHOT.write_text(now, encoding="utf-8")
    before = SNAPSHOT.read_text(encoding="utf-8")
    diff = "\n".join(
        difflib.unified_diff(before.splitlines(), now.splitlines(), "public_api.txt", "the code", lineterm="")
    )
    if diff:
        pytest.fail(f"\n{diff}\n{ADVICE}", pytrace=False)
