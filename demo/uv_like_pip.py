"""Runs uv with pip's settings, which uv does not read by itself.

``python demo/uv_like_pip.py pip install ...`` installs into the environment of that Python. A mirror, a CA
certificate or a proxy that only pip knows is passed on to uv. Where uv cannot install, pip tries.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import ChainMap
from collections.abc import Sequence
from pathlib import Path

# Each of uv's variables, by the setting of pip that it stands for, and what is between two values. These are
# names: an address is read from pip's own configuration, and none is kept here.
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
    """Pip's settings as variables of uv's environment."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    sections: dict[str, dict[str, str]] = {":env:": {}, "install": {}, "global": {}}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in sections:
            sections[section][key] = ast.literal_eval(value)
    # The first section that has a key wins.
    found = ChainMap(*sections.values())
    settings = {
        name: between.join(found[key].split()) for key, (name, between) in _SAME.items() if found.get(key)
    }
    if "UV_INDEX" in settings:
        # As pip does: the newest version of all indexes.
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return settings


def environment() -> dict[str, str]:
    """The environment for uv; what is set in it already stays."""
    settings = pip_settings()
    if not _can_cache():
        settings["UV_NO_CACHE"] = "1"
    return {**settings, **os.environ}


def main(arguments: Sequence[str]) -> int:
    """Run uv; where it does not install, run pip."""
    installs = list(arguments[:2]) == ["pip", "install"]
    here = ["--python", sys.executable] if installs else []
    code = subprocess.run(
        [sys.executable, "-m", "uv", *arguments, *here], env=environment(), check=False
    ).returncode
    if code and installs:
        print("uv could not install this. Trying pip, which takes a minute or two.", file=sys.stderr)
        same = [each for each in arguments[1:] if each != _UV_ONLY]
        # A pip that installs for the user alone cannot install into an environment.
        code = subprocess.run([sys.executable, "-m", "pip", *same, "--no-user"], check=False).returncode
    return code


def _can_cache() -> bool:
    """Whether uv can write to its cache folder, or make it."""
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
