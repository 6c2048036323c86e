"""What ``export`` tells a person while it works, on standard error."""

from __future__ import annotations

from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from airflow_provider_snav.exports.export import Export


class Narration:
    """A progress bar in a terminal, lines elsewhere; takes the place of a task's log.

    :param jobs: how many jobs the export begins with.
    """

    seconds_between_lines = 0.5
    """How often a landing says how many bytes have come; see ``landing.progress``."""

    def __init__(self, jobs: int) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[jobs]} jobs"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            console=self._console,
            expand=True,
            transient=True,
            disable=not self._console.is_terminal,
        )
        # The landing is one step more, or the clock would stop with the last job.
        self._bar = self._progress.add_task("", total=jobs + 1, jobs=f"0/{jobs}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def count(self, export: Export) -> None:
        """Show how many jobs are complete; a halved window makes two of one."""
        completed = sum(part.is_completed for part in export.slices)
        jobs = len(export.slices)
        self._progress.update(self._bar, completed=completed, total=jobs + 1, jobs=f"{completed}/{jobs}")

    def debug(self, message: str, *arguments: Any) -> None:
        """Of no interest here."""

    def info(self, message: str, *arguments: Any) -> None:
        """What happens now."""
        text = message % arguments if arguments else message
        if self._console.is_terminal:
            self._progress.update(self._bar, description=text)
        else:
            self._console.print(text)

    def warning(self, message: str, *arguments: Any) -> None:
        """What deserves a line that stays."""
        self._console.print(message % arguments if arguments else message)
