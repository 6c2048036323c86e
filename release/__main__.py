"""``make release VERSION=x.y.z``: all that can be checked without an account, the archives, and the tag.

It uploads and pushes nothing. It leaves the archives in ``dist/`` and the bill of materials in
``build/release/``. A second run on the same commit makes the same archives.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from uv_like_pip import environment

from release.decisions import RefusedError, check_api_step, check_changelog, parsed

ROOT = Path(__file__).resolve().parent.parent
PYTHON, UV, NODE = (Path(sys.executable).with_name(name) for name in ("python", "uv", "node"))
TOOLS = ROOT / ".venv-release" / "bin"
ACTIONLINT = (
    ROOT / ".venv-release" / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"
)
PINS = (Path("constraints.txt"), Path("release/requirements.txt"))
WORK, DIST = ROOT / "build" / "release", ROOT / "dist"
SNAPSHOT, RECORDED = "tests/public_api/public_api.txt", "tests/public_api/recorded"
SCHEMAS = {
    "github-workflows": ".github/workflows/*.yml",
    "github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",
    "github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "dependabot": ".github/dependabot.yml",
    "readthedocs": ".readthedocs.yaml",
}


def main() -> int:
    """Take every step, or stop at the first that refuses."""
    version = sys.argv[1] if len(sys.argv) > 1 else ""
    for title, step in STEPS.items():
        print(f"{title} ... ", end="", flush=True)
        started = time.monotonic()
        try:
            step(version)
        except RefusedError as refusal:
            print(f"no.\n\n{refusal}")
            return 1
        print(f"yes, {time.monotonic() - started:.0f} s", flush=True)
    print("", *(f"{digest}  dist/{name}" for name, digest in hashes(DIST).items()), sep="\n")
    print(f"\nv{version} is ready, and nothing was uploaded. To publish it: git push origin HEAD v{version}")
    return 0


def check_address(_: str) -> None:
    """:raises RefusedError: nobody has said where the project lives."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if not project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"].startswith("https://"):
        raise RefusedError(
            "The project has no address yet. Write that of the repository, https://..., into pyproject.toml,"
            " [tool.hatch.metadata.hooks.custom], repository. docs/releasing.md has the other first steps."
        )


def check_tree(version: str) -> None:
    """:raises RefusedError: something is not committed, or another commit has the tag."""
    parsed(version)
    if changed := git("status", "--porcelain"):
        raise RefusedError(f"Commit or remove what is not committed:\n{changed}")
    if git("tag", "--list", f"v{version}") and commit(f"v{version}") != commit("HEAD"):
        raise RefusedError(f"Another commit has the tag v{version}: that version was released already.")


def check_version(version: str) -> None:
    """:raises RefusedError: the package or the changelog is at another version."""
    if f'__version__ = "{version}"' not in text_of("airflow_provider_snav/__init__.py"):
        raise RefusedError(f'airflow_provider_snav/__init__.py does not say __version__ = "{version}".')
    check_changelog(text_of("CHANGELOG.md"), version)


def make_tools(_: str) -> None:
    """Those of the tests, and those of a release in an environment of their own."""
    run("make", ".venv/.installed-test", ".venv-release/.installed")


def check_pins(_: str) -> None:
    """:raises RefusedError: the pinned versions no longer fit what ``pyproject.toml`` asks for."""
    shutil.rmtree(WORK, ignore_errors=True)
    for pins in PINS:
        (WORK / pins).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / pins, WORK / pins)
    run("make", "constraints", "UPGRADE=", f"INTO={WORK}/")
    if stale := [pins for pins in PINS if text_of(pins) != text_of(WORK / pins)]:
        raise RefusedError(f"Run make constraints and make test, and commit {stale[0]}: it no longer fits.")


def check_public_api(version: str) -> None:
    """:raises RefusedError: the API is not that of its snapshot, or the version is too small a step."""
    run(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/public_api")
    if released := [tag for tag in git("tag", "--list", "v*", "--merged").split() if tag != f"v{version}"]:
        last = max(released, key=lambda tag: parsed(tag.removeprefix("v")))
        before = git("show", f"{last}:{SNAPSHOT}")
        check_api_step(last.removeprefix("v"), version, before, text_of(SNAPSHOT).strip())
        if changed := git("diff", "--name-only", "--diff-filter=MD", last, "--", RECORDED):
            raise RefusedError(f"Released versions stored these. They must stay as they are:\n{changed}")


def check_repository_files(_: str) -> None:
    """:raises RefusedError: the repository host, the docs' host or pre-commit would not understand a file."""
    for schema, pattern in SCHEMAS.items():
        check = [TOOLS / "check-jsonschema", "--builtin-schema", f"vendor.{schema}"]
        run(*check, *sorted(ROOT.glob(pattern)))
    run(NODE, ACTIONLINT, ".github/workflows/*.yml")
    run(TOOLS / "zizmor", "--offline", "--no-progress", ".github")
    run(TOOLS / "pre-commit", "validate-config", ".pre-commit-config.yaml")


def make_docs(_: str) -> None:
    """The web site, without a warning."""
    run("make", "docs")


def make_archives(_: str) -> None:
    """:raises RefusedError: a build of this folder and one of a copy elsewhere differ."""
    copy = WORK / "copy"
    copy.mkdir(parents=True)
    run("git", "archive", "--output", WORK / "copy.tar", "HEAD")
    run("tar", "--extract", "--file", WORK / "copy.tar", "--directory", copy)
    build = [UV, "build", "--build-constraints", PINS[1]]
    when = git("log", "-1", "--format=%ct")
    for source, folder in ((ROOT, WORK / "here"), (copy, WORK / "elsewhere")):
        run(*build, "--out-dir", folder, source, SOURCE_DATE_EPOCH=when)
    if hashes(WORK / "here") != hashes(WORK / "elsewhere"):
        raise RefusedError(f"Two builds differ: compare the archives in {WORK}/here and {WORK}/elsewhere.")
    shutil.rmtree(DIST, ignore_errors=True)
    shutil.copytree(WORK / "here", DIST, ignore=shutil.ignore_patterns(".gitignore"))


def check_archives(_: str) -> None:
    """:raises RefusedError: a package index would refuse them, or they hold what they should not."""
    run(TOOLS / "twine", "check", "--strict", *archives())
    run(TOOLS / "check-wheel-contents", *DIST.glob("*.whl"))


def check_installs(_: str) -> None:
    """:raises RefusedError: the archives do not install, or do not export and land, with the bounds' ends."""
    sdist, wheel = archives()
    matrix = [PYTHON, "tests/matrix/run_matrix.py", "--python", "3.11"]
    run(*matrix, "--archive", wheel, "--airflow", "floor", "3.3")
    run(*matrix, "--archive", sdist, "--airflow", "3.3")


def make_bill_of_materials(version: str) -> None:
    """All that the wheel installs, at the versions the tests ran with, as CycloneDX."""
    venv, file = WORK / "venv", WORK / f"airflow-provider-snav-{version}.cdx.json"
    run(UV, "venv", venv)
    install = [UV, "pip", "install", "--python", venv / "bin" / "python", "--constraint", PINS[0]]
    run(*install, *DIST.glob("*.whl"))
    options = ["--pyproject", "pyproject.toml", "--mc-type", "library", "--output-reproducible"]
    run(TOOLS / "cyclonedx-py", "environment", *options, "--output-file", file, venv)
    bill = json.loads(text_of(file))
    # It does not know a version that is computed while building.
    component = {"version": version, "purl": f"pkg:pypi/airflow-provider-snav@{version}"}
    bill["metadata"]["component"] |= component
    file.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")


def make_tag(version: str) -> None:
    """Unless an earlier run made it."""
    if not git("tag", "--list", f"v{version}"):
        git("tag", "--annotate", "--message", f"Version {version}", f"v{version}")


STEPS: dict[str, Callable[[str], None]] = {
    "The project has an address": check_address,
    "Everything is committed, and the tag is free": check_tree,
    "Package and changelog are at this version": check_version,
    "The tools are installed": make_tools,
    "The pinned versions fit": check_pins,
    "The public API is written down, and the version rises with it": check_public_api,
    "Workflows, issue forms and configuration are valid": check_repository_files,
    "The docs build": make_docs,
    "Two builds are equal": make_archives,
    "The archives are sound": check_archives,
    "They work beside the oldest and the newest Airflow": check_installs,
    "The bill of materials is written": make_bill_of_materials,
    "The commit has its tag": make_tag,
}


def archives() -> list[Path]:
    """The sdist, then the wheel."""
    return [*DIST.glob("*.tar.gz"), *DIST.glob("*.whl")]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every archive, by name."""
    files = sorted([*folder.glob("*.tar.gz"), *folder.glob("*.whl")])
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def text_of(path: str | Path) -> str:
    """A file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def git(*arguments: str) -> str:
    """What git prints."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(name: str) -> str:
    """The id of the commit that a name stands for."""
    return git("rev-parse", f"{name}^{{commit}}")


def run(*command: str | Path, **variables: str) -> None:
    """Run a command in the repository.

    :raises RefusedError: it failed; with the end of what it printed.
    """
    inherited = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    line = [str(each) for each in command]
    done = subprocess.run(
        line,
        cwd=ROOT,
        env=inherited | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        end = f"It ended with {done.returncode}."
        raise RefusedError("\n".join([" ".join(line), *done.stdout.splitlines()[-40:], end]))


if __name__ == "__main__":
    sys.exit(main())
