"""The code blocks of README.md and docs/, and what kind each is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))


@dataclass(frozen=True)
class Snippet:
    """One fenced block.

    :param page: relative to the repository.
    :param line: where its code begins.
    """

    page: str
    line: int
    language: str
    code: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def dag_id(self) -> str | None:
        """The DAG the block defines, None if it defines none."""
        found = re.search(r"^@dag\(.*?^def (\w+)\(", self.code, re.DOTALL | re.MULTILINE)
        return found and found[1]

    @property
    def file(self) -> str | None:
        """The path a block names in its first line, None for one that names none."""
        found = re.match(r"# ([\w/]+\.py)\n", self.code)
        return found and found[1]


def _read() -> Iterator[Snippet]:
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
            if token.type == "fence" and token.map:
                name = str(page.relative_to(ROOT))
                yield Snippet(name, token.map[0] + 2, token.info.strip(), token.content)


SNIPPETS = tuple(_read())
PYTHON = [each for each in SNIPPETS if each.language == "python"]
DAGS = {each.dag_id: each for each in PYTHON if each.dag_id}
FILES = {each.file: each for each in PYTHON if each.file}
PLAIN = [each for each in PYTHON if not each.dag_id and not each.file]
SQL = [each for each in SNIPPETS if each.language == "sql"]
JSON = [each for each in SNIPPETS if each.language == "json"]
BASH = [each for each in SNIPPETS if each.language == "bash"]
