"""Answer every question, print its table as it is done, and write them where readers look.

``python -m benchmarks`` writes all tables to ``RESULTS.md`` and their rows to ``docs/speed.md``;
``python -m benchmarks NAME ...`` answers the named ones only and writes nothing.
"""

from __future__ import annotations

import importlib
import os
import platform
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
)


def main(names: Sequence[str]) -> int:
    """Return 1 when a target was missed and nobody has said what the limit is, and 0 otherwise."""
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
    if not names:
        written = _provenance()
        RESULTS.write_text(results(questions, written), encoding="utf-8")
        SPEED.write_text(with_summary(SPEED.read_text("utf-8"), questions, written), encoding="utf-8")
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
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return (
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
