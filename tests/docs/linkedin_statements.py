"""The sentences of README and docs that speak of LinkedIn, and the document each of them rests on.

``python tests/docs/linkedin_statements.py`` prints the sentences that have no row in the table yet.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from doc_snippets import DOCS, ROOT

TABLE = Path(__file__).parent / "linkedin_statements.toml"
OURSELVES = "this package"
"""The source of a sentence that names LinkedIn and states nothing about its service."""


def sources() -> dict[str, str]:
    """The documents a statement may rest on: short name and address."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))["sources"]


def statements() -> dict[str, dict[str, str]]:
    """For each page its sentences and their sources, several of them joined by commas."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))["pages"]


def spoken() -> Iterator[tuple[str, str]]:
    """Every sentence or table row that names LinkedIn, with its page, in the order of the pages."""
    for page in sorted({ROOT / "README.md", *DOCS.rglob("*.md")}):
        text = page.read_text(encoding="utf-8")
        for part in ("```.*?```", "<!-- make bench: begin -->.*?<!-- make bench: end -->"):
            text = re.sub(part, "\n\n", text, flags=re.DOTALL)
        for block in re.split(r"\n\s*\n|\n(?=[|#>-] ?)|\n(?=\d\. )", text):
            for sentence in re.split(r"(?<=[.!?])[\"')]*\s+(?=[A-Z`*\[])", " ".join(block.split())):
                if "LinkedIn" in sentence:
                    yield page.relative_to(ROOT).as_posix(), sentence.strip(" |#>-")


if __name__ == "__main__":
    known = statements()
    for page, sentence in spoken():
        if sentence not in known.get(page, {}):
            print(f"{page}\t{sentence}")  # noqa: T201  # a tool for contributors
