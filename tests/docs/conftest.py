"""What takes long begins with the first test, side by side: a fixture starts it, another awaits its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_runs import TOUR, Done, ended, proved_elsewhere, shell, started
from doc_snippets import BASH, DAGS, DOCS, FILES, ROOT
from real_airflow import RealAirflow

from airflow_provider_snav.sandbox.server import Sandbox


@pytest.fixture(scope="package")
def build_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="package", autouse=True)
def building(build_folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Begin to build the docs, as ``make docs`` does."""
    sphinx = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    with started([*sphinx, str(DOCS), str(build_folder)], ROOT) as process:
        yield process


@pytest.fixture(scope="package")
def built(building: subprocess.Popen[str], build_folder: Path) -> Path:
    done = ended(building)
    assert done.returncode == 0, done.output
    return build_folder


@pytest.fixture(scope="package", autouse=True)
def testing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Begin to run the test files the docs show, in a project that has nothing but them and their DAG.

    Its environment is not activated, and its DAG lies elsewhere than in the docs. With the wheel, and with
    the DAG in ``dags/``, tests of the package run the same files.
    """
    project = tmp_path_factory.mktemp("Projekt é 100% a#b")
    for name, code in {
        "pipelines/activity_daily.py": DAGS["activity_daily"].code,
        **{name: snippet.code.replace('/ "dags"', '/ "pipelines"') for name, snippet in FILES.items()},
    }.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(code)
    command = [sys.executable, "-m", "pytest", "-v", "--color=no"]
    with started(command, project, PATH=os.environ["PATH"]) as process:
        yield process


@pytest.fixture(scope="package")
def tested(testing: subprocess.Popen[str]) -> Done:
    return ended(testing)


@pytest.fixture(scope="package", autouse=True)
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    """An Airflow with all DAGs of the docs."""
    folder = tmp_path_factory.mktemp("dags")
    for dag_id, snippet in DAGS.items():
        (folder / f"{dag_id}.py").write_text(snippet.code)
    running = RealAirflow(folder.iterdir())
    yield running
    running.end()


@pytest.fixture(scope="package", autouse=True)
def touring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Begin the quick start, in a checkout where the block that installs has been followed."""
    checkout = tmp_path_factory.mktemp("Mein Ordner é 100% a#b")
    (checkout / "example_dags").symlink_to(ROOT / "example_dags")
    (checkout / "snav-tour" / "bin").mkdir(parents=True)
    (checkout / "snav-tour" / "bin" / "activate").touch()
    typed = [each.code for each in BASH if each.page == TOUR and not proved_elsewhere(each.code)]
    with Sandbox(speed=12_000) as sandbox:
        variables = {
            "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(),
            "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
        }
        with started(shell("\n".join(typed)), checkout, **variables) as process:
            yield process


@pytest.fixture(scope="package")
def toured(touring: subprocess.Popen[str]) -> Done:
    return ended(touring)
