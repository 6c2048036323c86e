"""The tables of supported versions say what ran, and the package claims no more."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from matrix_report import MARKED, README, RESULTS, ROOT, SUPPORT, TABLES, load, with_tables
from run_matrix import AIRFLOWS, Airflow

NEWEST = "3.3"
"""The newest Airflow that is released."""


@pytest.mark.parametrize(("page", "tables"), [(README, {"cells"}), (SUPPORT, set(TABLES))])
def test_the_tables_are_those_of_the_results(page: Path, tables: set[str]) -> None:
    text = page.read_text(encoding="utf-8")
    assert {name for _, name, _ in MARKED.findall(text)} == tables
    assert text == with_tables(text)


@pytest.mark.parametrize("airflow", AIRFLOWS, ids=lambda airflow: airflow.name)
def test_every_supported_airflow_passed_wherever_it_was_tried(airflow: Airflow) -> None:
    tried = [each for each in load(RESULTS) if each["airflow"] == airflow.name and each["checks"]]
    assert tried
    assert airflow.may_fail or [each["python"] for each in tried if not each["passed"]] == []


def test_the_package_names_the_pythons_it_passed_on() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        classifiers = tomllib.load(file)["project"]["classifiers"]
    claimed = {each.removeprefix("Programming Language :: Python :: ") for each in classifiers}
    passed = {each["python"] for each in load(RESULTS) if each["airflow"] == NEWEST and each["passed"]}
    assert {each for each in claimed if each.startswith("3.")} == passed
