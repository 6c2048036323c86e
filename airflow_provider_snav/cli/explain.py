"""``explain``: prints the error guide in the terminal."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.markdown import Markdown

from airflow_provider_snav.cli.main import SUCCEEDED, UsageError
from airflow_provider_snav.cli.tables import print_json, print_table

# The wheel contains a copy of the page. A checkout has the page itself.
_PLACES = (Path(__file__).with_name("errors.md"), Path(__file__).parents[2] / "docs" / "errors.md")


def run(options: argparse.Namespace, results: TextIO) -> int:
    """Print one section, or the names of all sections."""
    sections = read_sections()
    if options.section is None:
        if options.json:
            print_json(results, list(sections))
        else:
            print_table(
                results, ("section", "title"), [(name, title) for name, (title, _) in sections.items()]
            )
        return SUCCEEDED
    # Accept the section as copied from a message, with the page before it and the bracket after it.
    name = options.section.rpartition("#")[2].strip(" ()").lower()
    if name not in sections:
        near = difflib.get_close_matches(name, sections, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "Without a section, explain lists all."
        raise UsageError(f"The error guide has no section {name!r}. {hint}")
    title, text = sections[name]
    if options.json:
        print_json(results, {"section": name, "title": title, "text": text})
    elif results.isatty():
        Console(file=results).print(Markdown(f"## {title}\n\n{text}"))
    else:
        results.write(f"{title}\n\n{text}\n")
    return SUCCEEDED


def read_sections() -> dict[str, tuple[str, str]]:
    """Return the title and the text of each section of the third level, by the anchor of its heading."""
    page = next(place for place in _PLACES if place.exists()).read_text(encoding="utf-8")
    found = re.findall(r"^### (.+)\n+((?:(?!^##).*\n)*)", page, re.MULTILINE)
    return {_anchor(title): (title, text.strip()) for title, text in found}


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
