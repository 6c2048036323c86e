"""The rows of the comparison: what their cells say stands beside the test that proves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

HEADING = "# Instead of writing it by hand\n"
PROVED: list[tuple[str, str, str]] = []
"""When, by hand, with this provider; in the order of the tests."""

Test = TypeVar("Test", bound=Callable[..., None])


def row(when: str, *, by_hand: str, with_the_provider: str) -> Callable[[Test], Test]:
    """The decorated test proves both cells of this row."""
    PROVED.append((when, by_hand, with_the_provider))
    return lambda test: test


def rows_of(page: Path) -> list[tuple[str, ...]]:
    """Those of the page's section about it, which may be the page."""
    section = page.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]
