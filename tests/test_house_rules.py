"""The rules of the house that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import airflow_provider_snav

PACKAGE = Path(airflow_provider_snav.__file__).parent
ROOT = PACKAGE.parent
PURE = ("api", "exports")
ROOMS = ("operators", "sensors", "triggers", "transfers")

# What can reach the world, or differ from one run to the next. The clock is not in this list because
# `datetime` itself is a fine type: CLOCKS names the calls.
IMPURE_MODULES = {
    "aiohttp", "airflow", "asyncio", "http", "httpx", "io", "logging", "multiprocessing", "os", "pathlib",
    "random", "requests", "secrets", "select", "shutil", "socket", "ssl", "subprocess", "tempfile",
    "threading", "time", "urllib3", "uuid", "yarl",
}  # fmt: skip
IMPURE_SUBMODULES = {"urllib.request"}
CLOCKS = {"now", "utcnow", "today", "yesterday", "tomorrow"}
IMPURE_BUILTINS = {"open", "print", "input"}

HEAVY = {
    "adlfs", "aiohttp", "boto3", "botocore", "gcsfs", "openlineage", "pyarrow", "requests", "s3fs",
    "starlette", "uvicorn", "yarl", "zstandard",
}  # fmt: skip


# Airflow brings the first two, pytest loads its own plugin, and the extras' providers bring the others.
COME_WITH_ANOTHER = {"sqlalchemy", "fsspec", "pytest", "asyncssh", "azure"}


def _sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _own_files() -> Iterator[Path]:
    for folder in ("airflow_provider_snav", "benchmarks", "demo", "example_dags", "release", "tests"):
        yield from _sources(ROOT / folder)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _own_imports(source: Path) -> Iterator[str]:
    """What a file imports of this package, by names within it. A relative import keeps its dot."""
    for name in _imports(ast.parse(source.read_text(encoding="utf-8"))):
        if name.startswith((f"{PACKAGE.name}.", ".")):
            yield name.removeprefix(f"{PACKAGE.name}.")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _core() -> pytest.MarkDecorator:
    sources = [source for room in PURE for source in _sources(PACKAGE / room)]
    return pytest.mark.parametrize("source", sources, ids=_name)


@_core()
def test_the_core_imports_nothing_that_can_reach_the_world(source: Path) -> None:
    found = {
        name
        for name in _imports(ast.parse(source.read_text(encoding="utf-8")))
        if name.partition(".")[0] in IMPURE_MODULES or name in IMPURE_SUBMODULES
    }
    assert not found


@_core()
def test_the_core_imports_nothing_of_this_package_but_the_core(source: Path) -> None:
    allowed = ("api.", "exports.") if source.is_relative_to(PACKAGE / "exports") else ("api.",)
    assert not {name for name in _own_imports(source) if not f"{name}.".startswith(allowed)}


@_core()
def test_the_core_never_looks_at_a_clock_and_never_reads_or_prints(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS]
    found += [call.id for call in calls if isinstance(call, ast.Name) and call.id in IMPURE_BUILTINS]
    assert not found


def test_importing_what_a_dag_file_imports_loads_no_http_or_storage_library() -> None:
    modules = [
        module.name
        for kind in ("operators", "sensors", "triggers", "transfers")
        for module in pkgutil.iter_modules([str(PACKAGE / kind)], prefix=f"airflow_provider_snav.{kind}.")
    ]
    assert len(modules) >= 4
    script = (
        f"import sys, airflow.sdk; before = set(sys.modules); import {', '.join(modules)};"
        "print(*(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    assert set(modules) <= set(loaded)
    assert HEAVY.isdisjoint(loaded)


def test_airflow_is_imported_from_the_one_module_that_knows_its_versions() -> None:
    found = {
        f"{_name(source)}: {name}"
        for source in _sources(PACKAGE)
        # Airflow itself imports the second, with each of its commands, and the door would be too heavy there.
        if source not in (PACKAGE / "_compat.py", PACKAGE / "cli" / "airflow_commands.py")
        for name in _imports(ast.parse(source.read_text(encoding="utf-8")))
        if name.partition(".")[0] == "airflow"
    }
    assert not found


@pytest.mark.parametrize("source", _sources(PACKAGE / "storage"), ids=_name)
def test_storage_knows_nothing_of_linkedin_but_the_errors_it_raises(source: Path) -> None:
    allowed = ("storage.", "_compat.", "_private.", "api.errors.")
    assert not {name for name in _own_imports(source) if not f"{name}.".startswith(allowed)}


@pytest.mark.parametrize("room", ROOMS)
def test_what_dag_authors_import_never_imports_one_another(room: str) -> None:
    others = tuple(f"{other}." for other in ROOMS if other != room)
    found = {name for source in _sources(PACKAGE / room) for name in _own_imports(source)}
    assert not {name for name in found if f"{name}.".startswith(others)}


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        re.split(r"[\[<>=~!; ]", requirement)[0]
        for requirements in (project["dependencies"], *project["optional-dependencies"].values())
        for requirement in requirements
    }
    trees = [ast.parse(path.read_text()) for path in _sources(PACKAGE)]
    imported = {name.partition(".")[0] for tree in trees for name in _imports(tree)}
    foreign = imported - sys.stdlib_module_names - COME_WITH_ANOTHER - {"", "airflow", PACKAGE.name}
    distributions = packages_distributions()
    assert {name for name in foreign if declared.isdisjoint(distributions[name])} == set()


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        _name(source)
        for source in _own_files()
        if not ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_no_file_leaves_work_for_later() -> None:
    marks = tuple("".join(letters) for letters in (("TO", "DO"), ("FIX", "ME"), ("X", "XX")))
    found = [
        f"{_name(source)}:{number}"
        for source in _own_files()
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1)
        if any(mark in line for mark in marks)
    ]
    assert not found
