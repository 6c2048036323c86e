"""The messages of ``export`` on standard error while it runs."""

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
    """A progress bar in a terminal, otherwise lines. It has the methods of a task's log.

    :param jobs: the number of jobs at the start.
    """

    seconds_between_lines = 0.5
    """The pause between two lines about the bytes of a landing; see ``landing.progress``."""

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
        # The landing counts as one more step. Without it the clock would stop after the last job.
        self._bar = self._progress.add_task("", total=jobs + 1, jobs=f"0/{jobs}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def count(self, export: Export) -> None:
        """Show the number of complete jobs, and the number of all jobs, which a halved window increases."""
        completed = sum(part.is_completed for part in export.slices)
        jobs = len(export.slices)
        self._progress.update(self._bar, completed=completed, total=jobs + 1, jobs=f"{completed}/{jobs}")

    def debug(self, message: str, *arguments: Any) -> None:
        """Show nothing."""

    def info(self, message: str, *arguments: Any) -> None:
        """Show a message; in a terminal the next one replaces it."""
        text = message % arguments if arguments else message
        if self._console.is_terminal:
            self._progress.update(self._bar, description=text)
        else:
            self._console.print(text)

    def warning(self, message: str, *arguments: Any) -> None:
        """Show a message that stays."""
        self._console.print(message % arguments if arguments else message)
