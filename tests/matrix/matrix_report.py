"""From the results of the matrix to the tables in the README and in ``docs/support.md``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path(__file__).with_name("results.json")
README = ROOT / "README.md"
SUPPORT = ROOT / "docs" / "support.md"
BEGIN = "<!-- written by make test-matrix -->"
END = "<!-- up to here -->"

Result: TypeAlias = dict[str, Any]

# What differs from one Airflow to the next, and the check that found out.
FEATURES = {
    "Durable tasks": "jobs_are_remembered_or_not",
    "Watermarks": "watermark_moves_or_is_refused",
    "Retry policies": "dag_files_parse",
    "Asset events": "asset_events_say_what_landed",
    "Lineage": "lineage_says_what_landed",
    "Connection form": "connection_form_is_ours",
}

PAGE = """# Supported versions

This page is written by `make test-matrix`, from what ran. A cell is an environment of its own with the built
wheel, that Airflow, and nothing of a checkout. *passed* means that there

- the installed packages agree with each other;
- Airflow discovers the provider, its connection type and its form, and all public names can be imported;
- the example DAGs parse;
- an activity export, deferred, and an activity and a CRM validation export that hold their worker run through
  `airflow dags test` against the sandbox, and every exported row lands;
- what needs a newer Airflow says so and submits nothing.

{cells}

In an empty cell nothing ran, as a rule because that Airflow does not support that Python; *not tried* is one
for which the machine had no interpreter. *Lower bounds* has the oldest version of every dependency the
package claims to work with. Airflow 3.4 is not released yet: it is tried, and may fail.

Airflow's documentation says to install it with its constraints file, and old versions need it: today's
libraries break them. The matrix goes without one and pins FastAPI below 0.117 for Airflow 3.0, FastAPI below
0.137 and svcs below 26 for 3.2, and universal-pathlib below 0.3 for 2.11.0 and 3.0.

## What differs

{features}

- Without durable tasks every try submits its jobs again, and the message of a failed try says so.
- Without watermarks the argument is refused before any call: "watermark needs Airflow 3.3 or later".
- Retry policies are Airflow's own. Without them the example `snav_retry_policy` does not import, and its
  import error says what is missing; the other examples are not concerned.
- Asset events of a landing carry its rows, times and URIs. On Airflow 3.0 they were not tried, because its
  `airflow dags test` runs no task that has an asset. Lineage is what OpenLineage's provider sends.
- Where the connection form has no fields of our own, write them into *Extra* as JSON.
"""


def load_results() -> list[Result]:
    """What every cell answered when it last ran."""
    if not RESULTS.exists():
        return []
    found: list[Result] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def save_result(result: Result) -> None:
    """Keep it in its place; a cell that was not tried leaves what an earlier run found."""
    cells = {(old["airflow"], old["python"]): old for old in load_results()}
    cell = result["airflow"], result["python"]
    if result["checks"] or cell not in cells:
        cells[cell] = result
    ordered = sorted(cells.values(), key=lambda each: (_rank(each["airflow"]), _rank(each["python"])))
    RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def write_tables() -> None:
    """Write both tables."""
    results = load_results()
    SUPPORT.parent.mkdir(exist_ok=True)
    SUPPORT.write_text(support_page(results), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8"), results), encoding="utf-8")


def support_page(results: list[Result]) -> str:
    """``docs/support.md``."""
    return PAGE.format(cells=cells_table(results), features=_features_table(results))


def with_table(readme: str, results: list[Result]) -> str:
    """The README with its table between the two marks replaced."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{cells_table(results)}\n\n{END}{after}"


def cells_table(results: list[Result]) -> str:
    """A row for each Airflow, a column for each Python that ran."""
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


def _features_table(results: list[Result]) -> str:
    rows = [["Airflow", *FEATURES]]
    for name, ran in _by_airflow(results).items():
        checks = _last(ran)["checks"]
        found = (checks.get(check, {"found": "", "passed": False}) for check in FEATURES.values())
        rows.append([_title(name, ran), *(each["found"] if each["passed"] else "failed" for each in found)])
    return _table(rows)


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
