"""What ``make build`` makes, and where."""

from __future__ import annotations

import subprocess
import sys
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
        command = [UV, "build", "--quiet", *arguments, ROOT]
        subprocess.run(command, env=registry_environment(), check=True, capture_output=True)
    wheel, sdist, direct = (next(folder.glob(kind)) for kind in ("*.whl", "*.tar.gz", "direct/*.whl"))
    return Built(wheel, sdist, direct)
