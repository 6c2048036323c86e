"""The wheel in an environment that had nothing: Airflow finds the provider, and it goes without a trace."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_snippets import BASH, DAGS, FILES
from package_builds import ROOT, UV, Built
from registry import registry_environment

from airflow_provider_snav import __version__


class Environment:
    """A virtual environment in which nothing of the checkout is importable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")

    def run(self, *command: str | Path) -> str:
        """What a command prints."""
        known = {name: value for name, value in registry_environment().items() if "AIRFLOW_" not in name}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**known, "AIRFLOW_HOME": str(self.folder / "airflow")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def uv_pip(self, *arguments: str | Path) -> str:
        return self.run(UV, "pip", arguments[0], "--quiet", "--python", self.bin("python"), *arguments[1:])

    def bin(self, name: str) -> Path:
        return self.folder / "venv" / "bin" / name

    def files(self) -> Iterator[str]:
        """All that is installed, but for what Python compiles."""
        for path in (self.folder / "venv").rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                yield str(path.relative_to(self.folder))


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("Projekt é a#b"))
    (made.folder / "dist").mkdir()
    shutil.copy(built.wheel, made.folder / "dist")
    [line] = [
        line
        for block in BASH
        if block.page == "docs/testing.md"
        for line in block.code.splitlines()
        if "dist/*.whl" in line
    ]
    # As the page has it, but quicker.
    pip = f'pip() {{ "{UV}" pip "$@" --quiet --python venv --constraint "{ROOT}/constraints.txt"; }}'
    made.run("/bin/bash", "-euc", f"{pip}\n{line}")
    return made


def test_all_that_is_installed_fits_together(environment: Environment) -> None:
    environment.uv_pip("check")


def test_airflow_finds_the_provider(environment: Environment) -> None:
    found = environment.run(environment.bin("airflow"), "providers", "get", "airflow-provider-snav")
    assert __version__ in found
    assert "airflow-provider-snav" in found


@pytest.mark.timeout(300)  # It sets up a database, too.
def test_the_tests_the_docs_show_pass_with_it_in_an_environment_that_is_not_activated(
    environment: Environment,
) -> None:
    files = {"dags/activity_daily.py": DAGS["activity_daily"], **FILES}
    for name, snippet in files.items():
        (environment.folder / name).parent.mkdir(exist_ok=True)
        (environment.folder / name).write_text(snippet.code)
    told = environment.run(environment.bin("python"), "-m", "pytest", "--color=no", "tests")
    assert f"{sum('/test_' in name for name in files)} passed" in told


def test_an_error_is_explained_where_no_checkout_is(environment: Environment) -> None:
    told = environment.run(environment.bin("python"), "-m", "airflow_provider_snav", "explain", "row-count")
    assert told.startswith("Row count\n\n- **What happened:**")


def test_uninstalling_leaves_nothing(environment: Environment, built: Built) -> None:
    before = set(environment.files())
    environment.uv_pip("uninstall", "airflow-provider-snav")
    left = set(environment.files())
    assert {name for name in left if "snav" in name} == set()
    assert {name for name in before - left if "snav" not in name} == set()
