"""``make release`` refuses what must not be released, and says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from release.decisions import RefusedError, check_api_step, check_changelog, parsed

GIT = shutil.which("git") or "git"
ROOT = Path(__file__).resolve().parent.parent.parent
ENTRY = "# Changelog\n\n## 0.2.0 - 2026-11-28\n\n- It exports.\n\n## 0.1.0 - 2026-11-22\n\n- It begins.\n"
API = "class Hook\n    run\n"


def test_a_dated_newest_entry_is_a_changelog() -> None:
    check_changelog(ENTRY, "0.2.0")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ENTRY.replace("2026-11-28", "unreleased"), "'0.2.0 - unreleased'"),
        (ENTRY.replace("0.2.0", "0.3.0"), "'0.3.0 - 2026-11-28'"),
        (ENTRY.replace("- It exports.", ""), "does not say what 0.2.0 changes"),
        ("# Changelog\n", "'none'"),
    ],
)
def test_a_changelog_without_the_version_is_refused(text: str, told: str) -> None:
    with pytest.raises(RefusedError, match=told):
        check_changelog(text, "0.2.0")


@pytest.mark.parametrize("version", ["", "0.2", "v0.2.0", "0.2.0rc1", "0.2.0.1"])
def test_a_version_is_three_numbers(version: str) -> None:
    with pytest.raises(RefusedError, match="Give three numbers"):
        parsed(version)


@pytest.mark.parametrize(
    ("previous", "smallest", "too_small", "after"),
    [
        ("0.1.0", "0.1.1", "0.1.0", API),
        ("0.1.0", "0.2.0", "0.1.9", f"{API}    close\n"),
        ("0.1.0", "0.2.0", "0.1.9", "class Hook\n"),
        ("1.4.2", "1.4.3", "1.4.2", API),
        ("1.4.2", "1.5.0", "1.4.9", f"{API}    close\n"),
        ("1.4.2", "2.0.0", "1.9.0", API.replace("run", "start")),
    ],
)
def test_the_version_rises_with_the_public_api(
    previous: str, smallest: str, too_small: str, after: str
) -> None:
    check_api_step(previous, smallest, API, after)
    with pytest.raises(RefusedError, match=r"too small a step|does not follow"):
        check_api_step(previous, too_small, API, after)


@pytest.mark.parametrize(
    ("address", "change", "told"),
    [
        ("", [], "The project has no address yet"),
        (
            "https://example.com/o/n",
            ["rm", "--cached", ".gitignore"],
            "Commit or remove what is",
        ),
        ("https://example.com/o/n", ["commit", "--allow-empty", "-m", "later"], "released already"),
    ],
)
def test_the_command_refuses_before_it_installs_anything(
    tmp_path: Path, address: str, change: list[str], told: str
) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        subprocess.run([GIT, *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    shutil.copytree(ROOT / "release", tmp_path / "release")
    (tmp_path / ".gitignore").write_text("__pycache__\n")
    hook = f'[tool.hatch.metadata.hooks.custom]\nrepository = "{address}"\n'
    (tmp_path / "pyproject.toml").write_text(hook)
    git("init")
    git("add", "--all")
    git("commit", "-m", "one")
    git("tag", "v9.9.9")
    if change:
        git(*change)
    done = subprocess.run(
        [sys.executable, "-m", "release", "9.9.9"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "demo")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert told in done.stdout
