"""What ``make build`` makes, and where."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from registry import registry_environment

ROOT = Path(__file__).resolve().parent.parent.parent
UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Built:
    """The archives.

    :param direct: a wheel built from the checkout, without an sdist between.
    """

    wheel: Path
    sdist: Path
    direct: Path


def build(folder: Path) -> Built:
    """Build all three."""
    # Without --wheel or --sdist, uv builds the sdist and from that the wheel.
    for arguments in (["--out-dir", folder], ["--wheel", "--out-dir", folder / "direct"]):
        _build(*arguments, ROOT)
    wheel, sdist, direct = (next(folder.glob(kind)) for kind in ("*.whl", "*.tar.gz", "direct/*.whl"))
    return Built(wheel, sdist, direct)


def build_with_address(sdist: Path, address: str, folder: Path) -> Path:
    """The wheel of the same tree once its maintainer has written an address into ``pyproject.toml``."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    project = tree / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    project.write_text(re.sub(r'^repository = ".*"$', f'repository = "{address}"', text, flags=re.MULTILINE))
    _build("--wheel", "--out-dir", folder / "addressed", tree)
    return next(folder.glob("addressed/*.whl"))


def _build(*arguments: str | Path) -> None:
    command = [UV, "build", "--quiet", *arguments]
    subprocess.run(command, env=registry_environment(), check=True, capture_output=True)
