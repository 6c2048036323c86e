"""Results as a table for a person, or as JSON for a script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Column, Table


def print_json(results: TextIO, value: Any) -> None:
    """One JSON value."""
    results.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_table(results: TextIO, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as the terminal; in a pipe, lines of values separated by tabs.

    :param columns: their titles; empty ones are not shown.
    """
    if not results.isatty():
        lines = [columns, *rows] if any(columns) else rows
        results.writelines("\t".join(line).rstrip() + "\n" for line in lines)
        return
    headers = (Column(title, overflow="fold") for title in columns)
    table = Table(*headers, box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for row in rows:
        table.add_row(*row)
    Console(file=results, markup=False, highlight=False).print(table)
