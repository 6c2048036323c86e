"""Prints results as a table, or as JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Column, Table


def print_json(results: TextIO, value: Any) -> None:
    """Print one JSON value."""
    results.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_table(results: TextIO, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as the terminal. In a pipe, print lines with values separated by tabs.

    :param columns: the titles; if all are empty, there is no title line.
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
