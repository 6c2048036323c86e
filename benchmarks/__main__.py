"""Answer every question, and print its table as it is done.

``python -m benchmarks NAME ...`` answers the named ones only. ``python -m benchmarks --write`` answers all,
and writes all tables to ``RESULTS.md`` and their rows to ``docs/speed.md``.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Question, Row, number

QUESTIONS: tuple[str, ...] = (
    "landing",
    "landing_memory",
    "landing_parquet",
    "landing_s3",
    "landing_parts",
    "landing_folder",
    "triggerer",
    "polling",
    "imports",
    "worker_seconds",
    "associations",
)
"""Modules of this folder, in the order of the table; each has ``ask() -> list[Question]``."""

RESULTS = Path(__file__).with_name("RESULTS.md")
SPEED = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"

_PACKAGES = (
    "airflow-provider-snav",
    "apache-airflow",
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-dbt-cloud",
    "apache-airflow-providers-http",
    "boto3",
    "duckdb",
    "polars",
    "pyarrow",
)
_TOOLS = {"curl": "--version", "openssl": "version", "rclone": "version"}
"""Commands beside which ours is measured, and how to ask for their versions."""


def main(arguments: Sequence[str]) -> int:
    """Return 1 when a target was missed and nobody has said what the limit is, and 0 otherwise."""
    names = [name for name in arguments if name != "--write"]
    if names and len(names) < len(arguments):
        sys.exit("--write writes the tables of all questions: leave the names out.")
    questions: list[Question] = []
    with tempfile.TemporaryDirectory(prefix="snav-airflow-") as home:
        # Before any question imports Airflow. A machine's own netrc would put its logins into requests.
        os.environ |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "NETRC": os.devnull,
        }
        for name in names or QUESTIONS:
            for question in importlib.import_module(f"benchmarks.{name}").ask():
                print(table(question), flush=True)
                questions.append(question)
    if "--write" in arguments:
        written = _provenance()
        RESULTS.write_text(results(questions, written), encoding="utf-8")
        SPEED.write_text(with_summary(SPEED.read_text("utf-8"), questions, written), encoding="utf-8")
    skipped = [f"{question.title}: {question.skipped}" for question in questions if question.skipped]
    if skipped:
        print("NOT MEASURED:", *skipped, sep="\n  ", file=sys.stderr)
    missed = [
        f"{question.title}, beside {row.beside}"
        for question in questions
        for row in question.rows
        if not (row.met or row.note)
    ]
    if missed:
        print("Missed, and no row says what the limit is:", *missed, sep="\n  ", file=sys.stderr)
    return 1 if missed else 0


def results(questions: Sequence[Question], written: str) -> str:
    """All tables as one Markdown page.

    :param written: when, on what, with which versions.
    """
    head = (
        f"# What it costs\n\n{written} Medians (least to greatest) of runs taken in turns; the ratio is"
        " ours divided by theirs, so less is better. What is compared, and why that is fair, is said at the"
        " top of each question's module in this folder.\n\n"
    )
    return head + "\n".join(table(question) for question in questions)


def table(question: Question) -> str:
    """One question as a Markdown table; a missed target is in bold, with its note."""
    if question.skipped:
        return f"## {question.title}\n\nSkipped: {question.skipped}.\n"
    rows = [
        (row.beside, row.ours.text(row.unit), row.theirs.text(row.unit), *_verdict(row))
        for row in question.rows
    ]
    lines = [f"## {question.title}\n", *_markdown(("beside", "ours", "theirs", "ratio", "target"), rows)]
    notes = [f"\n{row.beside}: {row.note}" for row in question.rows if row.note and not row.met]
    return "\n".join([*lines, *notes, ""])


def with_summary(page: str, questions: Sequence[Question], written: str) -> str:
    """The page, with every row that has a target between its two marks.

    :param written: when, on what, with which versions.
    """
    rows = [
        (question.title, row.beside, f"{number(row.ours.median)} {row.unit}", *_verdict(row))
        for question in questions
        for row in question.rows
        if row.target is not None
    ]
    summary = _markdown(("question", "beside", "ours", "ratio", "target"), rows)
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([f"{before}{BEGIN}", *summary, f"\n{written}", f"{END}{after}"])


def _verdict(row: Row) -> tuple[str, str]:
    ratio = number(row.ratio)
    return ratio if row.met else f"**{ratio}**", "" if row.target is None else f"<= {number(row.target)}"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _provenance() -> str:
    versions = [f"{package} {version(package)}" for package in _PACKAGES] + _tools()
    return (
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, {', '.join(versions)}."
    )


def _tools() -> list[str]:
    answers = [
        subprocess.run([tool, asked], capture_output=True, check=True, text=True).stdout
        for tool, asked in _TOOLS.items()
        if shutil.which(tool)
    ]
    return [" ".join(answer.split()[:2]) for answer in answers]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
