"""From the results of the matrix and its neighbours to tables in the README and in ``docs/support.md``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path(__file__).with_name("results.json")
INSTALLS = Path(__file__).with_name("installs.json")
STRANGERS = Path(__file__).with_name("strangers.json")
README = ROOT / "README.md"
SUPPORT = ROOT / "docs" / "support.md"
MARKED = re.compile(r"(<!-- make test-\w+: (\w+) -->\n\n).*?(\n\n<!-- up to here -->)", re.DOTALL)
"""Where a table stands in a page, with its name."""

Result: TypeAlias = dict[str, Any]

# Commands that take less everywhere are not worth a row.
_WORTH_A_ROW_SECONDS = 2

# What differs from one Airflow to the next, and the check that found out.
FEATURES = {
    "Durable tasks": "jobs_are_remembered_or_not",
    "Watermarks": "watermark_moves_or_is_refused",
    "Retry policies": "dag_files_parse",
    "Asset events": "asset_events_say_what_landed",
    "Lineage": "lineage_says_what_landed",
    "Connection form": "connection_form_is_ours",
}


def load(file: Path) -> list[Result]:
    """What was kept in a file; nothing if it is not there."""
    if not file.exists():
        return []
    found: list[Result] = json.loads(file.read_text(encoding="utf-8"))
    return found


def keep(file: Path, result: Result, *keys: str) -> None:
    """Keep a result in the place of the one with the same values of these keys."""

    def key(each: Result) -> list[str]:
        return [each[name] for name in keys]

    others = [each for each in load(file) if key(each) != key(result)]
    ordered = sorted([*others, result], key=key)
    file.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def save_result(result: Result) -> None:
    """Keep it in its place; a cell that was not tried leaves what an earlier run found."""
    cells = {(old["airflow"], old["python"]): old for old in load(RESULTS)}
    cell = result["airflow"], result["python"]
    if result["checks"] or cell not in cells:
        cells[cell] = result
    ordered = sorted(cells.values(), key=lambda each: (_rank(each["airflow"]), _rank(each["python"])))
    RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def write_tables() -> None:
    """Write the tables of both pages."""
    for page in (README, SUPPORT):
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(page: str) -> str:
    """A page with every marked table replaced by that of the results."""
    return MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", page)


def cells_table() -> str:
    """A row for each Airflow, a column for each Python that ran."""
    results = load(RESULTS)
    pythons = sorted({result["python"] for result in results}, key=_rank)
    rows = [["Airflow", *(f"Python {python}" for python in pythons), "ran on"]]
    for name, ran in _by_airflow(results).items():
        cells = {result["python"]: result for result in ran}
        rows.append(
            [
                _title(name, ran),
                *(_outcome(cells.get(python)) for python in pythons),
                max(result["date"] for result in ran if result["checks"]),
            ]
        )
    return _table(rows)


def features_table() -> str:
    rows = [["Airflow", *FEATURES]]
    for name, ran in _by_airflow(load(RESULTS)).items():
        checks = _last(ran)["checks"]
        found = (checks.get(check, {"found": "", "passed": False}) for check in FEATURES.values())
        rows.append([_title(name, ran), *(each["found"] if each["passed"] else "failed" for each in found)])
    return _table(rows)


def installs_table() -> str:
    """A row for each line, documented ones first."""
    results = load(INSTALLS)
    lines = sorted({each["line"] for each in results}, key=lambda line: ("--dry-run" in line, line))
    rows = [["line", "oldest pip", "newest pip", "ran on"]]
    for line in lines:
        ran = {each["pip"]: each for each in results if each["line"] == line}
        cells = (_took(ran[name]) if name in ran else "" for name in ("oldest", "newest"))
        rows.append([f"`{line}`", *cells, max(each["date"] for each in ran.values())])
    return _table(rows)


def strangers_table() -> str:
    """A row for each command, a column for each Debian and Python."""
    cells = load(STRANGERS)
    rows = [["typed", *(f"Debian {each['debian']}, Python {each['python']}" for each in cells)]]
    for typed in dict.fromkeys(step["typed"] for each in cells for step in each["steps"]):
        took = [next((step for step in each["steps"] if step["typed"] == typed), None) for each in cells]
        if any(step and max(step["seconds"], step["cpu"]) >= _WORTH_A_ROW_SECONDS for step in took):
            rows.append([f"`{typed}`", *(_seconds(step) if step else "" for step in took)])
    rows.append(["all of it", *(_took(each) for each in cells)])
    rows.append(["ran on", *(each["date"] for each in cells)])
    return _table(rows)


TABLES: dict[str, Callable[[], str]] = {
    "cells": cells_table,
    "features": features_table,
    "installs": installs_table,
    "strangers": strangers_table,
}


def _took(result: Result) -> str:
    return _seconds(result) if result["passed"] else f"**failed** {_seconds(result)}"


def _seconds(result: Result) -> str:
    return f"{result['cpu']} ({result['seconds']})"


def _by_airflow(results: list[Result]) -> dict[str, list[Result]]:
    names = dict.fromkeys(result["airflow"] for result in results)
    return {name: [result for result in results if result["airflow"] == name] for name in names}


def _title(name: str, ran: list[Result]) -> str:
    exact = _last(ran)["versions"].get("airflow", name)
    return f"{exact}, lower bounds" if name == "floor" else exact


def _last(ran: list[Result]) -> Result:
    """The one on the newest Python that was tried."""
    return [result for result in ran if result["checks"]][-1]


def _outcome(result: Result | None) -> str:
    if result is None:
        return ""
    if not result["checks"]:
        return "not tried"
    return "passed" if result["passed"] else "**failed**"


def _table(rows: list[list[str]]) -> str:
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def _rank(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("."))) if version[0].isdigit() else ()
