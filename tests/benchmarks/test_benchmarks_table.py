"""What `make bench` writes says what was measured, and which targets were missed."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import benchmarks.__main__ as bench
from benchmarks.__main__ import BEGIN, END, SPEED, results, table, with_summary
from benchmarks.measure import Question, Row, Sample, alternate

MET = Row("a loop", Sample((1.0, 2.0, 9.0)), Sample((8.0,)), "s", 1 / 4)
MISSED = Row("the wire", Sample((3.0,)), Sample((2.0,)), "s", 1.0, note="The wire is the limit.")
WITHOUT_TARGET = Row("the server alone", Sample((4.0,)), Sample((2.0,)), "s", None)
QUESTION = Question("Landing", [MET, MISSED, WITHOUT_TARGET])


def test_a_table_has_medians_spreads_ratios_and_targets_and_a_missed_one_stands_out() -> None:
    assert table(QUESTION).splitlines() == [
        "## Landing",
        "",
        "| beside | ours | theirs | ratio | target |",
        "| --- | --- | --- | --- | --- |",
        "| a loop | 2.00 s (1.00 to 9.00) | 8.00 s | 0.250 | <= 0.250 |",
        "| the wire | 3.00 s | 2.00 s | **1.50** | <= 1.00 |",
        "| the server alone | 4.00 s | 2.00 s | 2.00 |  |",
        "",
        "the wire: The wire is the limit.",
    ]


def test_a_question_this_machine_cannot_answer_says_why() -> None:
    assert table(Question("Landing", (), skipped="curl is not installed")) == (
        "## Landing\n\nSkipped: curl is not installed.\n"
    )


def test_all_tables_follow_the_versions_they_were_measured_with() -> None:
    page = results([QUESTION, Question("Waiting", [MET])], "Written today.")
    assert page.startswith("# What it costs\n\nWritten today. ")
    assert page.index("## Landing") < page.index("## Waiting")


def test_the_page_gets_every_row_with_a_target_and_keeps_all_else() -> None:
    page = f"before\n{BEGIN}\nwhat was there\n{END}\nafter\n"
    once = with_summary(page, [QUESTION], "Written today.")
    assert once.startswith(
        f"before\n{BEGIN}\n| question | beside | ours | ratio | target |\n| --- | --- | --- | --- | --- |\n"
        "| Landing | a loop | 2.00 s | 0.250 | <= 0.250 |\n"
        "| Landing | the wire | 3.00 s | **1.50** | <= 1.00 |\n\n"
    )
    assert once.endswith(f"\n\nWritten today.\n{END}\nafter\n")
    assert with_summary(once, [QUESTION], "Written today.") == once


def test_our_page_has_the_place_for_it() -> None:
    page = SPEED.read_text(encoding="utf-8")
    assert 0 < page.index(BEGIN) < page.index(END)


@pytest.mark.parametrize(("rehearse", "counted"), [(True, (2.0, 3.0)), (False, (1.0, 2.0))])
def test_runs_take_turns_and_a_rehearsal_does_not_count(rehearse: bool, counted: tuple[float, ...]) -> None:
    order: list[str] = []

    def run(name: str) -> Callable[[], float]:
        def taken() -> float:
            order.append(name)
            return float(order.count(name))

        return taken

    taken = alternate({"ours": run("ours"), "theirs": run("theirs")}, 2, rehearse=rehearse)
    assert taken == {"ours": Sample(counted), "theirs": Sample(counted)}
    assert order == ["ours", "theirs"] * (2 + rehearse)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0106, "0.0106 s"),
        (12.345, "12.3 s"),
        (123.4, "123 s"),
        (999.7, "1,000 s"),
        (1234567.0, "1,234,567 s"),
    ],
)
def test_a_figure_has_three_digits_and_is_no_power_of_ten(value: float, text: str) -> None:
    assert Sample((value,)).text("s") == text


@pytest.fixture
def questions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[list[Question]], tuple[Path, Path]]:
    """Makes the benchmark ask these, and write to two files that it returns."""

    def asked(answers: list[Question]) -> tuple[Path, Path]:
        module = ModuleType("benchmarks.asked")
        module.ask = lambda: answers  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        results, speed = tmp_path / "RESULTS.md", tmp_path / "speed.md"
        results.touch()
        speed.write_text(f"{BEGIN}\n{END}\n")
        # The groups of the benchmark and of the tests install different packages.
        changed = {"QUESTIONS": ("asked",), "RESULTS": results, "SPEED": speed, "_PACKAGES": ("pytest",)}
        for name, value in changed.items():
            monkeypatch.setattr(bench, name, value)
        for name in (
            "AIRFLOW_HOME",
            "AIRFLOW__CORE__LOAD_EXAMPLES",
            "AIRFLOW__LOGGING__LOGGING_LEVEL",
            "NETRC",
        ):
            # The benchmark sets it; this puts it back.
            monkeypatch.setenv(name, os.environ.get(name, ""))
        return results, speed

    return asked


def test_pages_are_written_only_if_asked(questions: Any) -> None:
    results, speed = questions([Question("Landing", [MET])])
    assert bench.main([]) == 0
    assert (results.read_text(), speed.read_text()) == ("", f"{BEGIN}\n{END}\n")
    assert bench.main(["--write"]) == 0
    assert "## Landing" in results.read_text()
    assert re.search(r"pytest \d", speed.read_text())
    assert bool(re.search(r", curl \d", speed.read_text())) is (shutil.which("curl") is not None)
    assert "| Landing | a loop |" in speed.read_text()
    with pytest.raises(SystemExit, match="leave the names out"):
        bench.main(["asked", "--write"])


def test_what_was_not_measured_is_said_at_the_end(questions: Any, capsys: pytest.CaptureFixture[str]) -> None:
    questions([Question("Landing on S3, beside `rclone copyurl`", (), skipped="rclone is not installed")])
    assert bench.main([]) == 0
    said = capsys.readouterr().err
    assert said == "NOT MEASURED:\n  Landing on S3, beside `rclone copyurl`: rclone is not installed\n"
