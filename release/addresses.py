"""A build's metadata: README and project URLs, made from the one address in ``pyproject.toml``.

A package index shows the README far from the files it links to, to people without a checkout. There its links
and pictures are absolute and lead to the tag of the version, and its install lines name the package. Without
an address the README stays as it is and there are no project URLs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"(!\[[^\]]*\]\()(?!https?:)([^)]+)")
LINK = re.compile(r"(\]\()(?!https?:)([^)]+)")
UNRELEASED = re.compile(r"<!-- until it is released -->.*?<!-- up to here -->\n", re.DOTALL)


class AddressesHook(MetadataHookInterface):
    """Hatchling calls it for the fields that ``pyproject.toml`` names as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add ``readme`` and ``urls``."""
        root = Path(self.root)
        readme = (root / "README.md").read_text(encoding="utf-8")
        if repository := self.config["repository"].rstrip("/"):
            tag = f"v{metadata['version']}"
            readme = for_an_index(with_absolute_links(readme, root, repository, tag), repository, tag)
            metadata["urls"] = project_urls(repository, tag)
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}


def with_absolute_links(readme: str, root: Path, repository: str, tag: str) -> str:
    """The README as it reads away from the repository.

    :param root: the folder of the README, to tell folders from files.
    """

    def linked(found: re.Match[str]) -> str:
        path = found[2] if not found[2].startswith("#") else f"README.md{found[2]}"
        kind = "tree" if (root / path).is_dir() else "blob"
        return f"{found[1]}{repository}/{kind}/{tag}/{path}"

    # Pictures first: a link to a picture's page would show nothing.
    readme = PICTURE.sub(rf"\g<1>{repository}/raw/{tag}/\g<2>", readme)
    return LINK.sub(linked, readme)


def for_an_index(readme: str, repository: str, tag: str) -> str:
    """The README for people who install a release."""
    readme = UNRELEASED.sub("", readme).replace("'.[", "'airflow-provider-snav[")
    return readme.replace("-c constraints.txt", f"-c {repository}/raw/{tag}/constraints.txt")


def project_urls(repository: str, tag: str) -> dict[str, str]:
    """Airflow's web page links to ``Documentation``; messages of the package link to ``Error guide``."""
    files = f"{repository}/blob/{tag}"
    return {
        "Repository": repository,
        "Documentation": f"{files}/docs/index.md",
        "Error guide": f"{files}/docs/errors.md",
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
        "Security": f"{files}/SECURITY.md",
    }
