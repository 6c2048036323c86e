"""The sdist and the wheel hold what they should and nothing else, and what pip shows of them is complete."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from fnmatch import fnmatch

import pytest
from package_builds import ROOT, Built

from airflow_provider_snav import __version__

INFO = f"airflow_provider_snav-{__version__}.dist-info"

# Whoever has the sdist can do all a checkout can, but for what only concerns the repository.
FOLDERS = ("airflow_provider_snav", "benchmarks", "demo", "docs", "example_dags", "release", "tests")
FILES = (
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "constraints.txt",
    "pyproject.toml",
)
LEFT_BEHIND = ("*/__pycache__/*", "*.pyc", "*/.*")


@pytest.fixture(scope="module")
def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as wheel:
        return Parser().parsestr(wheel.read(f"{INFO}/METADATA").decode())


def files_of(*folders: str) -> Iterator[str]:
    """Those of the checkout, without what tools leave behind."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and not any(fnmatch(name, pattern) for pattern in LEFT_BEHIND):
                yield name


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
    info = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    guide = "airflow_provider_snav/cli/errors.md"
    assert names == {*files_of("airflow_provider_snav"), guide, *info, f"{INFO}/licenses/LICENSE"}
    assert "airflow_provider_snav/py.typed" in names


def test_the_sdist_holds_what_a_checkout_needs_and_nothing_else(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    assert names == {*files_of(*FOLDERS), *FILES, "PKG-INFO"}


def test_the_sdist_builds_the_wheel_the_checkout_builds(built: Built) -> None:
    assert built.wheel.read_bytes() == built.direct.read_bytes()


def test_the_sdist_names_no_package_registry(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        texts = {
            member.name: file.read()
            for member in sdist.getmembers()
            if not member.name.endswith(".png") and (file := sdist.extractfile(member))
        }
    registry = re.compile(rb"https?://[^\s\"']+/simple\b")
    assert [name for name, text in texts.items() if registry.search(text)] == []


def test_the_address_of_the_project_has_one_place(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        named = [
            member.name.partition("/")[2]
            for member in sdist.getmembers()
            if (file := sdist.extractfile(member))
            and re.search(rb"https?://[^\s\"']+/airflow[-_]provider[-_]snav", file.read())
        ]
    assert set(named) <= {"pyproject.toml", "PKG-INFO"}


def test_the_metadata_names_the_package_and_what_it_runs_on(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("airflow-provider-snav", __version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {
        "Framework :: Apache Airflow",
        "Framework :: Apache Airflow :: Provider",
        "Framework :: Pytest",
        "Programming Language :: Python :: 3.11",
        "Typing :: Typed",
    } <= set(metadata.get_all("Classifier", []))


def test_the_entry_points_are_the_provider_and_the_pytest_plugin(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        text = wheel.read(f"{INFO}/entry_points.txt").decode()
    assert re.findall(r"^\[(.+)\]$", text, re.MULTILINE) == ["apache_airflow_provider", "pytest11"]


def test_every_extra_is_explained_in_the_readme(metadata: Message) -> None:
    [install] = re.findall(r"^## Install$(.+?)^## ", metadata.get_payload(), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.+?) \|", install, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(metadata.get_all("Provides-Extra", []))


def test_the_long_description_is_the_readme(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    if not metadata.get_all("Project-URL"):
        assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
