"""What a benchmark is made of: alternated runs, their median and spread, and the table of one question.

Machines are shared and noisy: a figure alone says little, a ratio of two taken in turns says more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Sample:
    """What several runs of one thing measured."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value, which one slow run does not move."""
        return median(self.values)

    def text(self, unit: str) -> str:
        """Write the median and, of several runs, the least and the greatest."""
        text = f"{number(self.median)} {unit}"
        if len(self.values) == 1:
            return text
        return f"{text} ({number(min(self.values))} to {number(max(self.values))})"


def number(value: float) -> str:
    """Write a figure to three digits, and never as a power of ten."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")


@dataclass(frozen=True)
class Row:
    """Ours beside one peer, or beside a limit of the machine, measured in the same run.

    :param beside: the peer, as a reader would name it.
    :param ours: what ours took.
    :param theirs: what the peer took, in the same unit.
    :param target: the greatest ratio ours / theirs that satisfies us; None where nothing is promised.
    :param note: what the limit is and how that was proved, should the target be missed.
    """

    beside: str
    ours: Sample
    theirs: Sample
    unit: str
    target: float | None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours divided by theirs: below 1, ours takes less."""
        return self.ours.median / self.theirs.median

    @property
    def met(self) -> bool:
        """Whether the ratio is within the target."""
        return self.target is None or self.ratio <= self.target


@dataclass(frozen=True)
class Question:
    """One table: what was asked, and ours beside each peer.

    :param skipped: why there are no rows, where this machine cannot tell.
    """

    title: str
    rows: Sequence[Row]
    skipped: str = ""


def alternate(
    runs: Mapping[str, Callable[[], float]], times: int, *, rehearse: bool = True
) -> dict[str, Sample]:
    """Measure several things in turns.

    :param runs: by name, what to run; each returns what it measured (seconds, bytes, calls).
    :param times: how often each counts.
    :param rehearse: begin with one round that does not count.
    """
    values: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(times + rehearse):
        for name, run in runs.items():
            value = run()
            if turn >= rehearse:
                values[name].append(value)
    return {name: Sample(tuple(taken)) for name, taken in values.items()}
