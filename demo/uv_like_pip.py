"""Runs uv with pip's settings, because uv does not read them.

``python demo/uv_like_pip.py pip install ...`` installs into the environment of that Python. A mirror, a CA
certificate or a proxy from pip's settings is passed on to uv. If uv cannot install, pip is used.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import ChainMap
from collections.abc import Sequence
from pathlib import Path

# For each setting of pip: the variable of uv, and the separator of several values. The values come from pip's
# own configuration; no address is kept here.
_SAME = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}
_UV_ONLY = "--compile-bytecode"


def pip_settings() -> dict[str, str]:
    """Pip's settings, as environment variables for uv."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    sections: dict[str, dict[str, str]] = {":env:": {}, "install": {}, "global": {}}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in sections:
            sections[section][key] = ast.literal_eval(value)
    # If several sections have a key, the first one is used.
    found = ChainMap(*sections.values())
    settings = {
        name: between.join(found[key].split()) for key, (name, between) in _SAME.items() if found.get(key)
    }
    if "UV_INDEX" in settings:
        # Like pip, choose the newest version from all indexes.
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return settings


def environment() -> dict[str, str]:
    """The environment for uv. Variables that are already set are not changed."""
    settings = pip_settings()
    if not _can_cache():
        settings["UV_NO_CACHE"] = "1"
    return {**settings, **os.environ}


def main(arguments: Sequence[str]) -> int:
    """Run uv. If it fails to install, run pip."""
    installs = list(arguments[:2]) == ["pip", "install"]
    here = ["--python", sys.executable] if installs else []
    code = subprocess.run(
        [sys.executable, "-m", "uv", *arguments, *here], env=environment(), check=False
    ).returncode
    if code and installs:
        print("uv could not install this. Trying pip, which takes a minute or two.", file=sys.stderr)
        same = [each for each in arguments[1:] if each != _UV_ONLY]
        # With pip's option --user, pip cannot install into an environment.
        code = subprocess.run([sys.executable, "-m", "pip", *same, "--no-user"], check=False).returncode
    return code


def _can_cache() -> bool:
    """Whether uv can create its cache folder and write to it."""
    if "UV_CACHE_DIR" in os.environ:
        return True
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "uv"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
