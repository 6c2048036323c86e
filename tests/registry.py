"""How the few tests that install something reach the package registry; all others stay on this machine."""

from __future__ import annotations

import os

from uv_like_pip import environment

# conftest.py imports this before it drops them.
_PROXIES = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def registry_environment() -> dict[str, str]:
    """The environment in which uv reaches what pip reaches."""
    return environment() | _PROXIES
